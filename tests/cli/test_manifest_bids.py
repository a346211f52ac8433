"""``milmer manifest bids`` and ``to-bids``, and ``milmer prepare --bids-root``."""

from __future__ import annotations

import sys

import edfio
import numpy as np
import pytest

from milmer_cli.store import PreparedParticipant

NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "ds001"
    for sub in ("01", "02"):
        stem = folder / f"sub-{sub}/eeg/sub-{sub}_task-film"
        stem.parent.mkdir(parents=True)
        data = np.random.default_rng(int(sub)).normal(0, 10, (len(NAMES), 128 * 30))
        signals = [
            edfio.EdfSignal(row, 128, label=name, physical_dimension="uV")
            for row, name in zip(data, NAMES, strict=True)
        ]
        edfio.Edf(signals).write(stem.with_name(f"{stem.name}_eeg.edf"))
        events = "onset\tduration\ttrial_type\n2\t6\tjoy\n12\t6\tfear\n20\t0\tbutton\n"
        stem.with_name(f"{stem.name}_events.tsv").write_text(events, encoding="utf-8")
    return folder


def test_manifest_bids_check_counts_trials_and_lists_findings(milmer, root, tmp_path):
    call = ("manifest", "bids", root, "--trial-type", "joy,fear", "--check")
    document = milmer(*call, "--json", "--set", "data.target=label").document
    assert document["classes"]["sub-01"] == {"fear": 1, "joy": 1, "no class": 0}
    assert [entry["EEG"] for entry in document["participants"]] == [2, 2]
    assert any("only the EEG can be used" in text for text in document["findings"])
    assert milmer(*call).code == 0
    assert not (tmp_path / "recordings.csv").exists()


def test_manifest_bids_without_trial_type_lists_the_types(milmer, root):
    outcome = milmer("manifest", "bids", root)
    assert outcome.code == 2
    assert "joy (2, of which 2 last 1 s or longer)" in outcome.err
    assert "--trial-type" in outcome.err


def test_manifest_bids_takes_the_label_column(milmer, root, tmp_path):
    out = tmp_path / "recordings.csv"
    call = ("manifest", "bids", root, "--trial-type", "joy", "--label-column", "trial_type")
    assert milmer(*call, "--out", out, "--participants", "2").code == 0
    assert [line.split(",")[0] for line in out.read_text("utf-8").splitlines()[1:]] == ["sub-02"]
    assert "joy" in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_prepare_bids_root_writes_a_store_of_eeg_only(milmer, root, tmp_path):
    flags = ("--bids-root", root, "--trial-type", "joy,fear", "--set", "eeg.segment_s=2")
    outcome = milmer("prepare", *flags, "--out", tmp_path / "prepared", "--json")
    assert outcome.code == 0
    for name in ("sub-01", "sub-02"):
        with PreparedParticipant.open(tmp_path / f"prepared/{name}.h5") as participant:
            assert participant.trial.tolist() == [1, 1, 1, 2, 2, 2]
            assert not participant.found.any()


def test_manifest_to_bids_without_mne_bids_is_one_sentence(milmer, root, tmp_path, monkeypatch):
    manifest = tmp_path / "recordings.csv"
    call = ("manifest", "bids", root, "--trial-type", "joy,fear", "--out", manifest)
    assert milmer(*call).code == 0
    monkeypatch.setitem(sys.modules, "mne_bids", None)
    outcome = milmer("manifest", "to-bids", manifest, tmp_path / "out")
    assert outcome.code == 2
    assert "mne-bids, which is not installed" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_manifest_to_bids_writes_a_data_set(milmer, root, tmp_path):
    pytest.importorskip("mne_bids")
    manifest = tmp_path / "recordings.csv"
    call = ("manifest", "bids", root, "--trial-type", "joy,fear", "--out", manifest)
    assert milmer(*call).code == 0
    out = tmp_path / "out"
    document = milmer("manifest", "to-bids", manifest, out, "--task", "music", "--json").document
    assert (document["recordings"], document["trials"]) == (2, 4)
    assert (out / "sub-01/eeg/sub-01_task-music_eeg.edf").is_file()
