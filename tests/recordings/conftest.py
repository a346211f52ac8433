"""Writers of small files in DEAP's formats, with known content."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import edfio
import numpy as np
import pytest

SFREQ = 512
HEADER = (
    "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
)
IDLE, BATTERY = 0x18FF00, 0x400000


def _signal(values: np.ndarray, label: str, size: float, unit: str, sfreq: int) -> edfio.BdfSignal:
    return edfio.BdfSignal(
        np.asarray(values, float),
        sfreq,
        label=label,
        physical_dimension=unit,
        physical_range=(-size, size - 1),
        digital_range=(-8388608, 8388607),
    )


@pytest.fixture(scope="session")
def write_bdf() -> Callable[..., Path]:
    """``write_bdf(path, {name: microvolts}, status words, status labels)`` at 512 Hz."""

    def write(
        path: Path,
        signals: Mapping[str, np.ndarray],
        status: np.ndarray | None,
        labels: Sequence[str] = ("Status",),
        sfreq: int = SFREQ,
        unit: str = "uV",
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = [_signal(row, name, 262144, unit, sfreq) for name, row in signals.items()]
        if status is not None:
            unused = [np.zeros(len(status))] * (len(labels) - 1)
            written += [
                _signal(words, label, 8388608, "Boolean", sfreq)
                for words, label in zip([*unused, status], labels, strict=True)
            ]
        edfio.Bdf(written).write(path)
        return path

    return write


@pytest.fixture(scope="session")
def status_words() -> Callable[..., np.ndarray]:
    """``status_words(n_samples, [(sample, code)])``: 20 ms pulses under high bits that flicker."""

    def words(n_samples: int, events: Sequence[tuple[int, int]], high: bool = True) -> np.ndarray:
        codes = np.zeros(n_samples, np.int64)
        for sample, code in events:
            codes[sample : sample + 10] = code
        if not high:
            return codes
        codes |= IDLE
        codes[0] |= 0x010000
        # the battery bit comes and goes, in the middle of pulses too
        codes[::3] |= BATTERY
        return codes

    return words


@pytest.fixture(scope="session")
def write_ratings() -> Callable[..., Path]:
    """``write_ratings(path, {participant: [(trial, stimulus, ratings)]})`` as DEAP writes it."""

    def write(path: Path, rows: Mapping[int, Sequence[tuple]], bom: bool = True) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER.split(","))
            for person, trials in rows.items():
                for trial, stimulus, ratings in trials:
                    writer.writerow([person, trial, stimulus, 1695918, *ratings, ""])
        return path

    return write
