"""The one preprocessing path of prepare and predict."""

from dataclasses import replace

import numpy as np
import pytest

import milmer_cli.preprocessing as preprocessing
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import EegBlock, open_eeg
from milmer_cli.faces.segment_faces import FACE_FIELDS, SegmentFaces
from milmer_cli.prediction import predictor
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.preprocessing import LastRecording, instance_times, segment_eeg
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict import predict
from milmer_cli.stages.prepare import prepare
from milmer_cli.store import PreparedParticipant

MANIFEST = """\
participant,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s,valence,arousal
P1,1,1,{folder}/cap.edf,0,{folder}/face.mp4,0,9,7,7
"""
RUN = {"device": "cpu", "workers": 1}


def test_instance_times_are_middles_of_equal_slices():
    times = instance_times(np.array([0.0, 3.0]), 3.0, 3)

    np.testing.assert_allclose(times, [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]])


@pytest.fixture
def segments_of_both(tmp_path, recording_files, untrained_run, monkeypatch):
    """``segments_of_both()``: EEG and faces of one recording, from prepare and from predict."""

    def from_prepare():
        table = tmp_path / "table.csv"
        table.write_text(MANIFEST.format(folder=recording_files))
        settings = open_bundle(untrained_run).settings
        settings = settings.model_copy(update={"run": settings.run.model_copy(update=RUN)})
        prepare(ManifestRecordings(table), tmp_path / "prepared", settings)
        with PreparedParticipant.open(tmp_path / "prepared" / "P1.h5") as p:
            return p.eeg[()], p.trial_faces(1)

    def from_predict():
        chunks, iter_chunks = [], predictor.iter_chunks

        def record(*arguments):
            for chunk in iter_chunks(*arguments):
                chunks.append(chunk)
                yield chunk

        monkeypatch.setattr(predictor, "iter_chunks", record)
        request = Request(recording_files / "face.mp4", recording_files / "cap.edf", duration_s=9.0)
        settings = load_settings(overrides=["run.device=cpu"])
        predict(request, untrained_run, Outputs(None), settings)
        eeg = np.concatenate([chunk.eeg.data for chunk in chunks])
        return eeg, SegmentFaces.concatenate([chunk.faces for chunk in chunks])

    return lambda: (from_prepare(), from_predict())


def assert_equal(prepared, predicted):
    np.testing.assert_array_equal(prepared[0], predicted[0])
    assert prepared[1].images == predicted[1].images
    for name in FACE_FIELDS:
        np.testing.assert_array_equal(getattr(prepared[1], name), getattr(predicted[1], name))


def test_prepare_and_predict_produce_identical_segments(segments_of_both):
    prepared, predicted = segments_of_both()

    assert prepared[0].shape == (3, 32, 384)
    assert prepared[1].found.all()
    assert_equal(prepared, predicted)


def test_prepare_and_predict_both_call_the_shared_functions(segments_of_both, monkeypatch):
    cut_segments, iter_faces = preprocessing.cut_segments, preprocessing.iter_faces
    monkeypatch.setattr(preprocessing, "cut_segments", lambda *args: -np.abs(cut_segments(*args)))
    monkeypatch.setattr(
        preprocessing,
        "iter_faces",
        lambda *args: (
            replace(part, score=np.full_like(part.score, 7)) for part in iter_faces(*args)
        ),
    )

    prepared, predicted = segments_of_both()

    for eeg, faces in (prepared, predicted):  # a command that bypasses preprocessing.py differs
        assert (eeg <= 0).all()
        assert (faces.score == 7).all()
    assert_equal(prepared, predicted)


def test_face_detector_is_loaded_once_per_device(monkeypatch):
    loaded = []
    monkeypatch.setattr(
        preprocessing, "FaceDetector", lambda *args: loaded.append(args) or object()
    )
    settings = load_settings(overrides=["faces.margin=0.123"]).faces

    first = preprocessing.face_detector(settings, "cuda:1")

    assert preprocessing.face_detector(settings, "cuda:1") is first
    assert preprocessing.face_detector(settings, "cpu") is not first
    assert loaded == [(settings, "cuda:1"), (settings, "cpu")]


def test_last_recording_is_that_of_the_same_files_channels_and_settings(
    tmp_path, monkeypatch, write_edf, make_eeg
):
    paths = [tmp_path / f"{name}.edf" for name in "ab"]
    for seed, path in enumerate(paths):
        write_edf(path, GENEVA, make_eeg(12.0, seed))
    first, second = (EegBlock(open_eeg(path), {1: 3.0}) for path in paths)
    settings, last, calls = load_settings().eeg, LastRecording(), []
    original = preprocessing.preprocess_eeg
    monkeypatch.setattr(
        preprocessing, "preprocess_eeg", lambda *args: calls.append(args) or original(*args)
    )
    other = settings.model_copy(update={"band_hz": (4.0, 40.0)})
    for block, used, channels, n_calls in (
        (first, settings, None, 1),
        (replace(first, onset_s={1: 6.0}), settings, None, 1),
        (first, other, None, 2),
        (first, other, GENEVA[:20], 3),
        (second, other, GENEVA[:20], 4),
        (replace(second, raw=second.raw.copy().crop(0, 9)), other, GENEVA[:20], 5),
    ):
        kept = segment_eeg(block, {1: 3.0}, used, channels, last=last)
        assert len(calls) == n_calls
        alone = segment_eeg(block, {1: 3.0}, used, channels)
        calls.pop()
        np.testing.assert_array_equal(kept.trials[1], alone.trials[1])
