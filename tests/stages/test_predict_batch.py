from __future__ import annotations

import os

import numpy as np
import pytest

from helpers import RecordingProgress, read_csv
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.errors import InputError
from milmer_cli.folder_lock import FolderLock
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.request import Outputs, Request
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict import predict
from milmer_cli.stages.predict_batch import SUMMARY, predict_batch

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
    for trial in recordings.trials("P1"):
        request = Request(
            eeg=tmp_path / "a.edf",
            eeg_onset_s=block.onset_s[trial.trial],
            duration_s=trial.duration_s,
        )
        alone = predict(request, untrained_run, Outputs(), SETTINGS)
        np.testing.assert_allclose(result.rows[f"P1_{trial.trial}"].mean, alone.mean, atol=1e-6)
