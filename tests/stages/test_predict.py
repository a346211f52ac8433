from __future__ import annotations

import json
import re

import numpy as np
import pytest

from helpers import GAP_S, RecordingProgress, read_csv, write_discontinuous
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError
from milmer_cli.prediction.eeg_segments import EegSegmentReader
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict import predict

SETTINGS = load_settings(overrides=["run.device=cpu"])


@pytest.mark.slow
def test_predict_writes_table_document_and_page(tmp_path, recording_files, untrained_run):
    out, written = tmp_path / "out", []
    progress = RecordingProgress(lambda: written.append(len(read_csv(out / "timeline.csv"))))
    request = Request(recording_files / "face.mp4", recording_files / "cap.edf")
    result = predict(request, str(untrained_run), Outputs(out), SETTINGS, progress=progress)
    assert written == [1, 2, 3], "each row is written at once"
    rows = read_csv(out / "timeline.csv")
    assert [float(row["onset_s"]) for row in rows] == [0, 3, 6]
    for row, segment in zip(rows, result.segments, strict=True):
        values = [float(row[f"p_{name}"]) for name in ("HAHV", "LAHV", "LALV", "HALV")]
        np.testing.assert_allclose(values, segment.probabilities, atol=1e-6)
        assert row["class"] == result.class_names[int(np.argmax(values))]
        assert float(row["confidence"]) == pytest.approx(max(values), abs=1e-6)
        assert row["faces_found"] == "3"
        assert row["channels_interpolated"] == "0"
        assert (row["valence"], row["arousal"]) == segment.sides
        assert len(row["selected_instances"].split()) == 2
    assert "The EEG lasts 12.0 s from its onset and the video 9.0 s" in progress.text
    assert progress.text.count("The recording has no EOG channel") == 1
    assert sum("The recording has no EOG channel" in note for note in result.notes) == 1
    document = json.loads((out / "timeline.json").read_text())
    assert document == {"format": 1, **json.loads(json.dumps(result.to_json()))}
    assert document["timing"] == {
        "duration_s": 9.0,
        "video_onset_s": 0.0,
        "video_onset_source": "file_start",
        "eeg_onset_s": 0.0,
        "eeg_onset_source": "file_start",
    }
    assert sum(document["eeg_attention"].values()) > 0
    assert list(document["eeg_attention"]) == list(GENEVA)
    page = (out / "report.html").read_text()
    for text in ("41.7 %", "temperature 1.37", "Attention to EEG channels", "Selected faces"):
        assert text in page
    assert page.count("data:image/jpeg") == 6
    labels = dict(result.summary())
    assert labels["test score of the model"] == "trial protocol: accuracy 41.7 %"


def test_predict_of_a_video_that_starts_after_the_stimulus(recording_files, model):
    files = recording_files / "face.mp4", recording_files / "cap.edf"
    in_time = model.predict(*files, duration_s=9.0)
    late = model.predict(*files, video_onset_s=-3.0, eeg_onset_s=0.0)
    assert [segment.faces_found for segment in late.segments] == [0, 3, 3, 3]
    assert "no_face" in late.segments[0].flags
    boxes = [segment.boxes for segment in in_time.segments]
    for segment, expected in zip(late.segments[1:], boxes, strict=True):
        np.testing.assert_array_equal(segment.boxes, expected)


@pytest.mark.slow
def test_predict_never_mixes_two_predictions(tmp_path, monkeypatch, recording_files, model):
    out = tmp_path / "out"
    model.predict(eeg=recording_files / "cap.edf", out=out)
    assert {path.name for path in out.iterdir()} == {
        *("timeline.csv", "timeline.json", "report.html", "log.txt")
    }
    with pytest.raises(InputError, match="There is no EEG file"):
        model.predict(eeg=recording_files / "gone.edf", out=out)
    assert len(list(out.iterdir())) == 4, "an invalid request changes nothing"
    log = (out / "log.txt").read_text()
    assert re.search(r"^test score of the model: .*trial protocol", log, re.MULTILINE)
    assert log.endswith(" s.\n")

    before = {path.name: path.read_bytes() for path in out.iterdir()}
    read = EegSegmentReader.read

    def fails(*_):
        raise InputError("the file ends here")

    monkeypatch.setattr(EegSegmentReader, "read", fails)
    for folder in (out, tmp_path / "new"):
        with pytest.raises(InputError, match="ends here"):
            model.predict(eeg=recording_files / "cap.edf", out=folder)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not (tmp_path / "new").exists()

    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(EegSegmentReader, "read", read)
    with pytest.raises(KeyboardInterrupt):
        model.predict(
            eeg=recording_files / "cap.edf", out=out, progress=RecordingProgress(on_advance=stop)
        )
    assert {path.name for path in out.iterdir()} == {"timeline.csv", "log.txt"}
    log = (out / "log.txt").read_text()
    assert "Interrupted after" in log
    assert "Finished" not in log, "the log of the earlier prediction was removed with it"
    assert len(read_csv(out / "timeline.csv")) == 1, "an interrupted prediction keeps its rows"


def test_predict_rejects_a_folder_with_other_files(tmp_path, recording_files, model):
    other = tmp_path / "other"
    other.mkdir()
    (other / "report.html").write_text("my thesis")
    (other / "timeline.csv").write_text("year,event\n")
    for folder in (other, model.bundle.path, model.bundle.path.parent):
        before = sorted(path.name for path in folder.iterdir())
        with pytest.raises(InputError, match="contains files that are not a prediction"):
            model.predict(eeg=recording_files / "cap.edf", out=folder)
        assert sorted(path.name for path in folder.iterdir()) == before
    assert (other / "report.html").read_text() == "my thesis"


def test_predict_from_python_writes_nothing_by_default(
    tmp_path, monkeypatch, recording_files, model
):
    monkeypatch.chdir(tmp_path)
    result = model.predict(
        str(recording_files / "face.mp4"), recording_files / "cap.edf", duration_s=6
    )
    assert result.probabilities.shape == (2, 4)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_predict_align_check_detects_a_wrong_onset(
    tmp_path, model, write_video, write_edf, make_eeg
):
    blinks = np.sort(np.random.default_rng(4).uniform(1, 28, 14))

    def close_eyes(frame, t):
        if np.any((t >= blinks) & (t < blinks + 0.16)):
            frame[113:131, 155:232] = frame[136:137, 155:232]

    video = write_video(tmp_path / "blinking.mp4", 30.0, fps=25, change=close_eyes)
    times = np.arange(40 * 128) / 128
    pulses = sum(150 * np.exp(-(((times - at - 2.6) / 0.07) ** 2)) for at in blinks)
    signals = np.vstack(
        [make_eeg(40.0), pulses + np.random.default_rng(0).normal(0, 5, len(times))]
    )
    signals[[GENEVA.index("Fp1"), GENEVA.index("Fp2")]] += 0.6 * pulses
    eeg = write_edf(tmp_path / "x.edf", [*GENEVA, "VEOG"], signals)
    progress = RecordingProgress()
    out = tmp_path / "out"
    model.predict(video, eeg, eeg_onset_s=2.0, out=out, align_check=True, progress=progress)
    [message] = [message for message in progress.warnings if "Blinks" in message]
    assert "later in the EEG" in message
    assert "--eeg-onset 2.5" in message or "--eeg-onset 2.6" in message
    assert (out / "align-check.png").stat().st_size > 10_000
    assert "Synchronization of video and EEG" in (out / "report.html").read_text()
    progress = RecordingProgress()
    model.predict(video, eeg, eeg_onset_s=2.55, align_check=True, progress=progress)
    assert "coincide within" in progress.text


@pytest.mark.slow
def test_predict_abstains_in_the_gap_of_a_recording(tmp_path, model, make_eeg):
    eeg = make_eeg(25.0)
    path = write_discontinuous(tmp_path / "gap.edf", GENEVA, eeg)
    result = model.predict(eeg=path, out=tmp_path / "out")
    in_gap = [segment.onset_s for segment in result.segments if "eeg_artifact" in segment.flags]
    assert in_gap == [9.0, 12.0, 15.0], "the gap is from 10 to 17.25 s"
    assert all(np.isfinite(segment.probabilities).all() for segment in result.segments)
    assert len(result.segments) == 10, "32.25 s of time"
    assert any("contain a gap of the recording: 3." in note for note in result.notes)
    marked = model.predict(eeg=path, eeg_event="after", out=tmp_path / "marked")
    assert marked.timing.eeg_onset_s == 16.0 + GAP_S
