"""DEAP's raw recordings: BioSemi BDF files and the marks in their status channel.

The status channel comes under three names (``Status``, one empty label, the last of two empty
labels) and its words carry battery and mode bits above the eight that hold the event code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import DEAP_EOG, GENEVA, few, find_channels
from milmer_cli.recordings.trial import EegBlock

STIMULUS, AFTER_STIMULUS = 4, 5
"""Event codes: the music video starts; the fixation cross after it."""

_CODE_BITS = 0xFF
_COPY_AGAIN = "Copy or unpack the file again."


@dataclass(frozen=True)
class StimulusMark:
    """When a stimulus ran, in seconds from the start of the recording.

    Attributes
    ----------
    onset_s
        The rising edge of code 4.
    duration_s
        Time to the next code 5, or None when there is none before the next stimulus.
    """

    onset_s: float
    duration_s: float | None


def check_bdf(path: Path) -> None:
    """Refuse a file that is no BDF or shorter than its header promises.

    Raises
    ------
    InputError
        The file cannot be read, its header makes no sense, or data records are missing.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(8)
        size = path.stat().st_size
        if not size:
            raise InputError(f"{path} is empty.", _COPY_AGAIN)
        head_bytes, n_records, record = record_sizes(path, sample_bytes=3)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(
            f"{path} is not a BDF file: its header makes no sense.", _COPY_AGAIN
        ) from error
    if magic != b"\xffBIOSEMI" or record <= 0:
        raise InputError(f"{path} is not a BDF file: its header makes no sense.", _COPY_AGAIN)
    # -1 records: the recorder never closed the file, so the header promises nothing
    promised = head_bytes + n_records * record
    if n_records == 0 or size < promised or size < head_bytes + record:
        raise InputError(
            f"{path} is truncated: its header promises {max(promised, head_bytes):,} bytes "
            f"({n_records} data records) and it has {size:,}.",
            _COPY_AGAIN,
        )


def record_sizes(path: Path, sample_bytes: int) -> tuple[int, int, int]:
    """Read from the header of a BDF or EDF file how it is laid out.

    Returns
    -------
    tuple
        Bytes of the header, number of data records (-1 where it does not say), bytes of a record.

    Raises
    ------
    ValueError
        The header makes no sense.
    """
    with path.open("rb") as file:
        head = file.read(256)
        n_signals = int(head[252:256])
        samples = file.read(256 * n_signals)[216 * n_signals : 224 * n_signals]
    record = sum(int(samples[8 * i : 8 * i + 8]) for i in range(n_signals))
    return int(head[184:192]), int(head[236:244]), record * sample_bytes


def open_bdf(path: Path) -> mne.io.BaseRaw:
    """Open a BDF file without loading it; its status channel becomes ``Status``, of type stim.

    Raises
    ------
    InputError
        As `check_bdf`, or there is no status channel.
    """
    check_bdf(path)
    with mne.utils.use_log_level("error"):
        names = mne.io.read_raw_bdf(path).ch_names
        status = _status_channel(names, path)
        # as mne's stim channel it keeps its integer words; untyped it would be scaled to volts
        raw = mne.io.read_raw_bdf(path, stim_channel=[names.index(status)])
        raw.set_channel_types({status: "stim"}, on_unit_change="ignore")
        if status != "Status":
            raw.rename_channels({status: "Status"})
    return raw


def _status_channel(names: list[str], path: Path) -> str:
    named = [name for name in names if name.strip().lower() == "status"]
    # mne numbers equal labels, so two empty ones arrive as "-0" and "-1"
    unnamed = [name for name in names if name.strip() in {"", "-0", "-1"}]
    found = named or unnamed
    if not found:
        raise InputError(
            f"{path} has no status channel: none is named Status and none is unnamed.",
            f"It has: {few(names)}.",
        )
    return found[-1]


def status_codes(raw: mne.io.BaseRaw) -> np.ndarray:
    """Return the event code (0-255) at every sample of an `open_bdf` recording, (n_samples,)."""
    words = raw.get_data(picks="Status", verbose="error")[0].astype(np.int64)
    # the battery bit flickers: edges are only sought once it is masked
    return words & _CODE_BITS


def stimulus_marks(raw: mne.io.BaseRaw) -> list[StimulusMark]:
    """Return the stimuli of a recording in order: the n-th is Trial n."""
    codes = status_codes(raw)
    edges = 1 + np.flatnonzero(codes[1:] != codes[:-1])
    events = [(int(edge), int(codes[edge])) for edge in edges]
    events = [(at, code) for at, code in events if code in (STIMULUS, AFTER_STIMULUS)]
    sfreq = float(raw.info["sfreq"])
    marks = []
    for index, (at, code) in enumerate(events):
        if code != STIMULUS:
            continue
        following = events[index + 1] if index + 1 < len(events) else (at, STIMULUS)
        ended = following[1] == AFTER_STIMULUS
        marks.append(StimulusMark(at / sfreq, (following[0] - at) / sfreq if ended else None))
    return marks


def trial_onsets(raw: mne.io.BaseRaw) -> dict[int, float]:
    """Return for each trial, from 1, the seconds from the start of ``raw`` to its stimulus.

    ``raw`` comes from `open_bdf` or is the ``raw`` of `read_bdf`; the n-th code 4 is Trial n.
    """
    return {number: mark.onset_s for number, mark in enumerate(stimulus_marks(raw), start=1)}


def read_bdf(path: Path) -> EegBlock:
    """Open one of DEAP's raw files as a block, without loading the signals.

    Returns
    -------
    EegBlock
        EEG in `GENEVA` order by name, the eye channels typed ``eog``, and ``Status``; the onset of
        each stimulus.

    Raises
    ------
    InputError
        As `open_bdf`, or an EEG channel is missing (the message names it).
    """
    raw = open_bdf(path)
    onsets = trial_onsets(raw)
    electrodes = find_channels(GENEVA, raw.ch_names, str(path))
    spelt = {name.lower(): name for name in raw.ch_names}
    eog = tuple(pair for pair in DEAP_EOG if all(name.lower() in spelt for name in pair))
    eyes = [name for pair in eog for name in pair]
    with mne.utils.use_log_level("error"):
        raw.reorder_channels([*electrodes, *(spelt[name.lower()] for name in eyes), "Status"])
        raw.rename_channels(dict(zip(raw.ch_names, [*GENEVA, *eyes, "Status"], strict=True)))
        raw.set_channel_types(dict.fromkeys(GENEVA, "eeg") | dict.fromkeys(eyes, "eog"))
    return EegBlock(raw, onsets, eog=eog)
