"""The files of the copies, read without any code of Milmer."""

from __future__ import annotations

import csv
import hashlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import edfio
import h5py
import mne
import numpy as np
import pytest
from scipy.io import loadmat

from milmer_cli.datasets.synthetic import ListedConfig, ListedTruth, generate_listed
from milmer_cli.datasets.synthetic.listed.generate import PLANS, plan_listed
from milmer_cli.datasets.synthetic.listed.truth import DEFAULT_SIZES, read_listed_truth
from milmer_cli.errors import InputError

SMALL = {
    "eav": ListedConfig("eav", participants=3, trials=10, stimulus_s=3.0, video=False),
    "mahnob": ListedConfig("mahnob", participants=1, trials=3, stimulus_s=3.0, video=False),
    "amigos": ListedConfig("amigos", participants=4, trials=20, stimulus_s=3.0, video=False),
    "bids": ListedConfig("bids", participants=4, trials=2, stimulus_s=3.0, video=False),
}
EMOTIONS = ["Neutral", "Sadness", "Anger", "Happiness", "Calmness"]
CONDITIONS = ["Listening", "Speaking"]


@pytest.fixture(scope="module")
def generated(made_once: Callable[..., Path]) -> Callable[[str], tuple[Path, ListedTruth]]:
    def make(name: str) -> tuple[Path, ListedTruth]:
        root = made_once(f"copy-{name}", lambda out: generate_listed(out, SMALL[name], workers=1))
        return root, read_listed_truth(root / "truth.json")

    return make


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("name", PLANS)
def test_plan_listed_is_deterministic_and_has_unique_codes(name):
    truth = plan_listed(DEFAULT_SIZES[name])
    assert truth == plan_listed(DEFAULT_SIZES[name])
    codes = [trial.code for trial in truth.trials]
    assert len(set(codes)) == len(codes)
    assert 1 <= min(codes) <= max(codes) < 256
    other = plan_listed(replace(DEFAULT_SIZES[name], seed=1))
    assert [t.pattern for t in other.trials] != [t.pattern for t in truth.trials]
    assert {trap.expected for trap in truth.traps} == {"handled", "reported"}


def test_generate_listed_writes_the_same_files_again_and_keeps_finished_ones(tmp_path):
    config = replace(SMALL["bids"], participants=3)
    for folder in (tmp_path / "a", tmp_path / "b"):
        generate_listed(folder, config, workers=1)

    def digests(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    (tmp_path / "a" / "participants.tsv").unlink()
    generate_listed(tmp_path / "a", config, workers=1)
    assert not (tmp_path / "a" / "participants.tsv").exists()
    with pytest.raises(InputError, match="do not belong to this demo data set"):
        generate_listed(tmp_path / "a", replace(config, seed=1), workers=1)


@pytest.mark.parametrize("name", PLANS)
def test_listed_config_rejects_a_value_by_name(name):
    for wrong in ({"participants": 9}, {"trials": 0}, {"stimulus_s": 2.0}, {"signal": -1.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            replace(DEFAULT_SIZES[name], **wrong)


def test_eav_arrays_variables_paddings_and_labels(generated):
    root, truth = generated("eav")
    first = loadmat(root / "subject1/EEG/subject1_eeg.mat")
    second = loadmat(root / "subject02/EEG/subject02_eeg.mat")
    assert first["seg"].shape == second["seg1"].shape == (1500, 30, 10)
    with h5py.File(root / "subject3/EEG/subject3_eeg.mat") as file:
        # HDF5 reverses the axes, so MATLAB sees trial x channel x time.
        assert file["seg1"].shape == (1500, 30, 10)
    for folder, participant in (("subject1", 1), ("subject02", 2), ("subject3", 3)):
        labels = loadmat(root / folder / f"EEG/{folder}_eeg_label.mat")["label"]
        assert labels.shape == (10, 10)
        for trial in truth.of_participant(participant):
            column = labels[:, trial.eeg_index]
            row = 2 * EMOTIONS.index(trial.label) + CONDITIONS.index(trial.condition)
            assert column[row] == 1
            assert column.sum() == (1 if trial.usable else 2)
    endings = {path.stem[-3:] for path in (root / "subject1/Audio").iterdir()}
    assert endings == {"Aud", "aud"}


def test_eav_videos_have_two_numbers_of_which_only_the_first_is_the_trial():
    trials = plan_listed(DEFAULT_SIZES["eav"]).of_participant(1)
    names = [Path(trial.video).name.split("_") for trial in trials]
    assert [int(name[0]) for name in names] == [trial.trial for trial in trials]
    assert len({name[2] for name in names}) < len(trials)
    without = [t for t in plan_listed(DEFAULT_SIZES["eav"]).trials if t.video is None]
    assert [(t.participant, t.trial) for t in without] == [(2, 5)]


def test_mahnob_status_events_are_start_and_end_of_the_clip(generated):
    root, truth = generated("mahnob")
    for trial in truth.trials:
        bdf = edfio.read_bdf(root / trial.eeg)
        labels = [signal.label for signal in bdf.signals]
        assert labels[32:35] == ["EXG1", "EXG2", "EXG3"]
        assert bdf.signals[0].sampling_frequency == 256
        codes = bdf.signals[labels.index("Status")].digital & 0xFF
        starts = np.flatnonzero(np.diff(codes, prepend=0) > 0) / 256
        assert starts.tolist() == [trial.eeg_onset_s, trial.eeg_onset_s + 3.0]
        assert 30 < starts[0] < 31
        assert bdf.duration >= starts[1] + 30


def test_mahnob_sessions_state_files_ratings_and_other_experiments(generated):
    root, truth = generated("mahnob")
    for trial in truth.trials:
        session = ET.parse(root / Path(trial.eeg).parent / "session.xml").getroot()
        assert int(session.get("sessionId")) == 130 * (trial.participant - 1) + 2 * trial.trial
        stated = tuple(float(session.get(f"felt{name}")) for name in ("Vlnc", "Arsl", "Ctrl"))
        assert stated == trial.ratings[:3]
        assert session.get("mediaFile") == trial.stimulus
        assert session.get("isStim") == "1"
    neutral = ET.parse(root / "Sessions/1/session.xml").getroot()
    assert (neutral.get("isStim"), neutral.get("feltEmo")) == ("0", None)
    assert (root / "Sessions/82/Part_1_S_Trial41_taggingImages1.bdf").exists()
    assert (root / "Sessions/1512").is_dir()


def test_mahnob_gaze_file_has_23_lines_before_the_columns(generated):
    root, truth = generated("mahnob")
    trial = truth.trials[0]
    (path,) = (root / trial.eeg).parent.glob("*.tsv")
    lines = path.read_text().splitlines()
    columns = lines[23].split("\t")
    assert columns[0] == "Timestamp"
    events = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines[24:]]
    (start,) = [row for row in events if row["Event"] == "MovieStart"]
    session = ET.parse(path.with_name("session.xml")).getroot()
    offset = int(start["AudioSampleNumber"]) - int(session.get("audBeginSmp"))
    assert offset / int(session.get("audRate")) == pytest.approx(trial.video_onset_s, abs=1e-4)
    (without,) = [t for t in truth.trials if t.trial == 3]
    assert not list((root / without.eeg).parent.glob("*.tsv"))


@pytest.mark.slow
def test_amigos_cells_have_arousal_first_and_the_clip_of_each_trial(generated):
    root, truth = generated("amigos")
    content = loadmat(root / "Data_Preprocessed_P01.mat")
    for trial in truth.of_participant(1):
        index = trial.eeg_index
        assert content["joined_data"][0, index].shape == (
            round((5 + trial.duration_s) * 128),
            17,
        )
        valence, arousal, *_ = trial.ratings
        labels = content["labels_selfassessment"][0, index]
        assert labels.shape == (1, 12)
        assert labels[0, :2].tolist() == [arousal, valence]
        assert content["VideoIDs"][0, index].item() == trial.stimulus
    orders = [[t.stimulus for t in truth.of_participant(n)] for n in (1, 2, 8)]
    assert len({tuple(order) for order in orders}) == 3


def test_amigos_irregular_files(generated):
    root, truth = generated("amigos")
    path = root / "Data_Preprocessed_P08.mat"
    with pytest.raises(ValueError, match="Did not fully consume compressed contents"):
        loadmat(path)
    content = loadmat(path, verify_compressed_data_integrity=False)
    sizes = [cell.size for cell in content["joined_data"][0]]
    assert [number for number, size in enumerate(sizes, start=1) if not size] == [18, 20]
    of_nan = loadmat(root / "Data_Preprocessed_P09.mat")
    assert all(np.isnan(cell).all() for cell in of_nan["joined_data"][0])
    with h5py.File(root / "Data_Preprocessed_P02/Data_Preprocessed_P02.mat") as file:
        first = file[file["joined_data"][0, 0]]
        assert first.shape == (17, 8 * 128)
        text = file[file["VideoIDs"][0, 0]][:]
        assert "".join(map(chr, text.ravel())) == truth.of_participant(2)[0].stimulus


def test_bids_files_have_events_and_inherited_sidecars(generated):
    root, truth = generated("bids")
    for trial in truth.trials:
        assert (root / trial.eeg).exists()
        events = rows_of(root / trial.eeg.replace(Path(trial.eeg).name, "") / _events(trial.eeg))
        (row,) = [r for r in events if float(r["onset"]) == trial.eeg_onset_s]
        assert row["trial_type"] == "stimulus"
        assert row["emotion"] == (trial.label if trial.usable else "n/a")
    assert {Path(t.eeg).suffix for t in truth.trials} == {".edf", ".vhdr", ".set", ".bdf"}
    assert json.loads((root / "task-clips_eeg.json").read_text())["PowerLineFrequency"] == 50
    own = root / "sub-04" / "sub-04_task-clips_eeg.json"
    assert json.loads(own.read_text())["PowerLineFrequency"] == 60
    (bad,) = (root / "sub-02/ses-1/eeg").glob("*_channels.tsv")
    assert [r["name"] for r in rows_of(bad) if r["status"] == "bad"] == ["P7"]
    assert list((root / "derivatives").rglob("*_eeg.edf"))


def _events(eeg: str) -> str:
    return Path(eeg).name.rpartition("_")[0] + "_events.tsv"


def test_bids_formats_contain_the_mark_in_microvolts_but_eeglab_in_millivolts(generated):
    root, truth = generated("bids")
    readers = {
        ".edf": mne.io.read_raw_edf,
        ".vhdr": mne.io.read_raw_brainvision,
        ".set": mne.io.read_raw_eeglab,
        ".bdf": mne.io.read_raw_bdf,
    }
    for suffix, read in readers.items():
        trial = next(t for t in truth.trials if t.eeg.endswith(suffix))
        raw = read(root / trial.eeg, verbose="error")
        assert raw.info["sfreq"] == 256
        start = round(trial.eeg_onset_s * 256)
        row = raw.get_data(picks=["Oz"])[0, start : start + 768] * 1e6
        amplitude = np.std(np.diff(row))
        assert (amplitude < 0.1) == (suffix == ".set"), suffix
        assert amplitude < 100
