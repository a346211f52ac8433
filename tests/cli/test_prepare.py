"""milmer prepare and milmer inspect as a user calls them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from milmer_cli.demo import DemoSpec, make_demo_data

SMALL = ("--set", "eeg.segment_s=2", "--set", "faces.instances=2", "--set", "faces.size=64")


@pytest.fixture(scope="session")
def deap(made_once):
    spec = DemoSpec(
        participants=2, trials=2, stimulus_s=4.0, formats=("bdf", "dat"), expression_images=0
    )
    return made_once("cli-data", lambda folder: make_demo_data(folder, spec, workers=1))


def test_the_check_is_a_table_and_makes_nothing(milmer, deap, tmp_path):
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


def test_the_check_of_nothing_usable_is_exit_code_2_and_says_where_to_ask(milmer, deap):
    for more in ((), ("--json",)):
        outcome = milmer("prepare", "--deap-root", deap / "face_video", "--check", *more)
        assert outcome.code == 2
        assert "participant_ratings.csv" in outcome.out
        assert "https://www.eecs.qmul.ac.uk/mmv/datasets/deap/" in outcome.out
    assert outcome.document["usable"] is False


def test_the_check_for_scripts_tells_headers_and_classes(milmer, deap):
    document = milmer("prepare", "--deap-root", deap, "--check", "--json").document
    first = document["participants"][0]
    read = {facts["kind"]: facts for facts in first["eeg"]}
    assert (read["bdf"]["sfreq_hz"], read["bdf"]["channels"], read["bdf"]["trials"]) == (512, 32, 2)
    assert first["videos"][0]["fps"] == 50
    assert sum(document["classes"]["s01"].values()) == 2
    assert document["usable"] is True


def test_a_run_begins_with_the_table_and_ends_with_a_store_to_look_at(milmer, deap, tmp_path):
    made = milmer("prepare", "--deap-root", deap, "--workers", "1", *SMALL)
    assert made.code == 0
    assert "LAHV" in made.err
    assert "EEG from .bdf files: s01, s29." in made.err
    assert "participants  2 made, 0 unchanged" in made.out
    again = milmer("prepare", "--deap-root", deap, "--workers", "1", *SMALL, "--json")
    assert again.document["kept"] == ["s01", "s29"]
    seen = milmer("inspect", "prepared", "--trial", "1", "--json")
    assert seen.document["trials"] == 4
    assert (tmp_path / "inspection.html").is_file()


def test_a_broken_recording_is_exit_code_1_when_the_rest_is_made(milmer, deap, tmp_path):
    data = Path(shutil.copytree(deap, tmp_path / "data"))
    video = data / "face_video" / "s01" / "s01_trial01.avi"
    video.write_bytes(b"no video" * 100)
    outcome = milmer("prepare", "--deap-root", data, "--participants", "1", *SMALL, "--json")
    assert outcome.code == 1
    assert "s01, trial 1:" in outcome.err
    assert outcome.document["unreadable"] == ["s01/01"]


def test_one_data_set_must_be_named_and_no_more(milmer, deap, tmp_path):
    (tmp_path / "table.csv").write_text("x")
    for named in ((), ("--deap-root", deap, "--manifest", "table.csv")):
        outcome = milmer("prepare", *named)
        assert outcome.code == 2
        assert "needs one of --deap-root and --manifest" in outcome.err
        assert "--manifest-template" in outcome.err


def test_the_template_is_a_manifest_whose_only_mistakes_are_absent_files(milmer, tmp_path):
    outcome = milmer("prepare", "--manifest-template")
    assert outcome.code == 0
    (tmp_path / "table.csv").write_text(outcome.out)
    refused = milmer("prepare", "--manifest", "table.csv")
    assert refused.code == 2
    mistakes = [line for line in refused.err.splitlines() if line.startswith("  row")]
    assert len(mistakes) == 4
    assert all("there is no" in line for line in mistakes)


def test_the_published_preset_is_told_loudly(milmer, deap):
    outcome = milmer("prepare", "--deap-root", deap, "--check", "--preset", "published", "--quiet")
    assert outcome.err.count("Warning:") == 3
    assert "2-3 electrodes over the whole trial" in outcome.err
