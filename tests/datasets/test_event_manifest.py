from __future__ import annotations

import edfio
import numpy as np
import pytest

from helpers import read_csv, write_numbered_video
from milmer_cli.cli.app import run
from milmer_cli.datasets.event_manifest import EventSession, write_event_manifest
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.errors import InputError


def write_session(path, *annotations):
    """Write 60 s of two electrodes with annotations (onset, duration, text)."""
    noise = np.random.default_rng(0).normal(0, 20, (2, 60 * 128))
    signals = [
        edfio.EdfSignal(row, 128, label=name, physical_dimension="uV")
        for name, row in zip(("Fp1", "Cz"), noise, strict=True)
    ]
    edfio.Edf(signals, annotations=[edfio.EdfAnnotation(*a) for a in annotations]).write(path)
    return path


@pytest.fixture
def session(tmp_path):
    """``P01 a.edf`` with stimuli of 6 s and other events, and ``P01.mp4``."""
    write_numbered_video(tmp_path / "P01.mp4")
    (tmp_path / "raw").mkdir()
    marks = [(0.5, None, "begin"), (5, 6, "stim"), (25, 6, "stim"), (45.25, 6, "stim")]
    return write_session(tmp_path / "raw" / "P01 a.edf", *marks)


def test_write_event_manifest_has_a_row_per_event(session, tmp_path):
    out = tmp_path / "recordings.csv"
    result = write_event_manifest(
        EventSession(session, tmp_path / "P01.mp4", video_onset_s=1.5), out
    )
    rows = read_csv(out)
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    assert {row["participant"] for row in rows} == {"P01_a"}
    assert {(row["eeg"], row["video"]) for row in rows} == {("raw/P01 a.edf", "P01.mp4")}
    assert [row["video_onset_s"] for row in rows] == ["1.500", "21.500", "41.750"]
    assert [row["# event_s"] for row in rows] == ["5.000", "25.000", "45.250"]
    assert {row["duration_s"] for row in rows} == {"6"}
    assert list(result.to_fill) == ["stimulus", "valence, arousal"]


def test_write_event_manifest_is_valid_when_the_named_columns_are_filled(session, tmp_path):
    out = tmp_path / "recordings.csv"
    write_event_manifest(EventSession(session, participant="P1"), out)
    with pytest.raises(InputError, match=r"3 errors.*\n.*stimulus is empty"):
        ManifestRecordings(out)
    lines = out.read_text().splitlines()
    filled = [line.replace(",,raw", ",joy,raw")[:-1] + "3,4" for line in lines[1:]]
    out.write_text("\n".join([lines[0], *filled]))
    recordings = ManifestRecordings(out)
    (block,) = recordings.eeg_blocks("P1")
    assert block.onset_s == {1: 5.0, 2: 25.0, 3: 45.25}
    assert [trial.duration_s for trial in recordings.trials("P1")] == [6.0] * 3


def test_write_event_manifest_adds_another_participant(session, tmp_path):
    out = tmp_path / "recordings.csv"
    write_event_manifest(EventSession(session, participant="P1"), out)
    other = write_session(tmp_path / "sub-02_eeg.edf", (3, None, "4"), (9, None, "4"))
    result = write_event_manifest(EventSession(other), out)
    assert [row["participant"] for row in read_csv(out)] == ["P1"] * 3 + ["sub-02"] * 2
    assert "duration_s" in result.to_fill
    with pytest.raises(InputError, match="already contains sub-02"):
        write_event_manifest(EventSession(other), out)
    write_event_manifest(EventSession(other, session="b"), out)
    out.write_text("month,income\n1,2\n")
    with pytest.raises(InputError, match="is not a table with the columns"):
        write_event_manifest(EventSession(other), out)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([], "has no events"),
        ([(1, None, "a"), (2, None, "b")], r"several events \(count\): a \(1\), b \(1\)"),
        (
            [(1, None, "a"), (2, None, "b"), (3, None, "a"), (4, None, "b")],
            r"several events \(count\): a \(2\), b \(2\)",
        ),
    ],
)
def test_write_event_manifest_does_not_guess_the_event(tmp_path, annotations, message):
    eeg = write_session(tmp_path / "x.edf", *annotations)
    with pytest.raises(InputError, match=message):
        write_event_manifest(EventSession(eeg), tmp_path / "recordings.csv")
    assert not (tmp_path / "recordings.csv").exists()


def test_write_event_manifest_drops_accents_from_the_participant(tmp_path):
    eeg = write_session(tmp_path / "Zoë-01.edf", (3, None, "4"), (9, None, "4"))
    result = write_event_manifest(EventSession(eeg), tmp_path / "recordings.csv")
    assert result.participant == "Zoe-01"


def test_write_event_manifest_fills_in_one_duration_for_all_events(tmp_path):
    eeg = write_session(tmp_path / "x.edf", (3, None, "4"), (9, None, "4"))
    out = tmp_path / "recordings.csv"
    result = write_event_manifest(EventSession(eeg, duration_s=5.5), out)
    assert [row["duration_s"] for row in read_csv(out)] == ["5.5", "5.5"]
    assert "duration_s" not in result.to_fill


def test_manifest_events_command(session, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["manifest", "events", str(session), "--event", "stim", "--duration", "5"]) == 0
    printed = capsys.readouterr().out
    assert "3 rows, one per event stim, 5 to 45.25 s" in printed
    assert "fill in stimulus" in printed
    assert [row["duration_s"] for row in read_csv(tmp_path / "recordings.csv")] == ["5"] * 3
    assert run(["manifest", "events", str(session), "--video-onset", "3"]) == 2
    assert run(["manifest", "events", str(session), "--participant", "a b"]) == 2
    assert "expected letters, digits" in capsys.readouterr().err
