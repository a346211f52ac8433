"""``milmer predict``: assignment of the files, and flags that exclude each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from milmer_cli.prediction.request import Outputs, Request


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
def test_predict_assigns_the_files(milmer, stage, files, arguments, video, eeg):
    predict = stage("predict")
    assert milmer("predict", *arguments, "--model", ".").code == 0
    [((request, *_), _)] = predict.calls
    assert request == Request(video and Path(video), eeg and Path(eeg))


def test_predict_passes_its_flags(milmer, stage, files):
    predict = stage("predict")
    flags = "--eeg-event 4 --trial 2 --video-onset 1 --duration 30 --eog A-B --align-check"
    milmer(
        *("predict", "face.mp4", "cap.edf", "--model", "."),
        *flags.split(),
        *("--video-out", "x.mp4", "--set", "quality.min_faces=0.5"),
    )
    [((request, _, outputs, settings), _)] = predict.calls
    assert settings.quality.min_faces == 0.5
    assert request == Request(
        Path("face.mp4"),
        Path("cap.edf"),
        trial=2,
        eeg_event="4",
        video_onset_s=1.0,
        duration_s=30.0,
        eog="A-B",
    )
    assert outputs == Outputs(Path("prediction"), True, Path("x.mp4"))


def test_predict_passes_how_the_video_is_read(milmer, stage, files):
    predict = stage("predict")
    flags = ["--video-stream", "2", "--video-fps", "29.97"]
    assert milmer("predict", "face.mp4", "--no-eeg", "--model", ".", *flags).code == 0
    [((request, *_), _)] = predict.calls
    assert request == Request(Path("face.mp4"), video_stream=2, video_fps=29.97)


@pytest.mark.parametrize("name", ["12:30:05.mp4", "http:face.mp4", "a b%d.mp4", "-face.mp4"])
def test_predict_accepts_any_file_name(milmer, stage, files, name):
    Path(name).touch()
    predict = stage("predict")
    assert milmer("predict", "--no-eeg", "--model", ".", "--", name).code == 0
    [((request, *_), _)] = predict.calls
    assert request.video == Path(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected VIDEO and EEG, got no file."),
        (["face.mp4"], "or --no-eeg or --no-video to predict without it"),
        (["--no-video"], "--no-video: expected an EEG recording"),
        (["face.mp4", "--no-video", "--no-eeg"], "--no-video and --no-eeg cannot be combined"),
        (["--manifest", "list.csv", "--trial", "2"], "--trial cannot be combined with --manifest"),
        (["--manifest", "list.csv", "--video-fps", "9"], "--video-fps cannot be combined"),
        (["--manifest", "list.csv", "--all-events"], "--all-events cannot be combined"),
        (
            ["cap.edf", "--no-video", "--eeg-event", "4", "--all-events", "--trial", "2"],
            "--trial cannot be combined with --all-events",
        ),
        (["face.mp4", "--manifest", "list.csv"], "VIDEO cannot be combined with --manifest"),
    ],
)
def test_predict_rejects_an_inconsistent_call(milmer, stage, files, arguments, message):
    predict, batch = (
        stage("predict"),
        stage("predict_batch", module="milmer_cli.stages.predict_batch"),
    )
    outcome = milmer("predict", *arguments, "--model", ".")
    assert outcome.code == 2
    assert message in outcome.err
    assert predict.calls == batch.calls == []


def test_predict_passes_a_manifest_to_predict_batch(milmer, stage, files):
    batch = stage("predict_batch", module="milmer_cli.stages.predict_batch")
    milmer("predict", "--manifest", "list.csv", "--model", ".", "--out", "o", "--workers", "3")
    [((manifest, model, out, settings), _)] = batch.calls
    assert (manifest, model, out) == (Path("list.csv"), ".", Path("o"))
    assert settings.run.workers == 3


def test_predict_passes_an_event_to_predict_events(milmer, stage, files):
    events = stage("predict_events", module="milmer_cli.stages.predict_batch")
    flags = ["--eeg-event", "stim", "--all-events", "--video-onset", "2", "--out", "o"]
    assert milmer("predict", "face.mp4", "cap.edf", "--model", ".", *flags).code == 0
    [((request, model, out, _), _)] = events.calls
    assert (model, out) == (".", Path("o"))
    assert request == Request(
        Path("face.mp4"), Path("cap.edf"), eeg_event="stim", video_onset_s=2.0
    )


def test_predict_exits_with_1_if_a_recording_of_the_manifest_failed(milmer, stage, files):
    batch = stage("predict_batch", module="milmer_cli.stages.predict_batch")
    assert milmer("predict", "--manifest", "list.csv", "--model", ".", "--json").code == 0
    batch.complete = False
    outcome = milmer("predict", "--manifest", "list.csv", "--model", ".", "--json")
    assert outcome.code == 1
    assert outcome.document["nested"]


def test_load_model_is_imported_without_torch():
    code = (
        "import sys; from milmer_cli import load_model; assert callable(load_model);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
