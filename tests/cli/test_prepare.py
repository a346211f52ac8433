"""``milmer prepare`` and ``milmer inspect`` on a small synthetic data set."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from milmer_cli.datasets.synthetic import SyntheticConfig, generate_dataset

SMALL = ("--set", "eeg.segment_s=2", "--set", "faces.instances=2", "--set", "faces.image_size=64")


@pytest.fixture(scope="session")
def deap(made_once):
    spec = SyntheticConfig(
        participants=2, trials=2, stimulus_s=4.0, formats=("bdf", "dat"), expression_images=0
    )
    return made_once("cli-data", lambda folder: generate_dataset(folder, spec, workers=1))


def test_prepare_check_prints_a_table_and_writes_nothing(milmer, deap, tmp_path):
    outcome = milmer("prepare", "--deap-root", deap, "--check")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    (s01,) = (line.split() for line in lines if line.strip().startswith("s01"))
    assert s01[:5] == ["s01", "bdf", "512", "Hz", "dat"]
    assert s01[5:13] == ["2", "2/2", "50", "fps,", "4", "s", "2", "2"]
    for name in ("HAHV", "LAHV", "LALV", "HALV"):
        assert name in outcome.out
    assert "can be used: yes" in outcome.out
    assert not (tmp_path / "prepared").exists()


def test_prepare_check_without_usable_recordings_exits_with_2(milmer, deap):
    for more in ((), ("--json",)):
        outcome = milmer("prepare", "--deap-root", deap / "face_video", "--check", *more)
        assert outcome.code == 2
        assert "participant_ratings.csv" in outcome.out
        assert "https://www.eecs.qmul.ac.uk/mmv/datasets/deap/" in outcome.out
    assert outcome.document["usable"] is False


def test_prepare_check_json_contains_headers_and_classes(milmer, deap):
    document = milmer("prepare", "--deap-root", deap, "--check", "--json").document
    first = document["participants"][0]
    read = {facts["format"]: facts for facts in first["eeg"]}
    assert (read["bdf"]["sfreq_hz"], read["bdf"]["channels"], read["bdf"]["trials"]) == (512, 32, 2)
    assert first["videos"][0]["fps"] == 50
    assert sum(document["classes"]["s01"].values()) == 2
    assert document["usable"] is True


@pytest.mark.slow
def test_prepare_prints_the_table_and_writes_a_store_for_inspect(milmer, deap, tmp_path):
    planned = milmer("prepare", "--deap-root", deap, "--dry-run", *SMALL)
    assert planned.code == 0
    assert "LAHV" in planned.err
    assert "2 to prepare, 0 unchanged" in planned.out
    assert not (tmp_path / "prepared").exists()
    made = milmer("prepare", "--deap-root", deap, "--workers", "1", *SMALL)
    assert made.code == 0
    log = (tmp_path / "prepared" / "log.txt").read_text()
    assert " $ milmer prepare --deap-root " in log
    assert "EEG from .bdf files: s01, s29." in log
    assert "\nparticipants: 2 prepared, 0 unchanged\n" in log
    assert str(tmp_path) not in log
    assert "LAHV" in made.err
    assert "EEG from .bdf files: s01, s29." in made.err
    assert "2 prepared, 0 unchanged" in made.out
    again = milmer("prepare", "--deap-root", deap, "--workers", "1", *SMALL, "--json")
    assert again.document["unchanged"] == ["s01", "s29"]
    seen = milmer("inspect", "prepared", "--trial", "1", "--json")
    assert seen.document["trials"] == 4
    assert (tmp_path / "inspection.html").is_file()


@pytest.mark.slow
def test_prepare_exits_with_1_if_a_recording_is_unreadable(milmer, deap, tmp_path):
    data = Path(shutil.copytree(deap, tmp_path / "data"))
    video = data / "face_video" / "s01" / "s01_trial01.avi"
    video.write_bytes(b"no video" * 100)
    outcome = milmer("prepare", "--deap-root", data, "--participants", "1", *SMALL, "--json")
    assert outcome.code == 1
    assert "s01, trial 1:" in outcome.err
    assert outcome.document["unreadable_videos"] == ["s01/01"]


def test_prepare_requires_exactly_one_data_set(milmer, deap, tmp_path):
    (tmp_path / "table.csv").write_text("x")
    for named in ((), ("--deap-root", deap, "--manifest", "table.csv")):
        outcome = milmer("prepare", *named)
        assert outcome.code == 2
        assert "Expected one of --deap-root, --manifest," in outcome.err
        assert "--manifest-template" in outcome.err


def test_prepare_manifest_template_is_a_valid_manifest(milmer, tmp_path):
    outcome = milmer("prepare", "--manifest-template")
    assert outcome.code == 0
    (tmp_path / "table.csv").write_text(outcome.out)
    refused = milmer("prepare", "--manifest", "table.csv")
    assert refused.code == 2
    mistakes = [line for line in refused.err.splitlines() if line.startswith("  row")]
    assert len(mistakes) == 3  # two rows have the same EEG file
    assert all("there is no" in line for line in mistakes)


def test_prepare_warns_about_the_defects_of_the_published_preset(milmer, deap):
    outcome = milmer("prepare", "--deap-root", deap, "--check", "--preset", "published", "--quiet")
    assert outcome.err.count("Warning:") == 3
    assert "2-3 electrodes over the whole trial" in outcome.err


def test_prepare_deap_for_a_smaller_cap(milmer, deap):
    cap = "T3;Fp1;Cz;Pz;O1;O2;F3;F4;C3"
    flags = ("--workers", "1", "--participants", "29", "--eeg-channels", cap)
    made = milmer("prepare", "--deap-root", deap, *flags, *SMALL)
    assert made.code == 0
    assert "9 of DEAP's 32 EEG channels are used" in made.err
    refused = milmer("prepare", "--deap-root", deap, "--eeg-unit", "mV")
    assert refused.code == 2
    assert "cannot be combined with --deap-root" in refused.err
