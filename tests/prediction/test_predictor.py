from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from importlib.util import find_spec

import av
import mne
import numpy as np
import pytest
import torch

from helpers import RecordingProgress, edit_bundle, read_csv, replace_bundle_file
from milmer_cli import load_model
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.device import Device
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError, WeightsError
from milmer_cli.prediction import predictor
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.training_differences import training_differences
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict import load_model as load_model_with
from milmer_cli.training.run_dir import Run


def test_predictor_matches_names_order_and_unit_of_channels(
    tmp_path, recording_files, model, write_edf, make_eeg
):
    old = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
    names = [f"EEG {old.get(name, name).upper()}-REF" for name in GENEVA]
    order = np.random.default_rng(1).permutation(len(names))
    signals = np.vstack([make_eeg(12.0)[order], make_eeg(12.0, seed=9)[:1]])
    labels = [*(names[k] for k in order), "EEG Fpz-REF"]
    path = write_edf(tmp_path / "clinic.edf", labels, signals, unit="mV", scale=1e-3)
    progress = RecordingProgress()
    reference = model.predict(eeg=recording_files / "cap.edf")
    other = model.predict(eeg=path, progress=progress)
    np.testing.assert_allclose(other.probabilities, reference.probabilities, atol=2e-3)
    assert "EEG T3-REF for T7" in progress.text
    assert "Channels that the model does not use: EEG Fpz-REF" in progress.text
    assert not any(segment.interpolated for segment in other.segments)


@pytest.mark.parametrize(
    ("scope", "sentence"),
    [("transductive", "TRANSDUCTIVE) with this recording"), ("inductive", "average of the train")],
)
def test_predictor_states_how_the_eeg_is_aligned(
    scope, sentence, tmp_path, write_run, recording_files
):
    overrides = ["model.eeg_alignment=euclidean", f"model.eeg_alignment_scope={scope}"]
    progress, results = RecordingProgress(), []
    for name, settings in (("aligned", overrides), ("plain", [])):
        torch.manual_seed(0)
        model = load_model(write_run(tmp_path / name, *settings))
        results.append(model.predict(eeg=recording_files / "cap.edf", progress=progress))
    assert progress.text.count(sentence) == 1
    aligned, plain = results
    # the map of a model that was not trained is the identity
    changed = np.abs(aligned.probabilities - plain.probabilities).max() > 1e-4
    assert changed == (scope == "transductive")


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", "{}", '{"headline": "x", "calibration": 1}', '{"headline": "x", '
     '"calibration": {"as_trained": {}}}', '{"headline": "x", "headline_per_modality": []}'],
)  # fmt: skip
def test_predictor_reads_the_metrics_of_the_model_before_any_segment(tmp_path, write_run, content):
    run = write_run(tmp_path / "run")
    if content is None:
        (run / "model" / "metrics.json").unlink()
    else:
        replace_bundle_file(run / "model", "metrics.json", content.encode())
    with pytest.raises(InputError, match=r"metrics\.json") as caught:
        load_model(run)
    assert "train again" in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("line", ["segment_s: 1.5", "sfreq_hz: 200.0", "band_hz: [2.0, 40.0]"])
def test_run_load_model_refuses_settings_of_another_model(tmp_path, untrained_run, line):
    run = shutil.copytree(untrained_run, tmp_path / "run")
    key = line.partition(":")[0]
    text = (run / "settings.yaml").read_text()
    (run / "settings.yaml").write_text(re.sub(rf"(?m)^(\s+){key}:.*$", rf"\1{line}", text))
    with pytest.raises(InputError, match=r"settings\.yaml does not belong to the model"):
        Run.open(run).load_model()


@pytest.mark.parametrize(("key", "value"), [("segment_s", 1.5), ("sfreq_hz", 200.0)])
def test_load_model_refuses_a_bundle_with_settings_of_another_model(
    tmp_path, untrained_run, key, value
):
    run = shutil.copytree(untrained_run, tmp_path / "run")
    edit_bundle(run / "model", lambda document: document["settings"]["eeg"].update({key: value}))
    with pytest.raises(InputError, match=r"bundle\.json does not belong to the model"):
        load_model(run)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("channels", [*GENEVA[:-1]], "does not belong to the model: expected 32 EEG channels"),
        ("channels", [*GENEVA[:-1], 3.5], r"channels: expected a list of different names"),
        ("channels", [*GENEVA[:-1], "Fp1"], r"channels: expected a list of different names"),
        ("settings.eeg.sfreq_hz", 2048, "does not belong to the model: expected segments of"),
        ("settings.eeg.sfreq_hz", "many", r"eeg\.sfreq_hz: expected"),
        ("settings.eeg.sfreq_hz", 1e999, r"eeg\.sfreq_hz: expected"),
        ("settings.faces.instances", 0, r"faces\.instances: expected"),
        ("settings.faces.image_size", 0, r"faces\.image_size: expected"),
        ("settings.faces.detector", ["sfd"], r"faces\.detector: expected"),
        ("settings.evaluate", {"folds": 3}, "unknown section evaluate"),
        ("training.cleaned", "s01", "training: expected counts"),
        ("training.eog_methods", {"ica": "many"}, "training: expected counts"),
        ("temperatures", {"both": 0}, "temperatures: expected positive numbers"),
        ("classes", ["a", "b"], "does not belong to the model: expected 4 classes, got 2"),
        ("classes", ["a", "b", "c", 4], "classes: expected a list of different names"),
    ],
)
def test_load_model_refuses_a_damaged_bundle_document(
    tmp_path, untrained_run, path, value, message
):
    run = shutil.copytree(untrained_run, tmp_path / "run")

    def edit(document):
        *parents, name = path.split(".")
        for parent in parents:
            document = document[parent]
        document[name] = value

    edit_bundle(run / "model", edit)
    with pytest.raises(InputError, match=message) as caught:
        load_model(run)
    assert "bundle.json" in caught.value.message
    assert "\n" not in caught.value.message


def test_predictor_detects_faces_on_the_device_of_the_model(
    recording_files, untrained_run, monkeypatch
):
    settings = load_settings(overrides=["run.device=cpu"])
    other = replace(Device.from_settings(settings.run), type="meta")
    monkeypatch.setattr(predictor.Device, "from_settings", lambda run: other)
    devices = []
    monkeypatch.setattr(predictor, "iter_chunks", lambda *args: iter(devices.append(args[4]) or ()))

    with pytest.raises(InputError, match="less than one segment"):
        load_model_with(untrained_run, settings).predict(video=recording_files / "face.mp4")

    assert devices == ["meta"]


def test_predictor_uses_the_detector_of_the_training_data(
    tmp_path, write_run, recording_files, monkeypatch
):
    run = write_run(tmp_path / "run", "faces.detector=auto")
    edit_bundle(
        run / "model", lambda document: document["settings"]["faces"].update(detector="sfd")
    )

    model = load_model_with(run, load_settings(overrides=[f"faces.weights_dir={tmp_path}"]))

    assert model.bundle.settings.faces.detector == "sfd"
    with pytest.raises(WeightsError, match="sfd needs the weights"):  # and no other is used
        model.predict(video=recording_files / "face.mp4")


@pytest.mark.parametrize(
    ("cleaned", "expected"),
    [(0, ""), (2, "on DEAP's preprocessed EEG"), (1, "on 1 of 2 of DEAP's")],
)
def test_training_differences_of_a_model_of_preprocessed_eeg(
    tmp_path, recording_files, write_run, cleaned, expected
):
    run = write_run(tmp_path / "run")
    edit_bundle(
        run / "model",
        lambda document: document["training"].update(participants=2, cleaned=cleaned),
    )
    result = load_model(run).predict(eeg=recording_files / "cap.edf")
    notes = [note for note in result.notes if "preprocessed" in note]
    assert len(notes) == bool(expected)
    assert all(expected in note and "in the same band (1 to 50 Hz)" in note for note in notes)


@pytest.mark.parametrize(
    ("methods", "eog", "expected"),
    [
        ({"eog_regression": 3, "none": 1}, False, "In 3 of 4 training recordings, eye artifacts"),
        ({"eog_regression": 4}, True, ""),
        ({"frontal_components": 3, "none": 1}, True, "none of the 4 training recordings"),
        ({"frontal_components": 3, "none": 1}, False, ""),
        ({}, False, ""),  # a model that does not record it
    ],
)
def test_training_differences_of_the_eye_artifacts(
    tmp_path, write_run, write_edf, make_eeg, methods, eog, expected
):
    run = write_run(tmp_path / "run")
    edit_bundle(run / "model", lambda document: document["training"].update(eog_methods=methods))
    eeg = make_eeg(6.0)
    names, data = (*GENEVA, "VEOG"), np.vstack([eeg, 3 * eeg[:1]])
    path = write_edf(tmp_path / "x.edf", names[: 32 + eog], data[: 32 + eog])
    opened = open_bundle(run)
    notes = list(training_differences(opened, open_recording(path, opened)))
    found = [note for note in notes if "EOG" in note]
    assert len(found) == bool(expected)
    assert all(expected in note for note in found)


def test_predictor_interpolates_few_missing_channels_and_rejects_many(
    tmp_path, model, write_edf, make_eeg
):
    signals = make_eeg(9.0)
    path = write_edf(tmp_path / "few.edf", GENEVA[3:], signals[3:])
    progress = RecordingProgress()
    result = model.predict(eeg=path, progress=progress)
    assert "interpolated from their neighbors: Fp1, AF3, F3" in progress.text
    assert {segment.interpolated for segment in result.segments} == {3}
    assert all("eeg_interpolated" in segment.flags for segment in result.segments)
    assert progress.notes.index(("info", next(m for _, m in progress.notes if "Fp1" in m))) == 0
    half = [0, 3, 4, 6, 8, 10, 12, 15, 16, 19, 21, 24, 27, 29, 30, 31]
    path = write_edf(tmp_path / "half.edf", [GENEVA[k] for k in half], signals[half])
    lenient = load_settings(overrides=["run.device=cpu", "quality.max_bad_channels=0.5"])
    result = load_model_with(model.bundle.path, lenient).predict(eeg=path)
    assert {segment.interpolated for segment in result.segments} == {16}
    assert not result.abstained.any()
    many = write_edf(tmp_path / "many.edf", GENEVA[9:], signals[9:])
    with pytest.raises(InputError, match="lacks 9 of the 32 channels") as caught:
        model.predict(eeg=many)
    assert "--no-eeg" in caught.value.hint


def test_predictor_starts_at_an_event(tmp_path, model, make_eeg):
    info = mne.create_info(list(GENEVA), 128.0, "eeg")
    raw = mne.io.RawArray(make_eeg(20.0) * 1e-6, info, verbose="error")
    raw.set_annotations(mne.Annotations([2.0, 9.0], 0.0, ["clip", "clip"]))
    path = tmp_path / "x_raw.fif"
    raw.save(path, verbose="error")
    with pytest.raises(InputError, match="contains the event clip 2 times") as caught:
        model.predict(eeg=path, eeg_event="clip")
    assert "--trial 1 to --trial 2" in caught.value.hint
    marked = model.predict(eeg=path, eeg_event="clip", trial=2)
    given = model.predict(eeg=path, eeg_onset_s=9.0)
    np.testing.assert_array_equal(marked.probabilities, given.probabilities)
    assert len(marked.segments) == 3


def test_predictor_with_one_modality_reports_its_test_score(
    tmp_path, recording_files, model, write_run
):
    progress = RecordingProgress()
    result = model.predict(eeg=recording_files / "cap.edf", progress=progress)
    assert result.model.test_score == "with EEG alone: trial protocol: accuracy 31.3 %"
    assert ("warning", result.notes[0]) in progress.notes
    assert "31.3 %" in result.notes[0]
    no_dropout = write_run(tmp_path / "run", "model.modality_dropout=0")
    out = tmp_path / "out"
    result = load_model(no_dropout).predict(recording_files / "face.mp4", out=out)
    assert "without modality dropout" in result.notes[0]
    assert "not tested" in result.model.test_score
    assert read_csv(out / "timeline.csv")[0]["channels_interpolated"] == ""


def test_predictor_of_an_eeg_model_ignores_the_video(tmp_path, recording_files, write_run):
    eeg_model = load_model(write_run(tmp_path / "eeg", "model.modalities=eeg"))
    progress = RecordingProgress()
    result = eeg_model.predict(
        recording_files / "face.mp4", recording_files / "cap.edf", duration_s=9, progress=progress
    )
    assert "the video is ignored" in progress.text
    assert result.segments[0].faces_found is None
    assert result.model.test_score == "trial protocol: accuracy 41.7 %"
    with pytest.raises(InputError, match="uses EEG only"):
        eeg_model.predict(recording_files / "face.mp4")
    with pytest.raises(InputError, match="--video-out annotates the video, and no video is used"):
        eeg_model.predict(
            recording_files / "face.mp4", recording_files / "cap.edf", video_out=tmp_path / "x.mp4"
        )
    with pytest.raises(InputError, match="only one of the two is used"):
        eeg_model.predict(
            recording_files / "face.mp4", recording_files / "cap.edf", align_check=True
        )


@pytest.mark.slow
def test_predictor_abstains_if_the_quality_is_too_low(
    tmp_path, model, write_video, write_edf, make_eeg
):
    video = write_video(tmp_path / "face.mp4", 9.0, visible=lambda t: not 3 <= t < 6)
    result = model.predict(video)
    assert [segment.faces_found for segment in result.segments] == [3, 0, 3]
    assert result.abstained.tolist() == [False, True, False]
    assert result.segments[1].flags == ("no_face", "abstained")
    np.testing.assert_allclose(result.mean, result.probabilities[[0, 2]].mean(axis=0))

    signals = make_eeg(12.0)
    signals[4:16, 500:520] += 3000  # artifacts on 12 channels in the second segment
    eeg = write_edf(tmp_path / "artifact.edf", GENEVA, signals)
    flags = [segment.flags for segment in model.predict(video, eeg).segments]
    assert "abstained" not in flags[0]
    assert flags[1][-1] == "abstained"
    assert "eeg_artifact" in flags[1]
    without_eeg = model.predict(video).segments[0]
    signals[4:16, 100:120] += 3000
    worse = write_edf(tmp_path / "worse.edf", GENEVA, signals)
    masked = model.predict(video, worse).segments[0]
    assert masked.flags == ("eeg_artifact",)
    np.testing.assert_array_equal(masked.probabilities, without_eeg.probabilities)
    good_eeg = write_edf(tmp_path / "good.edf", GENEVA, make_eeg(12.0))
    assert model.predict(video, good_eeg).segments[1].flags == ("no_face",)

    strict = load_settings(overrides=["run.device=cpu", "predict.min_confidence=0.99"])
    result = load_model_with(model.bundle.path, strict).predict(video, out=tmp_path / "out")
    assert result.mean is None
    assert "abstained on every segment" in (tmp_path / "out" / "report.html").read_text()


def test_predictor_does_not_use_too_few_faces(tmp_path, model, write_video, write_edf, make_eeg):
    eeg = write_edf(tmp_path / "good.edf", GENEVA, make_eeg(6.0))
    video = write_video(tmp_path / "face.mp4", 3.0, visible=lambda t: t < 1)
    strict = load_settings(overrides=["run.device=cpu", "quality.min_faces=0.5"])
    predicted = load_model_with(model.bundle.path, strict).predict(video, eeg).segments[0]
    assert predicted.faces_found == 1
    assert predicted.flags == ("few_faces",)
    alone = model.predict(eeg=eeg).segments[0]
    np.testing.assert_array_equal(predicted.probabilities, alone.probabilities)
    used = model.predict(video, eeg).segments[0]
    assert not np.array_equal(used.probabilities, alone.probabilities)


def test_predictor_has_the_quality_rule_of_its_run(tmp_path, write_run, write_edf, make_eeg):
    """The default of the settings, 25 %, does not replace the 50 % of the run."""
    run = write_run(tmp_path / "run", "quality.max_bad_channels=0.5")
    signals = make_eeg(6.0)
    signals[4:16] = 0
    eeg = write_edf(tmp_path / "flat.edf", GENEVA, signals)
    assert not load_model(run).predict(eeg=eeg).segments[0].abstained
    strict = load_settings(overrides=["run.device=cpu", "quality.max_bad_channels=0.25"])
    assert load_model_with(run, strict).predict(eeg=eeg).segments[0].abstained


@pytest.mark.slow
def test_predictor_reports_a_modality_that_is_unusable(
    tmp_path, model, write_video, write_edf, make_eeg
):
    no_face = write_video(tmp_path / "no_face.mp4", 3.0, visible=lambda t: False)
    signals = make_eeg(6.0)
    eeg = write_edf(tmp_path / "good.edf", GENEVA, signals)
    progress = RecordingProgress()
    result = model.predict(no_face, eeg, out=tmp_path / "out", progress=progress)
    assert result.model.test_score == "with EEG alone: trial protocol: accuracy 31.3 %"
    assert "No face of the participant was found in the video" in result.notes[0]
    assert ("warning", result.notes[0]) in progress.notes
    document = json.loads((tmp_path / "out" / "timeline.json").read_text())
    assert document["test_score"] == result.model.test_score
    assert document["notes"][0] == result.notes[0]

    signals[4:16, 100:120] += 3000
    bad = write_edf(tmp_path / "bad.edf", GENEVA, signals)
    progress = RecordingProgress()
    result = model.predict(write_video(tmp_path / "v.mp4", 3.0), bad, progress=progress)
    assert result.model.test_score.startswith("with video alone")
    assert "The EEG has too many artifacts in all segments" in result.notes[0]
    assert ("warning", result.notes[0]) in progress.notes


def test_predictor_reports_interpolated_channels(tmp_path, model, write_edf, make_eeg):
    signals = make_eeg(6.0)
    signals[5] = 0
    progress = RecordingProgress()
    result = model.predict(eeg=write_edf(tmp_path / "flat.edf", GENEVA, signals), progress=progress)
    [note] = [note for note in result.notes if note.startswith("Interpolated")]
    assert GENEVA[5] in note
    assert ("info", note) in progress.notes


def test_predictor_warns_if_most_channels_are_bad(tmp_path, model, write_edf, make_eeg):
    signals = make_eeg(12.0)
    signals[3:20] += np.random.default_rng(0).normal(0, 400, (17, signals.shape[1]))
    progress = RecordingProgress()
    path = write_edf(tmp_path / "loose.edf", GENEVA, signals)
    result = model.predict(eeg=path, progress=progress)
    assert result.abstained.all()
    [warning] = [text for level, text in progress.notes if level == "warning" and "53 %" in text]
    assert "more than 25 % of the channels are bad" in warning


def test_predictor_detects_flat_channels_before_the_reference(tmp_path, model, write_edf, make_eeg):
    signals = make_eeg(12.0)
    signals[:20] = 0
    flat = model.predict(eeg=write_edf(tmp_path / "flat.edf", GENEVA, signals))
    assert flat.abstained.all()
    assert {segment.eeg_good for segment in flat.segments} == {12 / 32}
    assert any("20 of 32 channels are bad and were kept: Fp1 (flat" in note for note in flat.notes)

    signals = make_eeg(15.0)
    # nine channels are flat from 10 s on
    signals[:9, 10 * 128 :] = signals[:9, 10 * 128 : 10 * 128 + 1]
    late = model.predict(eeg=write_edf(tmp_path / "late.edf", GENEVA, signals))
    assert late.segments[0].eeg_good == 1
    assert late.segments[4].eeg_good == 23 / 32
    assert late.segments[4].flags == ("eeg_artifact", "abstained")

    signals = make_eeg(12.0)
    signals[:2] = 0
    result = model.predict(eeg=write_edf(tmp_path / "two.edf", GENEVA, signals))
    assert {segment.interpolated for segment in result.segments} == {2}
    assert not result.abstained.any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("cap.edf", "face.mp4"),
            "is an EEG recording and .*face.mp4 is a video: the two are swapped",
        ),
        (("song.mp3", "cap.edf"), "contains only audio"),
        (("face.mp4", "face.mp4"), "cannot be read as EEG"),
        (("face.mp4", "gone.edf"), "There is no EEG file"),
    ],
)
def test_predictor_explains_wrong_files(tmp_path, recording_files, model, names, message):
    with av.open(str(tmp_path / "song.mp3"), "w") as container:
        track = container.add_stream("mp3", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.rate = 44100
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    paths = [tmp_path / name if name == "song.mp3" else recording_files / name for name in names]
    with pytest.raises(InputError, match=message):
        model.predict(*paths)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (1e-6, "volts under a header that states microvolts"),
        (3e4, "counts of the analog-to-digital converter"),
    ],
)
def test_predictor_rejects_impossible_amplitudes(
    tmp_path, model, write_edf, make_eeg, scale, words
):
    path = write_edf(tmp_path / "x.edf", GENEVA, make_eeg(9.0), scale=scale)
    with pytest.raises(InputError, match=words):
        model.predict(eeg=path)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (1e-2, "millivolts under a header that states microvolts"),
        (20, "counts of the analog-to-digital converter"),
    ],
)
def test_predictor_warns_of_unlikely_amplitudes(tmp_path, model, write_edf, make_eeg, scale, words):
    path = write_edf(tmp_path / "x.edf", GENEVA, make_eeg(9.0), scale=scale)
    progress = RecordingProgress()
    result = model.predict(eeg=path, progress=progress)
    [warning] = [text for text in progress.warnings if "microvolts after filtering" in text]
    assert words in warning
    assert warning == result.notes[0]


def test_predictor_warns_if_most_segments_have_artifacts(tmp_path, model, write_edf, make_eeg):
    signals = make_eeg(12.0)
    signals[::2, ::64] += 3000
    progress = RecordingProgress()
    model.predict(eeg=write_edf(tmp_path / "x.edf", GENEVA, signals), progress=progress)
    assert "In 4 of 4 segments more than 25% of the channels" in progress.text


def test_predictor_warns_of_truncated_files(tmp_path, model, write_video, write_edf, make_eeg):
    random = np.random.default_rng(0)

    def noisy(frame, t):  # so that all frames have about the same size
        frame[300:] = random.integers(0, 255, (20, 400, 3))

    video = write_video(tmp_path / "v.mkv", 9.0, change=noisy)
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 6 // 10])
    eeg = write_edf(tmp_path / "e.edf", GENEVA, make_eeg(12.0))
    content = eeg.read_bytes()[: 256 * 33 + 9 * 32 * 128 * 2]
    eeg.write_bytes(content)
    with pytest.raises(InputError, match=r"e\.edf is truncated: .* 12 data records"):
        model.predict(video, eeg)
    eeg.write_bytes(content[:236] + b"-1      " + content[244:])
    progress = RecordingProgress()
    result = model.predict(video, eeg, progress=progress)
    assert "e.edf was not closed by its recorder" in progress.text
    assert "of 3 segments, from 3 s on, frames of the video cannot be decoded" in progress.text
    assert ["video_lost" in segment.flags for segment in result.segments] == [False, True, True]


@pytest.mark.parametrize("step", ["preprocess_eeg", "cut_segments", "iter_faces"])
def test_predictor_uses_the_preprocessing_of_prepare(monkeypatch, recording_files, model, step):
    class StepUsedError(Exception):
        pass

    def use(*_, **__):
        raise StepUsedError

    monkeypatch.setattr(f"milmer_cli.preprocessing.{step}", use)
    with pytest.raises(StepUsedError):
        model.predict(recording_files / "face.mp4", recording_files / "cap.edf")


def test_predictor_channel_names_and_unit_are_given_by_the_user(
    tmp_path, untrained_run, model, write_edf, make_eeg
):
    eeg = make_eeg(9.0)
    clean = model.predict(eeg=write_edf(tmp_path / "clean.edf", GENEVA, eeg))
    # volts under a header that states microvolts, with the names of the amplifier's inputs,
    # and a counter that must not enter the average reference
    names = [f"In {number}" for number in range(32)]
    counter = np.arange(eeg.shape[1])[None] % 129
    odd = write_edf(
        tmp_path / "odd.edf", ["COUNTER", *names], np.concatenate([counter, eeg]), scale=1e-3
    )
    with pytest.raises(InputError, match="lacks 32 of the 32 channels") as caught:
        model.predict(eeg=odd)
    assert "--channels" in caught.value.hint
    table = tmp_path / "names.csv"
    rows = [f"{old},{new}" for old, new in zip(names, GENEVA, strict=True)]
    table.write_text("\n".join(["channel,name", *rows]))
    settings = load_settings(overrides=[f"data.channels_file={table}", "data.eeg_unit=mV"])
    result = load_model_with(untrained_run, settings).predict(eeg=odd)
    np.testing.assert_allclose(result.mean, clean.mean, atol=1e-3)


def test_predict_several_video_streams_uses_the_one_with_a_face(
    tmp_path, recording_files, untrained_run, model
):
    with (
        av.open(str(recording_files / "face.mp4")) as source,
        av.open(str(tmp_path / "v.mkv"), "w") as target,
    ):
        video = source.streams.video[0]
        empty = target.add_stream("libx264", rate=10)
        empty.width, empty.height, empty.pix_fmt = 64, 64, "yuv420p"
        copied = target.add_stream_from_template(video)
        blank = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
        for packet in source.demux(video):
            target.mux(empty.encode(blank))
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
        target.mux(empty.encode())

    whole = model.predict(recording_files / "face.mp4", duration_s=3)
    result = model.predict(tmp_path / "v.mkv", duration_s=3)
    other = model.predict(tmp_path / "v.mkv", video_stream=1, duration_s=3)

    assert result.request.video_stream == 2
    assert any("Stream 2 is used" in note for note in result.notes)
    assert result.faces_found == whole.faces_found > 0.9
    np.testing.assert_allclose(result.probabilities, whole.probabilities, atol=1e-4)
    assert other.faces_found == 0
    assert any("No face was found in any frame" in note for note in other.notes)
    assert not any("No face was found" in note for note in whole.notes)


def test_predict_video_without_time_stamps_needs_its_frame_rate(tmp_path, recording_files, model):
    with (
        av.open(str(recording_files / "face.mp4")) as source,
        av.open(str(tmp_path / "v.h264"), "w") as target,
    ):
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)

    with pytest.raises(InputError, match="no time stamps"):
        model.predict(tmp_path / "v.h264")
    result = model.predict(tmp_path / "v.h264", video_fps=10.0)

    expected = model.predict(recording_files / "face.mp4")
    assert len(result.segments) == 3
    np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra openvino")
def test_predictor_states_the_engine_and_gives_equal_probabilities(recording_files, untrained_run):
    results = {}
    for inference in ("torch", "openvino", "auto"):
        overrides = ["run.device=cpu", f"run.inference={inference}"]
        model = load_model_with(untrained_run, load_settings(overrides=overrides))
        results[inference] = model.predict(video=recording_files / "face.mp4")
    torch_device = results["torch"].device
    assert torch_device.endswith("float32")
    assert results["auto"].device == torch_device  # few faces
    assert results["openvino"].device.startswith(f"{torch_device}, inference with OpenVINO 20")
    probabilities = [results[name].probabilities for name in ("torch", "openvino")]
    np.testing.assert_allclose(*probabilities, atol=1e-5, rtol=0)
