"""Many recordings from one table: side by side, resumable, and none that takes the others along."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest

from milmer_cli.errors import InputError, MilmerError
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict import predict
from milmer_cli.stages.predict_many import SUMMARY, predict_many
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
    with pytest.raises(MilmerError, match="1 of 3 recordings could not be predicted: third"):
        predict_many(table, run, out, SETTINGS)
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


def test_all_mistakes_of_a_table_are_told_at_once(tmp_path, table):
    table.write_text(
        "name;eeg;video_onst;trial\nx;a.edf;;\nx;b.edf;;\n../y;a.edf;;\nz;gone.edf;;\nw;;;\nv;a.edf;;0\n"
    )
    with pytest.raises(InputError) as caught:
        read_recordings(table)
    for text in (
        "has 6 mistakes",
        "no column video_onst: is video_onset meant?",
        "row 3: the name x is there already",
        "row 4: name '../y' cannot be the name of a folder",
        "row 5: there is no eeg",
        "row 6: has neither video nor eeg",
        "row 7: trial is '0'",
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
