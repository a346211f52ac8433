"""AMIGOS: every trial keeps its EEG, its video and its ratings, and what is unusable is named."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from helpers import mat_cell, read_mat_in_this_process, write_mat73
from milmer_cli.datasets.amigos.listing import BASELINE_S, CHANNELS, SFREQ_HZ, list_amigos
from milmer_cli.datasets.open_recordings import open_listing
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings

CLIPS = [*(str(10 + 7 * n) for n in range(16)), "N1", "P1", "B1", "U1"]
SECONDS = [7 + n / 4 for n in range(16)] + [9.5, 10.0, 10.5, 11.0]
SETTINGS = DataSettings()


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    read_mat_in_this_process(monkeypatch)


def _order(number):
    """Trials of a participant -> clip; every participant has another order."""
    return list(np.random.default_rng(number).permutation(20))


def _labels(clip):
    """Arousal 1 + clip / 4, valence 9 - clip / 4, dominance 5, liking 2, eight emotions."""
    return np.array([[1 + clip / 4, 9 - clip / 4, 5, 2, 1, *[0.0] * 7]])


def _participant(number):
    """Cells of a participant; the mean of an EEG channel is 100 clip + channel."""
    rng = np.random.default_rng(number)
    signals = []
    for clip in _order(number):
        data = 12 * rng.standard_normal((round(SECONDS[clip] * SFREQ_HZ), 17))
        signals.append(data - data.mean(axis=0) + 100 * clip + np.arange(17))
    labels = [_labels(clip) for clip in _order(number)]
    return {
        "joined_data": signals,
        "labels_selfassessment": labels,
        "labels_ext_annotation": [np.zeros((2, 3))] * 20,
        "VideoIDs": [CLIPS[clip] for clip in _order(number)],
    }


def _write(root, number, content=None, version="5", videos=True):
    content = content or _participant(number)
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"Data_Preprocessed_P{number:02d}.mat"
    if version == "7.3":
        write_mat73(path, content)
    else:
        cells = {name: mat_cell(own) for name, own in content.items()}
        scipy.io.savemat(path, cells, do_compression=version == "7")
    for clip in CLIPS if videos else ():
        name = (
            f"P{number}_{clip}_face.mov" if number % 2 else f"p{number:02d}_{clip.lower()}_face.mov"
        )
        (root / "faces").mkdir(exist_ok=True)
        (root / "faces" / name).write_bytes(b"x")
    return path


def _text(listing):
    return "\n".join([*listing.findings, *(f"{m.what}. {m.why}" for m in listing.missing)])


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_list_amigos_pairs_signals_ratings_and_video_by_the_clip(tmp_path, version):
    for number in (1, 12):
        _write(tmp_path / f"Data_Preprocessed_P{number:02d}", number, version=version)
    listing = list_amigos(tmp_path, SETTINGS)
    recordings = open_listing(listing, SETTINGS)
    assert recordings.channels == CHANNELS
    for number, name in ((1, "P01"), (12, "P12")):
        rows = {row["trial"]: row for row in listing.rows if row["participant"] == name}
        (block,) = recordings.eeg_blocks(name)
        assert list(rows) == list(range(1, 21))
        for trial, row in rows.items():
            clip = _order(number)[trial - 1]
            assert row["stimulus"] == CLIPS[clip]
            assert f"_{CLIPS[clip].lower()}_" in row["video"].name.lower()
            assert (row["arousal"], row["valence"]) == (1 + clip / 4, 9 - clip / 4)
            assert (row["dominance"], row["liking"]) == (5, 2)
            assert (row["eeg_onset_s"], row["video_onset_s"]) == (5, 5)
            assert row["duration_s"] == SECONDS[clip] - 5
            assert row["condition"] == ("short" if trial <= 16 else "long")
            # the block starts with the baseline, the onset is 5 s later
            start = round((block.onset_s[trial] - BASELINE_S) * SFREQ_HZ)
            stop = start + round(SECONDS[clip] * SFREQ_HZ)
            data = 1e6 * block.raw.get_data(list(CHANNELS), start=start, stop=stop)
            np.testing.assert_allclose(data.mean(axis=1), 100 * clip + np.arange(14), atol=0.01)
        trial = recordings.trials(name)[0]
        clip = _order(number)[0]
        assert trial.ratings == (9 - clip / 4, 1 + clip / 4, 5.0, 2.0)


def test_list_amigos_names_what_it_leaves_out(tmp_path):
    content = _participant(8)
    content["joined_data"][18] = np.zeros((0, 0))
    content["joined_data"][1][5, 3] = np.nan
    content["joined_data"][2] = content["joined_data"][2].T
    content["joined_data"][3] = content["joined_data"][3][:, :14]
    content["joined_data"][4][:, 16] = np.nan  # GSR only
    content["labels_selfassessment"][5] = np.array([[0.5, 9.5, 5, 2, *[0.0] * 8]])
    content["labels_selfassessment"][6] = np.zeros((0, 0))
    _write(tmp_path, 8, content)
    absent = _participant(9)
    absent["joined_data"] = [np.full_like(own, np.nan) for own in absent["joined_data"]]
    _write(tmp_path, 9, absent)
    damaged = _write(tmp_path, 10)
    damaged.write_bytes(damaged.read_bytes()[:3000])
    scipy.io.savemat(_write(tmp_path, 11), {"x": 1.0})
    (tmp_path / "faces" / "P(1,2,3,4)_A1_face.mov").write_bytes(b"x")
    (tmp_path / "faces" / f"p08_{CLIPS[_order(8)[7]].lower()}_face.mov").unlink()
    (tmp_path / "faces" / f"P8_{CLIPS[_order(8)[9]]}_face.mov").write_bytes(b"x")
    listing = list_amigos(tmp_path, SETTINGS)
    rows, text = {row["trial"]: row for row in listing.rows}, _text(listing)
    assert {row["participant"] for row in listing.rows} == {"P08"}
    assert sorted(rows) == [1, 3, *range(5, 19), 20]
    assert rows[3]["eeg_array"] == "joined_data{3}(channel,time)"
    assert "arousal" not in rows[6]
    assert rows[6]["dominance"] == 5
    assert "P08 trial 19. Left out, because its EEG is empty." in text
    assert "P08 trial 2. Left out, because its EEG contains NaN." in text
    assert "P08 trial 4. Left out, because its array is" in text
    assert "P09. None of its trials has EEG, so it is left out." in text
    assert "P10 is left out:" in text
    assert "P11 is left out:" in text
    assert "P08 trials 6, 7: A self-assessment is missing or not between 1 and 9" in text
    assert "P08 trials 8, 10: These trials have no video." in text
    assert "Videos of groups of four people are not used: 1." in text
    assert f"P08 clip {CLIPS[_order(8)[9]]}: There is more than one video of this clip" in text
    assert "The order of presentation is not in the files" in text
    assert "the standard deviation within a trial is then 12 microvolts" in text


def test_list_amigos_selects_participants_and_states_the_unit(tmp_path):
    for number in (1, 2):
        _write(tmp_path, number, videos=False)
    listing = list_amigos(tmp_path, DataSettings(participants="2", eeg_unit="mV"))
    assert {(row["participant"], row["eeg_unit"]) for row in listing.rows} == {("P02", "mV")}
    with pytest.raises(InputError, match=r"contains no file Data_Preprocessed_P01\.mat"):
        list_amigos(tmp_path / "faces", SETTINGS)
