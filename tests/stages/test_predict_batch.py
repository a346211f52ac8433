from __future__ import annotations

import os
import re
from dataclasses import replace

import edfio
import mne
import numpy as np
import pytest

from helpers import RecordingProgress, read_csv, write_gdf, write_numbered_video
from milmer_cli import preprocessing
from milmer_cli.bundle.contents import Bundle
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import AS_RECORDED
from milmer_cli.errors import InputError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.prediction.event_requests import event_requests
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.settings import load_settings
from milmer_cli.stages.export import export
from milmer_cli.stages.predict import predict
from milmer_cli.stages.predict_batch import SUMMARY, _load_model, predict_batch, predict_events

SETTINGS = load_settings(overrides=["run.device=cpu", "run.workers=1"])


@pytest.fixture
def table(tmp_path, write_edf, make_eeg):
    for seed, name in enumerate(("a", "b", "c")):
        write_edf(tmp_path / f"{name}.edf", GENEVA[seed * 5 :], make_eeg(9.0, seed)[seed * 5 :])
    path = tmp_path / "list.csv"
    path.write_text("# comment\nname,eeg,eeg_onset_s\nfirst,a.edf,\n,b.edf,3\nthird,c.edf,\n")
    return path


def summary(out):
    return {row["name"]: row for row in read_csv(out / SUMMARY)}


@pytest.mark.slow
def test_predict_batch_predicts_all_and_reports_failures(
    tmp_path, table, untrained_run, write_edf, make_eeg
):
    out = tmp_path / "out"
    first = predict_batch(str(table), str(untrained_run), str(out), SETTINGS)
    assert first.failed == ("third",)
    assert first.to_json()["recordings"][2]["name"] == "third"
    assert dict(first.summary())["failed"].startswith("third; the same command")
    rows = summary(out)
    assert list(rows) == ["first", "b", "third"]
    assert "lacks 10 of the 32 channels" in rows["third"]["error"]
    assert rows["third"]["class"] == ""
    alone = predict(
        Request(eeg=tmp_path / "b.edf", eeg_onset_s=3),
        untrained_run,
        Outputs(tmp_path / "alone"),
        SETTINGS,
    )
    values = [float(rows["b"][f"p_{name}"]) for name in alone.class_names]
    np.testing.assert_allclose(values, alone.mean, atol=1e-6)
    assert rows["b"]["segments"] == "2"
    same = (out / "b" / "timeline.csv").read_text()
    assert same == (tmp_path / "alone" / "timeline.csv").read_text()

    # finished predictions are kept; failed, changed and incomplete ones are repeated
    write_edf(tmp_path / "c.edf", GENEVA, make_eeg(9.0))
    (out / "first" / "report.html").unlink()
    before = (out / "b" / "report.html").stat().st_mtime_ns
    result = predict_batch(table, untrained_run, out, SETTINGS)
    assert result.kept == ("b",)
    assert (out / "b" / "report.html").stat().st_mtime_ns == before
    assert (out / "first" / "report.html").is_file()
    assert {row["error"] for row in summary(out).values()} == {""}
    # the same model in another place
    export(untrained_run, tmp_path / "model.zip")
    moved = predict_batch(table, tmp_path / "model.zip", out, SETTINGS)
    assert moved.kept == ("first", "b", "third")
    os.utime(tmp_path / "b.edf")
    assert predict_batch(table, untrained_run, out, SETTINGS).kept == ("first", "third")
    stricter = load_settings(
        overrides=["run.device=cpu", "run.workers=1", "quality.reject_ptp_uv=90"]
    )
    assert predict_batch(table, untrained_run, out, stricter).kept == ()


def test_predict_batch_rejects_a_folder_that_another_process_writes(tmp_path, untrained_run):
    table = tmp_path / "recordings.csv"
    table.write_text("name,video\na,a.mp4\n")
    with FolderLock(tmp_path / "out"), pytest.raises(InputError, match="is being written by"):
        predict_batch(table, untrained_run, tmp_path / "out", SETTINGS)


@pytest.mark.slow
def test_predict_batch_isolates_unexpected_errors(tmp_path, monkeypatch, table, untrained_run):
    out = tmp_path / "out"
    table.write_text("name,eeg\nb,b.edf\nbroken,a.edf\n")
    predict_batch(table, untrained_run, out, SETTINGS)
    table.write_text("name,eeg\nbroken,a.edf\nb,b.edf\n")
    os.utime(tmp_path / "a.edf")
    original = open_recording

    def fails(path, *rest):
        if path.name == "a.edf":
            raise AttributeError("'ndarray' object has no attribute 'get'")
        return original(path, *rest)

    monkeypatch.setattr("milmer_cli.prediction.predictor.open_recording", fails)
    result = predict_batch(table, untrained_run, out, SETTINGS)
    assert (result.kept, result.failed) == (("b",), ("broken",))
    error = summary(out)["broken"]["error"]
    assert error.startswith("a.edf cannot be predicted: AttributeError: 'ndarray' object")
    assert not list((out / "broken").iterdir()), "no earlier prediction remains beside an error"
    assert (out / "b" / "report.html").is_file()


@pytest.mark.slow
def test_predict_batch_does_not_follow_a_link_with_the_name_of_a_recording(
    tmp_path, table, untrained_run
):
    table.write_text("name,eeg\nb,b.edf\n")
    predict_batch(table, untrained_run, tmp_path / "out", SETTINGS)
    (tmp_path / "victim").mkdir()
    (tmp_path / "out" / "b").rename(tmp_path / "moved")
    (tmp_path / "out" / "b").symlink_to(tmp_path / "victim")
    result = predict_batch(table, untrained_run, tmp_path / "out", SETTINGS)
    assert result.failed == ("b",)
    assert "out/b is a link" in summary(tmp_path / "out")["b"]["error"]
    assert not list((tmp_path / "victim").iterdir())


@pytest.mark.slow
def test_predict_batch_repeats_if_a_data_file_changes(tmp_path, untrained_run, make_eeg):
    signals = make_eeg(6.0)
    write_brainvision(tmp_path / "x.vhdr", signals)
    table = tmp_path / "list.csv"
    table.write_text("eeg\nx.vhdr\n")
    out = tmp_path / "out"
    before = predict_batch(table, untrained_run, out, SETTINGS).rows["x"]
    assert predict_batch(table, untrained_run, out, SETTINGS).kept == ("x",)
    (signals[::-1].T).astype("<f4").tofile(tmp_path / "x.eeg")
    again = predict_batch(table, untrained_run, out, SETTINGS)
    assert again.kept == ()
    assert again.rows["x"].mean != before.mean


def write_brainvision(path, microvolts):
    channels = "\n".join(f"Ch{k}={name},,1,uV" for k, name in enumerate(GENEVA, start=1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n"
        f"DataFile={path.stem}.eeg\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(GENEVA)}\nSamplingInterval={1e6 / 128}\n"
        f"[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\n{channels}\n"
    )
    microvolts.T.astype("<f4").tofile(path.with_suffix(".eeg"))


def test_predict_batch_rejects_a_folder_with_other_files(tmp_path, table, untrained_run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_text("month,income\n")
    with pytest.raises(InputError, match=r"contains files that are not a prediction: summary\.csv"):
        predict_batch(table, untrained_run, tmp_path / "out", SETTINGS)


@pytest.mark.slow
def test_predict_batch_reads_the_manifest_of_prepare(tmp_path, untrained_run, write_edf, make_eeg):
    """One file works for both commands, which read the same part of the EEG for each trial."""
    write_edf(tmp_path / "a.edf", GENEVA, make_eeg(12.0))
    path = tmp_path / "trials.csv"
    path.write_text(
        "participant,trial,stimulus,eeg,eeg_onset_s,duration_s,valence,arousal\n"
        "P1,1,joy,a.edf,2,3,7,6\nP1,2,fear,a.edf,6,5,2,8\n"
    )
    recordings = ManifestRecordings(path)
    (block,) = recordings.eeg_blocks("P1")
    assert block.onset_s == {1: 2.0, 2: 6.0}
    progress = RecordingProgress()
    result = predict_batch(path, untrained_run, tmp_path / "out", SETTINGS, progress=progress)
    assert list(result.rows) == ["P1_1", "P1_2"]
    assert result.failed == ()
    assert any("does not use the columns stimulus" in note for note in progress.messages)
    table = summary(tmp_path / "out")
    assert [row["rated_class"] for row in table.values()] == ["HAHV", "HALV"]
    comparison = result.comparison
    correct = sum(row["class"] == row["rated_class"] for row in table.values())
    assert (comparison.n, comparison.correct, comparison.trained_on) == (2, correct, None)
    assert result.to_json()["ratings"]["majority_rate"] == 0.5
    text = dict(result.summary())["comparison with the ratings"]
    assert f"{correct / 2:.1%} of 2 rated recordings" in text
    assert "The model does not record which files" in text
    assert text in (tmp_path / "out" / "report.html").read_text()
    for trial in recordings.trials("P1"):
        request = Request(
            eeg=tmp_path / "a.edf",
            eeg_onset_s=block.onset_s[trial.trial],
            duration_s=trial.duration_s,
        )
        alone = predict(request, untrained_run, Outputs(), SETTINGS)
        np.testing.assert_allclose(result.rows[f"P1_{trial.trial}"].mean, alone.mean, atol=1e-6)


@pytest.fixture
def session(tmp_path, make_eeg):
    """A session of 30 s with three stimuli of 4 s, 7 s apart, and a single other event."""
    noise = [
        edfio.EdfSignal(row, 128, label=name, physical_dimension="uV")
        for name, row in zip(GENEVA, make_eeg(30.0), strict=True)
    ]
    marks = [edfio.EdfAnnotation(3.0 + 7 * k, 4.0, "stim/a") for k in range(3)]
    path = tmp_path / "session.edf"
    edfio.Edf(noise, annotations=[*marks, edfio.EdfAnnotation(1.0, None, "begin")]).write(path)
    return path


@pytest.mark.slow
def test_predict_events_predicts_each_event_as_if_it_was_alone(
    tmp_path, monkeypatch, untrained_run, session
):
    out, calls = tmp_path / "out", []
    request = Request(eeg=session, eeg_event="stim/a")
    original = preprocessing.preprocess_eeg
    monkeypatch.setattr(
        preprocessing, "preprocess_eeg", lambda *args: calls.append(args) or original(*args)
    )
    result = predict_events(request, untrained_run, out, SETTINGS)
    assert list(result.rows) == ["stim_a_1", "stim_a_2", "stim_a_3"]
    assert len(calls) == 1, "the recording is preprocessed once"
    assert [row.eeg_onset_s for row in result.rows.values()] == [3.0, 10.0, 17.0]
    alone = predict(
        Request(eeg=session, eeg_onset_s=10.0, duration_s=4.0), untrained_run, Outputs(), SETTINGS
    )
    assert len(alone.segments) == result.rows["stim_a_2"].segments == 1
    np.testing.assert_allclose(result.rows["stim_a_2"].mean, alone.mean, atol=1e-6)
    page = (out / "report.html").read_text()
    assert all(f'href="{name}/report.html"' in page for name in result.rows)
    assert [row["eeg_onset_s"] for row in read_csv(out / SUMMARY)] == ["3", "10", "17"]
    with pytest.raises(InputError, match="has no event clip"):
        predict_events(Request(eeg=session, eeg_event="clip"), untrained_run, out, SETTINGS)


def test_predict_warns_of_repeated_events_that_are_not_selected(untrained_run, session):
    progress = RecordingProgress()
    request = Request(eeg=session)
    result = predict(request, untrained_run, Outputs(), SETTINGS, progress=progress)
    [warning] = [text for text in progress.warnings if "events that repeat" in text]
    assert "contains events that repeat, stim/a (3), and none was selected" in warning
    assert '--eeg-event "stim/a" --all-events' in warning
    assert warning in result.notes
    progress = RecordingProgress()
    request = Request(eeg=session, eeg_onset_s=3.0)
    predict(request, untrained_run, Outputs(), SETTINGS, progress=progress)
    assert not any("events" in text for text in progress.warnings)


def test_event_requests_place_the_events_in_the_video(session, tmp_path):
    (tmp_path / "face.mp4").write_bytes(b"not read")
    request = Request(tmp_path / "face.mp4", session, eeg_event="stim/a", video_onset_s=12.5)
    requests = event_requests(request, AS_RECORDED)
    assert [(r.trial, r.video_onset_s) for r in requests.values()] == [
        (1, 12.5), (2, 19.5), (3, 26.5),
    ]  # fmt: skip
    with pytest.raises(InputError, match="--all-events requires"):
        event_requests(Request(eeg=session), AS_RECORDED)


def test_event_requests_require_the_start_in_the_video(session, tmp_path):
    write_numbered_video(tmp_path / "face.mp4")
    message = r"at 3 s cannot be found in the video. \S+session\.edf states no start time\.$"
    with pytest.raises(InputError, match="at 3 s cannot be found in the video") as caught:
        event_requests(Request(tmp_path / "face.mp4", session, eeg_event="stim/a"), AS_RECORDED)
    assert re.search(message, caught.value.message)
    assert "Give --video-onset, the start of the first event" in caught.value.hint


def test_event_requests_require_the_duration_of_triggers(tmp_path):
    path = write_gdf(tmp_path / "x.gdf", code=7)
    assert list(event_requests(Request(eeg=path, eeg_event="7"), AS_RECORDED)) == ["7_1"]
    raw = mne.io.RawArray(np.zeros((1, 900)), mne.create_info(["Cz"], 100.0, "eeg"))
    raw.set_annotations(mne.Annotations([1.0, 5.0], 0.0, "stim"))
    raw.save(tmp_path / "x_raw.fif")
    request = Request(eeg=tmp_path / "x_raw.fif", eeg_event="stim")
    with pytest.raises(InputError, match="no duration of the event stim at 1, 5 s") as caught:
        event_requests(request, AS_RECORDED)
    assert "--duration" in caught.value.hint
    requests = event_requests(replace(request, duration_s=3.0), AS_RECORDED)
    assert [(r.trial, r.duration_s) for r in requests.values()] == [(1, 3.0), (2, 3.0)]


def test_worker_refuses_a_model_that_was_replaced_after_the_start(untrained_run):
    path, settings = untrained_run / "model", load_settings(overrides=["run.device=cpu"])
    digest = Bundle.open(path).digest
    assert _load_model(path, "run", digest, settings).bundle.digest == digest
    with pytest.raises(InputError, match="The model run was replaced during the prediction"):
        _load_model(path, "run", "0" * 64, settings)
