"""Onsets of an event in a recording, from trigger channels or annotations."""

from __future__ import annotations

import re
from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.biosemi import open_bdf, status_codes
from milmer_cli.eeg.gaps import annotation_onset_s
from milmer_cli.errors import InputError

_LISTED = 20
"""Number of events that the error for an unknown event lists."""


def event_onsets(path: Path, raw: mne.io.BaseRaw, code: str) -> list[float]:
    """Return the onsets of an event, in seconds from the start of the recording, sorted.

    Parameters
    ----------
    path, raw
        The recording, and the result of `open_eeg` for it.
    code
        A value of a trigger channel (for a BDF: of the lower eight bits of its status channel), or
        the text of an annotation: ``Stimulus/S  4``, ``S  4`` or only its number, ``4``.

    Raises
    ------
    InputError
        The event does not occur; the message lists the events of the recording.
    """
    onsets: dict[str, list[float]] = {}
    sfreq = float(raw.info["sfreq"])
    for sample, value in _trigger_onsets(path, raw):
        onsets.setdefault(str(value), []).append(sample / sfreq)
    for annotation in raw.annotations:
        onset_s = annotation_onset_s(raw, float(annotation["onset"]))
        for name in _annotation_names(str(annotation["description"])):
            onsets.setdefault(name, []).append(onset_s)
    wanted = " ".join(code.split())
    if wanted not in onsets:
        listed = ", ".join(
            f"{name} ({len(times)})" for name, times in sorted(onsets.items())[:_LISTED]
        )
        raise InputError(
            f"{path} has no event {wanted}.",
            f"Its events (count): {listed}." if listed else "It has no events: give --eeg-onset.",
        )
    return sorted(onsets[wanted])


def _annotation_names(description: str) -> set[str]:
    """Return the names of an annotation: its text, also without BrainVision's type; its number."""
    text = " ".join(description.split())
    last = text.rpartition("/")[2]
    number = re.fullmatch(r"[A-Za-z]?\s*(\d+)", last)
    return {text, last, *([str(int(number[1]))] if number else [])}


def _trigger_onsets(path: Path, raw: mne.io.BaseRaw) -> list[tuple[int, int]]:
    """Return (sample, value) of every change of a trigger channel to a value other than 0."""
    if path.suffix.lower() == ".bdf":
        try:
            signals = [status_codes(open_bdf(path))]
        except InputError:  # a BDF without a status channel
            signals = []
    else:
        picks = mne.pick_types(raw.info, meg=False, stim=True)
        signals = [raw.get_data(picks=[pick], verbose="error")[0].round() for pick in picks]
    triggers = []
    for signal in signals:
        codes = np.nan_to_num(signal).astype(np.int64)
        changes = 1 + np.flatnonzero(codes[1:] != codes[:-1])
        triggers += [(int(sample), int(codes[sample])) for sample in changes if codes[sample]]
    return triggers
