"""EAV: every trial keeps its EEG, its video and its class, whatever the layout of the files."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import scipy.io

from helpers import read_mat_in_this_process, write_mat73
from milmer_cli.datasets.eav.files import CONDITIONS, EMOTIONS
from milmer_cli.datasets.eav.listing import list_eav
from milmer_cli.datasets.open_recordings import open_listing
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError
from milmer_cli.preparation.input_check import check_listing
from milmer_cli.settings import load_settings
from milmer_cli.settings.schema import DataSettings

N_TRIALS, N_SAMPLES, N_CHANNELS = 12, 1000, 30
NAMES = GENEVA[:N_CHANNELS]
CLASSES = [divmod((3 * trial) % 10, 2) for trial in range(N_TRIALS)]
"""Emotion and condition of each trial; the first and the last number of a name differ from it."""


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    read_mat_in_this_process(monkeypatch)


def _video_name(trial):
    emotion, condition = CLASSES[trial]
    name = f"{EMOTIONS[emotion]}.mp4"
    return f"{trial + 1:03d}_Trial_{trial // 2 + 1:02d}_{CONDITIONS[condition]}_{name}"


def _signals(number):
    """(time, channel, trial): the mean of a trial and channel is 1000 trial + channel."""
    rng = np.random.default_rng(number)
    data = 15 * rng.standard_normal((N_SAMPLES, N_CHANNELS, N_TRIALS))
    data -= data.mean(axis=0)
    return data + np.arange(N_CHANNELS)[:, None] + 1000 * np.arange(1, N_TRIALS + 1)


def _write(root, name, variable="seg1", order=(0, 1, 2), version="5", signals=None):
    folder = root / name
    for part in ("EEG", "Video", "Audio"):
        (folder / part).mkdir(parents=True)
    labels = np.zeros((10, N_TRIALS))
    for trial, (emotion, condition) in enumerate(CLASSES):
        labels[2 * emotion + condition, trial] = 1
        (folder / "Video" / _video_name(trial)).write_bytes(b"x")
    signals = _signals(len(name)) if signals is None else signals
    array = {variable: signals.transpose(order)}
    path = folder / "EEG" / f"{name}_eeg.mat"
    write_mat73(path, array) if version == "7.3" else scipy.io.savemat(path, array)
    scipy.io.savemat(folder / "EEG" / f"{name}_eeg_label.mat", {"label": labels})
    return folder


def _settings(**values):
    return DataSettings(eeg_channels=";".join(NAMES), **values)


def _rows(listing, participant="subject01"):
    return {row["trial"]: row for row in listing.rows if row["participant"] == participant}


def _text(listing):
    return "\n".join([*listing.findings, *(f"{m.what}. {m.why}" for m in listing.missing)])


@pytest.mark.parametrize(
    ("name", "variable", "order", "version"),
    [
        ("subject1", "seg", (0, 1, 2), "5"),
        ("subject01", "seg1", (1, 0, 2), "5"),
        ("Subject1", "seg1", (2, 1, 0), "7.3"),
        ("subject1", "seg", (1, 2, 0), "5"),
    ],
)
def test_list_eav_pairs_array_label_and_video_of_every_trial(
    tmp_path, name, variable, order, version
):
    _write(tmp_path / "EAV", name, variable, order, version)
    listing = list_eav(tmp_path, _settings())
    assert ("transposed" in _text(listing)) == (order != (0, 1, 2))
    rows = _rows(listing)
    assert len(rows) == N_TRIALS
    for trial, row in rows.items():
        emotion, condition = CLASSES[trial - 1]
        assert (row["label"], row["condition"]) == (EMOTIONS[emotion], CONDITIONS[condition])
        assert row["video"].name == _video_name(trial - 1)
    recordings = open_listing(listing, _settings())
    (block,) = recordings.eeg_blocks("subject01")
    for trial, onset_s in block.onset_s.items():
        start = round(onset_s * 500)
        data = 1e6 * block.raw.get_data(start=start, stop=start + N_SAMPLES)
        expected = 1000 * trial + np.arange(N_CHANNELS)
        np.testing.assert_allclose(data.mean(axis=1), expected, atol=0.01)
    assert recordings.channels == NAMES


def test_list_eav_gives_every_trial_a_stimulus_of_its_own(tmp_path):
    _write(tmp_path, "subject1")
    _write(tmp_path, "subject02")
    listing = list_eav(tmp_path, _settings())
    assert {row["participant"] for row in listing.rows} == {"subject01", "subject02"}
    assert len({row["stimulus"] for row in listing.rows}) == 2 * N_TRIALS
    assert {row["participant"] for row in list_eav(tmp_path, _settings(participants="2")).rows} == {
        "subject02"
    }


def test_list_eav_handles_and_reports_every_trap(tmp_path):
    folder = _write(tmp_path, "subject1")
    (folder / "Video" / _video_name(2)).unlink()  # trial 3 has no video
    path = folder / "EEG" / "subject1_eeg_label.mat"
    labels = scipy.io.loadmat(path)["label"]
    labels[:, 4] = 0  # trial 5 has no class
    labels[:, 6] *= 2  # trial 7 is not one-hot
    labels[:, 8] = np.roll(labels[:, 8], 2)  # trial 9 has another emotion than its video
    labels[:, 9] = np.roll(labels[:, 9], 1)  # trial 10 has another condition
    scipy.io.savemat(path, {"label": labels.T})
    (folder / "Video" / "copy of 001.mp4").write_bytes(b"x")
    (folder / "Audio" / "001_Trial_01_Speaking_Neutral_Aud.wav").write_bytes(b"x")
    (folder / "Audio" / "002_Trial_01_Speaking_Neutral_aud.wav").write_bytes(b"x")
    shutil.copy(folder / "Video" / _video_name(11), folder / "Video" / _video_name(11).lower())
    listing = list_eav(tmp_path, _settings())
    rows, text = _rows(listing), _text(listing)
    assert sorted(rows) == [1, 2, 3, 4, 5, 6, 7, 8, 11, 12]
    assert "video" not in rows[3]
    assert rows[3]["label"] == EMOTIONS[CLASSES[2][0]]
    assert rows[5]["label"] == rows[7]["label"] == ""
    assert "subject01 trials 9, 10" in text
    assert "subject01 trials 5, 7: The column of the label array is not one-hot" in text
    assert "subject01 trials 3, 12: These trials have no video." in text
    assert "subject01 trial 12: These trials have more than one video" in text
    assert "unexpected names are not used: copy of 001.mp4." in text
    assert "The number after Trial_" in text


def test_list_eav_reports_the_facts_that_it_measures(tmp_path):
    _write(tmp_path, "subject1")
    text = _text(list_eav(tmp_path, _settings()))
    assert "it is read as uV; the standard deviation within a second is then 15" in text
    assert "microvolts, as scalp EEG has" in text
    assert "do not seem to be contiguous" in text
    volts = _text(list_eav(tmp_path, _settings(eeg_unit="V")))
    assert "The user states V" in volts
    assert "which scalp EEG does not have" in volts
    whole = 15 * np.random.default_rng(0).standard_normal((N_TRIALS * N_SAMPLES, N_CHANNELS))
    contiguous = whole.reshape(N_TRIALS, N_SAMPLES, N_CHANNELS).transpose(1, 2, 0)
    _write(tmp_path / "other", "subject1", signals=contiguous)
    assert " seem to be contiguous" in _text(list_eav(tmp_path / "other", _settings()))


def test_list_eav_without_channel_names_lists_the_rows_but_prepare_refuses(tmp_path):
    for name in ("subject1", "subject2"):
        _write(tmp_path, name)
    listing = list_eav(tmp_path, DataSettings())
    assert len(listing.rows) == 2 * N_TRIALS
    assert "The names of the EEG channels are not documented" in _text(listing)
    with pytest.raises(InputError, match="channels of the array have numbers"):
        open_listing(listing, DataSettings())
    check = check_listing(listing, load_settings())
    assert not check.usable
    assert check.columns == ("", "trials", "EEG", "videos", *sorted(EMOTIONS))
    counts = [sum(CLASSES[t][0] == EMOTIONS.index(e) for t in range(12)) for e in sorted(EMOTIONS)]
    assert check.rows[0] == ("subject01", "12", "12", "12", *map(str, counts))
    assert check.missing[-1].why.count("channels of the array have numbers") == 1


def test_list_eav_takes_channel_names_from_a_table_in_the_order_of_the_array(tmp_path):
    _write(tmp_path, "subject1")
    table = tmp_path / "channels.csv"
    pairs = [f"{number},{name}" for number, name in enumerate(NAMES, start=1)]
    table.write_text("channel,name\n" + "\n".join(reversed(pairs)) + "\n", encoding="utf-8")
    settings = DataSettings(channels_file=str(table))
    listing = list_eav(tmp_path, settings)
    assert listing.rows[0]["eeg_array_channels"] == ";".join(NAMES)
    assert open_listing(listing, settings).channels == NAMES
    subset = DataSettings(channels_file=str(table), eeg_channels="Cz;Fp1")
    (block,) = open_listing(list_eav(tmp_path, subset), subset).eeg_blocks("subject01")
    data = 1e6 * block.raw.get_data("Fp1", stop=N_SAMPLES)
    assert data.mean() == pytest.approx(1000 + NAMES.index("Fp1"), abs=0.01)
    with pytest.raises(InputError, match="names 2 channels, and the array of subject01 has 30"):
        list_eav(tmp_path, DataSettings(eeg_channels="Cz;Fp1"))


def test_list_eav_keeps_the_other_participants_and_modalities(tmp_path):
    damaged = _write(tmp_path, "subject1") / "EEG" / "subject1_eeg.mat"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    folder = _write(tmp_path, "subject2")
    (folder / "EEG" / "subject2_eeg_label.mat").unlink()
    both = _signals(0)
    scipy.io.savemat(
        _write(tmp_path, "subject3") / "EEG" / "subject3_eeg.mat", {"seg": both, "seg1": both}
    )
    square = np.zeros((N_SAMPLES, N_TRIALS, N_TRIALS))
    _write(tmp_path, "subject4", signals=square)
    listing = list_eav(tmp_path, _settings())
    text = _text(listing)
    assert all("eeg" not in row for row in _rows(listing, "subject01").values())
    assert _rows(listing, "subject02")[4]["label"] == EMOTIONS[CLASSES[3][0]]
    assert "subject2_eeg_label.mat. The classes are those of the names of the videos." in text
    assert "expected one array with 3 dimensions, seg or seg1, got" in text
    assert "the axes of seg1 (1000 x 12 x 12) cannot be identified" in text
    assert all("eeg" not in row for row in _rows(listing, "subject04").values())


def test_list_eav_rejects_a_folder_without_participants(tmp_path):
    with pytest.raises(InputError, match="contains no folder subject1"):
        list_eav(tmp_path, _settings())
    _write(tmp_path, "subject1")
    _write(tmp_path, "subject01")
    assert "subject1 is not used" in _text(list_eav(tmp_path, _settings()))
