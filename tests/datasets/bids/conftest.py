from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import edfio
import numpy as np
import pytest

from helpers import write_numbered_video
from milmer_cli.datasets.bids.listing import list_bids
from milmer_cli.settings.schema import DataSettings

SFREQ_HZ, MARK_UV = 128, 400.0
NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
EVENTS = "onset\tduration\ttrial_type\tvalence\tarousal"


class BidsFolder:
    """A BIDS data set that a test fills; every trial has a mark at its first sample in Fp1."""

    _videos: ClassVar[dict[float, bytes]] = {}

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, *lines: str, end: str = "\n") -> Path:
        """Write a text file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((end.join(lines) + end).encode())
        return path

    def eeg(self, name: str, marks_s=(), names=NAMES, seconds=40, unit="uV") -> Path:
        """Write an EDF file with noise and marks."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        data = rng.normal(0, 10, (len(names), SFREQ_HZ * seconds))
        for mark_s in marks_s:
            data[0, round(mark_s * SFREQ_HZ)] = MARK_UV
        signals = [
            edfio.EdfSignal(
                row,
                SFREQ_HZ,
                label=label,
                physical_dimension=unit,
                physical_range=(-1000, 1000),
            )
            for row, label in zip(data, names, strict=True)
        ]
        edfio.Edf(signals, data_record_duration=1).write(path)
        return path

    def recording(self, stem: str, *events: str, header: str = EVENTS, **options) -> Path:
        """Write an EEG file and its events; the marks are at the onsets of the events."""
        self.write(f"{stem}_events.tsv", header, *events)
        marks = [float(event.split("\t")[0]) for event in events]
        return self.eeg(f"{stem}_eeg.edf", marks, **options)

    def video(self, name: str, seconds: float = 3.0) -> Path:
        """Write a video with a frame each half second."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if seconds not in self._videos:
            stamps_ms = range(0, round(1000 * seconds), 500)
            write_numbered_video(path, stamps_ms, count=len(stamps_ms))
            self._videos[seconds] = path.read_bytes()
        path.write_bytes(self._videos[seconds])
        return path

    def list(self, **settings: str):
        """List the data set."""
        return list_bids(self.root, DataSettings(**settings))


@pytest.fixture
def bids(tmp_path):
    folder = BidsFolder(tmp_path / "data set")
    folder.write("dataset_description.json", '{"Name": "test", "BIDSVersion": "1.10.0"}')
    folder.write("participants.tsv", "participant_id\tage", "sub-01\t30", "sub-02\tn/a")
    return folder


@pytest.fixture(scope="session")
def bids_folder():
    """Return the class, for fixtures of modules."""
    return BidsFolder
