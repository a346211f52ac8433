"""Neuroscan CNT files: event times, values and bad channels."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import mne
import numpy as np
import pytest

from helpers import event_onsets
from milmer_cli.eeg.io import open_eeg

RATE_HZ, SECONDS = 250, 10
EVENTS = ((500, 4), (1500, 4), (2000, 5))
"""Sample and code."""


def write_cnt(path: Path, names: Sequence[str], table: int = 1, bad: Sequence[str] = ()) -> Path:
    """Write 32-bit samples: 50 microvolts in the first channel at every event, 0 elsewhere.

    ``table`` is the type of the event table; channels in ``bad`` have the flag of bad channels.
    """
    n_samples, first = RATE_HZ * SECONDS, 900 + 75 * len(names)
    sample_bytes = 4 * len(names)
    setup = bytearray(900)
    setup[:11] = b"Version 3.0"
    setup[225:245] = b"01/02/24\0\x0010:11:12\0\0"
    struct.pack_into("<H", setup, 370, len(names))
    struct.pack_into("<H", setup, 376, RATE_HZ)
    struct.pack_into("<i", setup, 864, n_samples)
    struct.pack_into("<i", setup, 886, first + n_samples * sample_bytes)
    for number, name in enumerate(names):
        electrode = bytearray(75)
        electrode[: len(name)] = name.encode()
        electrode[14] = name in bad
        struct.pack_into("<ff", electrode, 19, 10.0 * number, 5.0)  # position
        struct.pack_into("<f", electrode, 59, 204.8)  # sensitivity
        struct.pack_into("<f", electrode, 71, 0.01)  # microvolts of a digital value
        setup += electrode
    values = np.zeros((n_samples, len(names)), "<i4")
    rows = b""
    for sample, code in EVENTS:
        values[sample, 0] = 5000
        row = struct.pack("<HBcl", code, 0, b"\0", first + sample * sample_bytes)
        rows += row if table == 1 else row + bytes(11)
    path.write_bytes(setup + values.tobytes() + struct.pack("<Bll", table, len(rows), 0) + rows)
    return path


@pytest.mark.parametrize("table", [1, 2])
def test_event_onsets_of_a_cnt_file_are_those_of_mne(tmp_path, table):
    path = write_cnt(tmp_path / "x.cnt", ["Fz", "Cz", "Pz"], table)
    raw = open_eeg(path)
    events, codes = mne.events_from_annotations(raw, verbose="error")
    for code in ("4", "5"):
        expected = events[events[:, 2] == codes[code], 0] / RATE_HZ
        np.testing.assert_allclose(event_onsets(path, raw, code), expected)
    # MNE puts an event on the last sample before the position in the table
    np.testing.assert_allclose(event_onsets(path, raw, "4"), [499 / RATE_HZ, 1499 / RATE_HZ])


def test_open_eeg_reads_the_values_of_a_cnt_file(tmp_path):
    raw = open_eeg(write_cnt(tmp_path / "x.cnt", ["Fz", "Cz", "Pz"]))
    data = raw.get_data(units="uV", verbose="error")
    assert np.flatnonzero(data[0]).tolist() == [sample for sample, _ in EVENTS]
    np.testing.assert_allclose(data[0, 500], 50, rtol=1e-6)
    assert not data[1:].any()


def test_open_eeg_reads_the_bad_channels_of_a_cnt_file(tmp_path):
    names = ["Fz", "AFF1h", "Pz", "PPO10", "O1"]
    raw = open_eeg(write_cnt(tmp_path / "x.cnt", names, bad=["Pz", "PPO10"]))
    assert raw.info["bads"] == ["Pz", "PPO10"]
