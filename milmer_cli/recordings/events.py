"""When an event was marked in a recording: codes of a trigger channel, or annotations."""

from __future__ import annotations

import re
from pathlib import Path

import mne
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.bdf import open_bdf, status_codes


def event_onsets(path: Path, raw: mne.io.BaseRaw, code: str) -> list[float]:
    """Return when an event begins, in seconds from the start of the recording.

    Parameters
    ----------
    path, raw
        The recording, as `open_eeg` gives it.
    code
        A number that a trigger channel takes (of a BDF the lower eight bits of its status channel),
        or the text of an annotation: ``S  4``, or only the ``4`` of it.

    Raises
    ------
    InputError
        The event does not occur; the message lists those that do.
    """
    found: dict[str, list[float]] = {}
    sfreq = float(raw.info["sfreq"])
    for at, value in _codes(path, raw):
        found.setdefault(str(value), []).append(at / sfreq)
    for note in raw.annotations:
        onset = float(note["onset"]) - (raw.first_time if raw.annotations.orig_time else 0.0)
        for name in _names(str(note["description"])):
            found.setdefault(name, []).append(onset)
    wanted = " ".join(code.split())
    if wanted not in found:
        listed = ", ".join(f"{name} ({len(times)})" for name, times in sorted(found.items())[:20])
        raise InputError(
            f"{path} has no event {wanted}.",
            f"It has: {listed}." if listed else "It has no events at all: give --eeg-onset.",
        )
    return sorted(found[wanted])


def _names(description: str) -> set[str]:
    """All ways to call an annotation: whole, after BrainVision's ``Stimulus/``, its number."""
    whole = " ".join(description.split())
    last = whole.rpartition("/")[2]
    number = re.fullmatch(r"[A-Za-z]?\s*(\d+)", last)
    return {whole, last, *([str(int(number[1]))] if number else [])}


def _codes(path: Path, raw: mne.io.BaseRaw) -> list[tuple[int, int]]:
    """Sample and value of every rise from 0, or change to another value, of trigger channels."""
    if path.suffix.lower() == ".bdf":
        try:
            signals = [status_codes(open_bdf(path))]
        except InputError:  # a BDF without a status channel
            signals = []
    else:
        picks = mne.pick_types(raw.info, meg=False, stim=True)
        signals = [raw.get_data(picks=[pick], verbose="error")[0].round() for pick in picks]
    events = []
    for signal in signals:
        codes = np.nan_to_num(signal).astype(np.int64)
        edges = 1 + np.flatnonzero(codes[1:] != codes[:-1])
        events += [(int(edge), int(codes[edge])) for edge in edges if codes[edge]]
    return events
