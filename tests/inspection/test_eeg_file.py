from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np
import pytest

from milmer_cli.cli.app import run
from milmer_cli.eeg.events import Event
from milmer_cli.inspection.eeg_file import EegFileResult, inspect_eeg_file


@pytest.fixture
def recording(tmp_path):
    noise = np.random.default_rng(0).normal(0, 20, (4, 30 * 128))
    signals = [
        edfio.EdfSignal(row, 128, label=name, physical_dimension="uV")
        for name, row in zip(("Fp1", "Cz", "VEOG", "COUNTER"), noise, strict=True)
    ]
    annotations = [
        edfio.EdfAnnotation(2.0, 6.0, "stim"),
        edfio.EdfAnnotation(12.0, 7.0, "stim"),
        edfio.EdfAnnotation(10.0, None, "rest"),
    ]
    path = tmp_path / "p1.edf"
    edfio.Edf(signals, annotations=annotations).write(path)
    return path


def test_inspect_eeg_file_lists_channels_rate_duration_and_events(recording):
    result = inspect_eeg_file(recording)
    assert result.to_json() == {
        "file": str(recording),
        "duration_s": 30.0,
        "sfreq_hz": 128.0,
        "channels": {
            "eeg": ["Fp1", "Cz"],
            "eog": ["VEOG"],
            "eeg, not an electrode": ["COUNTER"],
        },
        "events": [
            {"name": "stim", "onset_s": 2.0, "duration_s": 6.0},
            {"name": "rest", "onset_s": 10.0, "duration_s": None},
            {"name": "stim", "onset_s": 12.0, "duration_s": 7.0},
        ],
        "warning": None,
    }
    rows = dict(result.summary())
    assert rows["event stim"] == "2 times, at 2, 12 s, duration 6.0 to 7.0 s"
    assert rows["event rest"] == "1 time, at 10 s, without a duration"


def test_inspect_of_a_file_rejects_the_options_of_a_store(recording, capsys):
    assert run(["inspect", str(recording), "--trial", "1"]) == 2
    assert "is a file" in capsys.readouterr().err
    assert run(["inspect", str(recording)]) == 0
    assert "event stim" in capsys.readouterr().out


def test_eeg_file_result_lists_a_limited_number_of_events():
    events = tuple(Event(f"e{number}", float(number)) for number in range(70))
    rows = EegFileResult(Path("x.edf"), 90.0, 128.0, {"eeg": ("Cz",)}, events).summary()
    assert sum(label.startswith("event ") for label, _ in rows) == 50
    assert dict(rows)["more events"] == "20 names; --json lists all of them"
