"""Anybody's recordings, from a table to what a model is given."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.data.dataset import Bags, collate
from milmer_cli.data.labels import class_names, classes
from milmer_cli.demo import DemoSpec, make_demo_data
from milmer_cli.recordings.manifest import ManifestRecordings
from milmer_cli.settings import load_settings
from milmer_cli.stages.check import check_manifest
from milmer_cli.stages.prepare import prepare
from milmer_cli.store import PreparedStore, check_store

SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.size=64", "run.workers=1"]
HEADER = "participant,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s,label"
# Other caps and rates, trials of 4, 8 and 6 s, no video, no EEG, an EEG that ends within the trial.
ROWS = [
    "P1,1,a,p1_raw.fif,2,joy.avi,0,4,joy",
    "P1,2,b,p1_raw.fif,8,,,8,fear",
    "P2,1,a,p2_raw.fif,1,joy.avi,0.5,4,joy",
    "P2,2,b,p2_raw.fif,26,joy.avi,0,6,",
    "P3,1,b,,,joy.avi,0,4,fear",
]


def record(path, names, sfreq, seconds):
    """A 10-Hz sine of 10 microvolts, its phase by electrode."""
    times = np.arange(round(sfreq * seconds)) / sfreq
    phase = 2 * np.pi * np.arange(len(names))[:, None] / len(names)
    data = 10e-6 * np.sin(2 * np.pi * 10 * times + phase)
    raw = mne.io.RawArray(data, mne.create_info(names, sfreq, "eeg"), verbose="error")
    raw.save(path, verbose="error")


@pytest.fixture(scope="session")
def manifest(made_once):
    def make(folder):
        spec = DemoSpec(
            participants=1, trials=2, stimulus_s=6.0, formats=("bdf",), expression_images=0
        )
        truth = make_demo_data(folder, spec, workers=1)
        (folder / truth.participants[0].trials[0].video).rename(folder / "joy.avi")
        record(folder / "p1_raw.fif", ["AF3", "F7", "T7", "O1", "O2", "Cz"], 256.0, 30)
        record(folder / "p2_raw.fif", ["Cz", "Pz", "O2", "O1", "T7", "Fz"], 300.0, 30)
        (folder / "table.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")

    return made_once("manifest-data", make) / "table.csv"


@pytest.fixture(scope="session")
def store(made_once, manifest):
    settings = load_settings(overrides=SMALL)
    folder = made_once(
        "manifest-store", lambda out: prepare(ManifestRecordings(manifest), out, settings)
    )
    return PreparedStore.open(folder)


def test_all_participants_have_the_electrodes_that_all_recordings_have(store):
    for name in ("P1", "P2", "P3"):
        assert store.participant(name).channels == ("T7", "O1", "O2", "Cz")
        assert store.participant(name).eeg.shape[1:] == (4, 256)
    assert [finding for finding in check_store(store.folder) if finding.severity == "error"] == []


def test_a_sine_keeps_its_microvolts_through_other_rates(store):
    for name in ("P1", "P2"):
        p = store.participant(name)
        spread = p.eeg[0].std(axis=1)
        assert 3 < spread.mean() < 10 / np.sqrt(2) * 1.3  # 10 uV less what the reference takes


def test_trials_have_the_segments_that_were_recorded(store):
    segments = store.segments()
    trials = {
        str(trial): (
            int((segments.trial_id == trial).sum()),
            segments.eeg_found[segments.trial_id == trial].tolist(),
            (segments.faces_found[segments.trial_id == trial] > 0).any(),
        )
        for trial in np.unique(segments.trial_id)
    }
    assert trials == {
        "P1/01": (2, [True] * 2, True),
        "P1/02": (4, [True] * 4, False),
        "P2/01": (2, [True] * 2, True),
        "P2/02": (3, [True, True, False], True),  # 4 s of EEG and 6 s of video
        "P3/01": (2, [False] * 2, True),
    }


def test_named_classes_reach_the_batches(store):
    settings = load_settings(overrides=["data.target=label"])
    segments = store.segments()
    labels = classes(segments.ratings, settings.data, segments.label)
    assert class_names("label", segments.label) == ("fear", "joy")
    named = np.flatnonzero(labels >= 0)
    assert {str(trial) for trial in segments.trial_id[named]} == {
        "P1/01", "P1/02", "P2/01", "P3/01"
    }  # fmt: skip
    bags = Bags(store, segments, labels, named)
    batch = collate([bags[item] for item in range(len(bags))])
    assert batch["eeg"].shape == (10, 4, 256)
    assert batch["faces"].shape == (10, 2, 64, 64, 3)
    assert np.isfinite(batch["eeg"].numpy()).all()
    assert batch["labels"].tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 0, 0]


def test_an_added_participant_leaves_the_others_as_they_are(manifest, store, tmp_path):
    out = tmp_path / "prepared"
    settings = load_settings(overrides=SMALL)
    text = manifest.read_text()
    part = manifest.with_name("part.csv")
    part.write_text("\n".join(line for line in text.splitlines() if not line.startswith("P3")))
    prepare(ManifestRecordings(part), out, settings)
    result = prepare(ManifestRecordings(manifest), out, settings)
    assert (result.made, result.kept) == (("P3",), ("P1", "P2"))


def test_the_check_tells_what_the_table_does_not_say(manifest):
    found = check_manifest(manifest, load_settings())
    table = {row[0]: row[1:] for row in found.rows}
    assert table["P1"][:5] == ("2", "2", "256", "1", "4-8")
    assert table["P3"][:5] == ("1", "0", "-", "1", "4")
    told = " ".join(value for _, value in found.summary())
    assert "P3 trial 1. No EEG" in told
    assert "P2 trial 2. Without valence and arousal, or a label" in told
    assert "the EEG ends 2.0 s before the trial does" in told
    assert "--set data.target=label" in told
    assert found.usable
    assert found.to_json()["classes"]["P1"]["no class"] == 2

    by_label = check_manifest(manifest, load_settings(overrides=["data.target=label"]))
    assert by_label.columns[-3:] == ("fear", "joy", "no class")
    assert {row[0]: row[-3:] for row in by_label.rows} == {
        "P1": ("1", "1", "0"),
        "P2": ("0", "1", "1"),
        "P3": ("1", "0", "0"),
        "all": ("2", "2", "1"),
    }
