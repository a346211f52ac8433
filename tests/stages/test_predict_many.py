"""Many recordings from one table: side by side, resumable, and none that takes the others along."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict import predict
from milmer_cli.stages.predict_many import SUMMARY, predict_many
from milmer_cli.stages.predicting.signals import open_recording
from milmer_cli.stages.predicting.table import read_recordings

SETTINGS = load_settings(overrides=["run.device=cpu", "run.workers=1"])


@pytest.fixture
def table(tmp_path, write_edf, brain):
    for seed, name in enumerate(("a", "b", "c")):
        write_edf(tmp_path / f"{name}.edf", GENEVA[seed * 5 :], brain(9.0, seed)[seed * 5 :])
    path = tmp_path / "list.csv"
    path.write_text("# my recordings\nname,eeg,eeg_onset\nfirst,a.edf,\n,b.edf,3\nthird,c.edf,\n")
    return path


def summary(out):
    with (out / SUMMARY).open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_all_that_can_be_predicted_is_and_what_fails_says_why(
    tmp_path, table, run, write_edf, brain
):
    out = tmp_path / "out"
    first = predict_many(table, run, out, SETTINGS)
    assert first.failed == ("third",)
    assert first.to_json()["recordings"][2]["name"] == "third"
    assert dict(first.summary())["1 failed"].startswith("third; the same command")
    rows = summary(out)
    assert list(rows) == ["first", "b", "third"]
    assert "lacks 10 of the 32 channels" in rows["third"]["error"]
    assert rows["third"]["class"] == ""
    alone = predict(None, tmp_path / "b.edf", run, tmp_path / "alone", SETTINGS, eeg_onset_s=3)
    told = [float(rows["b"][f"p_{name}"]) for name in alone.class_names]
    np.testing.assert_allclose(told, alone.mean, atol=1e-6)
    assert rows["b"]["segments"] == "2"
    same = (out / "b" / "timeline.csv").read_text()
    assert same == (tmp_path / "alone" / "timeline.csv").read_text()

    # what is done stays as it is; what failed, changed or was stopped is made again
    write_edf(tmp_path / "c.edf", GENEVA, brain(9.0))
    (out / "first" / "report.html").unlink()
    before = (out / "b" / "report.html").stat().st_mtime_ns
    result = predict_many(table, run, out, SETTINGS)
    assert result.kept == ("b",)
    assert (out / "b" / "report.html").stat().st_mtime_ns == before
    assert (out / "first" / "report.html").is_file()
    assert {row["error"] for row in summary(out).values()} == {""}
    os.utime(tmp_path / "b.edf")
    assert predict_many(table, run, out, SETTINGS).kept == ("first", "third")
    stricter = load_settings(overrides=["run.device=cpu", "run.workers=1", "predict.max_uv=90"])
    assert predict_many(table, run, out, stricter).kept == ()


def test_a_file_that_a_library_trips_over_fails_alone(tmp_path, monkeypatch, table, run):
    out = tmp_path / "out"
    table.write_text("name,eeg\nb,b.edf\nbroken,a.edf\n")
    predict_many(table, run, out, SETTINGS)
    table.write_text("name,eeg\nbroken,a.edf\nb,b.edf\n")
    os.utime(tmp_path / "a.edf")
    whole = open_recording

    def trips(path, *rest):
        if path.name == "a.edf":
            raise AttributeError("'ndarray' object has no attribute 'get'")
        return whole(path, *rest)

    monkeypatch.setattr("milmer_cli.stages.predict.open_recording", trips)
    result = predict_many(table, run, out, SETTINGS)
    assert (result.kept, result.failed) == (("b",), ("broken",))
    error = summary(out)["broken"]["error"]
    assert error.startswith("a.edf cannot be predicted: AttributeError: 'ndarray' object")
    assert not list((out / "broken").iterdir()), "no answer of an earlier file stays beside it"
    assert (out / "b" / "report.html").is_file()


def test_data_beside_a_header_count_as_the_recording(tmp_path, run, brain):
    signals = brain(6.0)
    write_brainvision(tmp_path / "x.vhdr", signals)
    table = tmp_path / "list.csv"
    table.write_text("eeg\nx.vhdr\n")
    out = tmp_path / "out"
    before = predict_many(table, run, out, SETTINGS).rows["x"]
    assert predict_many(table, run, out, SETTINGS).kept == ("x",)
    (signals[::-1].T).astype("<f4").tofile(tmp_path / "x.eeg")
    again = predict_many(table, run, out, SETTINGS)
    assert again.kept == ()
    assert again.rows["x"]["mean"] != before["mean"]


def write_brainvision(path, microvolts):
    channels = "\n".join(f"Ch{k}={name},,1,uV" for k, name in enumerate(GENEVA, start=1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n"
        f"DataFile={path.stem}.eeg\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(GENEVA)}\nSamplingInterval={1e6 / 128}\n"
        f"[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\n{channels}\n"
    )
    microvolts.T.astype("<f4").tofile(path.with_suffix(".eeg"))


def test_a_folder_of_something_else_is_refused(tmp_path, table, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_text("month,income\n")
    with pytest.raises(InputError, match=r"holds something else than a prediction: summary\.csv"):
        predict_many(table, run, tmp_path / "out", SETTINGS)


def test_all_mistakes_of_a_table_are_told_at_once(tmp_path, table):
    table.write_text(
        "name;eeg;video_onst;trial\nx;a.edf;;\nx;b.edf;;\n../y;a.edf;;\nSummary.csv;a.edf;;\nz;gone.edf;;\nw;;;\nv;a.edf;;0\n"
    )
    with pytest.raises(InputError) as caught:
        read_recordings(table)
    for text in (
        "has 7 mistakes",
        "no column video_onst: is video_onset meant?",
        "row 3: the name x is there already",
        "row 4: name '../y' cannot be the name of a folder",
        "row 5: name 'Summary.csv' is that of the table",
        "row 6: there is no eeg",
        "row 7: has neither video nor eeg",
        "row 8: trial is '0'",
    ):
        assert text in caught.value.message
    table.write_text("eeg\n")
    with pytest.raises(InputError, match="there is no recording in it"):
        read_recordings(table)


def test_a_row_says_what_the_flags_say(tmp_path, table):
    table.write_text(
        "eeg,trial,eeg_event,eeg_onset,video_onset,duration,eog\na.edf,2,clip,1.5,2,30,EXG1-EXG2\n"
    )
    [(name, request)] = read_recordings(table).items()
    assert name == "a"
    assert request.eeg == tmp_path / "a.edf"
    assert (request.trial, request.eeg_event, request.eog) == (2, "clip", "EXG1-EXG2")
    assert (request.eeg_onset_s, request.video_onset_s, request.duration_s) == (1.5, 2.0, 30.0)
