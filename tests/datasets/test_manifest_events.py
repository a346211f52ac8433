from __future__ import annotations

import edfio
import numpy as np
import pytest

from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.errors import InputError
from milmer_cli.prediction.manifest import read_requests

HEADER = "participant,trial,stimulus,eeg,eeg_event,eeg_event_number,eeg_onset_s,duration_s,valence"


@pytest.fixture
def session(tmp_path):
    """A session of 60 s with three stimuli of 6 to 8 s, a rest without a duration, and a note."""
    noise = np.random.default_rng(0).normal(0, 20, (2, 60 * 128))
    signals = [
        edfio.EdfSignal(row, 128, label=name, physical_dimension="uV")
        for name, row in zip(("Fp1", "Cz"), noise, strict=True)
    ]
    annotations = [
        *(edfio.EdfAnnotation(5.0 + 20 * k, 6.0 + k, "stim") for k in range(3)),
        *(edfio.EdfAnnotation(15.0 + 20 * k, None, "rest") for k in range(2)),
        edfio.EdfAnnotation(1.0, None, "begin"),
    ]
    edfio.Edf(signals, annotations=annotations).write(tmp_path / "p1.edf")
    return tmp_path


def _manifest(folder, *rows):
    path = folder / "trials.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def test_manifest_events_give_onset_and_duration(session):
    path = _manifest(
        session,
        "P1,1,a,p1.edf,stim,,,,3",
        "P1,2,b,p1.edf,stim,3,,,4",
        "P1,3,c,p1.edf,stim,2,,5,5",
        "P1,4,d,p1.edf,begin,1,,,6",
    )
    recordings = ManifestRecordings(path)
    (block,) = recordings.eeg_blocks("P1")
    assert block.onset_s == {1: 5.0, 2: 45.0, 3: 25.0, 4: 1.0}
    durations = [trial.duration_s for trial in recordings.trials("P1")]
    assert durations == [6.0, 8.0, 5.0, 59.0]  # annotation, annotation, duration_s, end of the file
    assert any("duration of 2 trials is that of the annotation (6.0 to 8.0 s)" in note
               for note in recordings.notes())  # fmt: skip
    requests, _ = read_requests(path)
    assert [(r.eeg_event, r.trial) for r in requests.values()] == [
        ("stim", 1), ("stim", 3), ("stim", 2), ("begin", 1),
    ]  # fmt: skip


def test_manifest_events_that_change_make_the_eeg_of_the_store_again(session):
    first, second = (
        ManifestRecordings(_manifest(session, f"P1,1,a,p1.edf,stim,{number},,,3"))
        for number in (1, 2)
    )
    assert first.eeg_inputs("P1") != second.eeg_inputs("P1")


def test_manifest_events_errors_name_the_row(session):
    path = _manifest(
        session,
        "P1,1,a,p1.edf,stim,,,,3",
        "P1,2,b,p1.edf,stim,1,,,3",
        "P1,3,c,p1.edf,stim,4,,,3",
        "P1,7,d,p1.edf,stim,,,,3",
        "P1,8,e,p1.edf,clip,1,,,3",
        "P1,9,f,p1.edf,rest,1,,,3",
        "P1,10,f,p1.edf,rest,0,,,3",
    )
    with pytest.raises(InputError) as caught:
        ManifestRecordings(path)
    lines = [line.strip() for line in caught.value.message.splitlines()]
    for row, text in (
        (3, "the trial starts at the same event as row 2"),
        (4, "contains the event stim 3 times (at 5, 25, 45 s), and eeg_event_number is 4"),
        (5, "and trial is 7; state its number in eeg_event_number"),
        (6, "has no event clip. Its events (count): begin (1), rest (2), stim (3)."),
        (7, "duration_s is empty, and the event rest of"),
        (8, "eeg_event_number: expected 1, 2, 3, ..."),
    ):
        assert any(line.startswith(f"row {row}: ") and text in line for line in lines), (row, lines)
