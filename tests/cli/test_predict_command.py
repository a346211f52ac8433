"""``milmer predict``: which of the files is which, and what cannot stand beside what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path):
    for name in ("face.mp4", "cap.edf", "list.csv"):
        (tmp_path / name).write_text("")


@pytest.mark.parametrize(
    ("arguments", "video", "eeg"),
    [
        (["face.mp4", "cap.edf"], "face.mp4", "cap.edf"),
        (["face.mp4", "--no-eeg"], "face.mp4", None),
        (["cap.edf", "--no-video"], None, "cap.edf"),
        (["face.mp4", "cap.edf", "--no-video"], None, "cap.edf"),
        (["face.mp4", "cap.edf", "--no-eeg"], "face.mp4", None),
    ],
)
def test_the_files_reach_the_stage(milmer, stage, files, arguments, video, eeg):
    predict = stage("predict")
    assert milmer("predict", *arguments, "--model", ".").code == 0
    [(given, named)] = predict.calls
    assert given[:2] == (video and Path(video), eeg and Path(eeg))
    assert named["trial"] is None


def test_flags_reach_the_stage(milmer, stage, files):
    predict = stage("predict")
    flags = "--eeg-event 4 --trial 2 --video-onset 1 --duration 30 --eog A-B --align-check"
    milmer(
        *("predict", "face.mp4", "cap.edf", "--model", "."),
        *flags.split(),
        *("--video-out", "x.mp4", "--set", "predict.min_faces=0.5"),
    )
    [((*_, settings), named)] = predict.calls
    assert settings.predict.min_faces == 0.5
    del named["progress"]
    assert named == {
        "trial": 2,
        "eeg_event": "4",
        "video_onset_s": 1.0,
        "eeg_onset_s": None,
        "duration_s": 30.0,
        "eog": "A-B",
        "align_check": True,
        "video_out": Path("x.mp4"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "There is nothing to predict."),
        (["face.mp4"], "say what is absent: --no-eeg or --no-video"),
        (["--no-video"], "--no-video needs an EEG recording"),
        (["face.mp4", "--no-video", "--no-eeg"], "leave nothing to predict from"),
        (["--manifest", "list.csv", "--trial", "2"], "--trial cannot stand beside --manifest"),
        (["face.mp4", "--manifest", "list.csv"], "VIDEO cannot stand beside --manifest"),
    ],
)
def test_a_call_that_cannot_be_meant_is_one_sentence(milmer, stage, files, arguments, message):
    predict, many = stage("predict"), stage("predict_many")
    outcome = milmer("predict", *arguments, "--model", ".")
    assert outcome.code == 2
    assert message in outcome.err
    assert predict.calls == many.calls == []


def test_a_manifest_goes_to_the_many(milmer, stage, files):
    many = stage("predict_many")
    milmer("predict", "--manifest", "list.csv", "--model", ".", "--out", "o", "--workers", "3")
    [((manifest, model, out, settings), _)] = many.calls
    assert (manifest, model, out) == (Path("list.csv"), Path(), Path("o"))
    assert settings.run.workers == 3


def test_failures_among_many_are_shown_as_rows_and_end_with_1(milmer, stage, files):
    many = stage("predict_many")
    assert milmer("predict", "--manifest", "list.csv", "--model", ".", "--json").code == 0
    many.complete = False
    outcome = milmer("predict", "--manifest", "list.csv", "--model", ".", "--json")
    assert outcome.code == 1
    assert outcome.document["nested"]


def test_the_python_door_is_light():
    code = (
        "import sys; from milmer_cli import load_model; assert callable(load_model);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
