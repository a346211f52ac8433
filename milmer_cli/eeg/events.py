"""Onsets of an event in a recording, from trigger channels or annotations."""

from __future__ import annotations

import re
from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.biosemi import open_bdf, trigger_codes
from milmer_cli.eeg.gaps import annotation_onset_s
from milmer_cli.eeg.read_errors import readable
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
        A value of a trigger channel (of a BDF: see `biosemi.trigger_codes`), or the text of an
        annotation: ``Stimulus/S  4``, ``S  4`` or only its number, ``4``.

    Raises
    ------
    InputError
        The event does not occur; the message lists the events of the recording.
    """
    onsets: dict[str, list[float]] = {}
    numbers: dict[str, list[float]] = {}
    sfreq = float(raw.info["sfreq"])
    for sample, value in _trigger_onsets(path, raw):
        onsets.setdefault(str(value), []).append(sample / sfreq)
    for annotation in raw.annotations:
        onset_s = annotation_onset_s(raw, float(annotation["onset"]))
        names, number = _annotation_names(str(annotation["description"]))
        for name in names:
            onsets.setdefault(name, []).append(onset_s)
        if number:
            numbers.setdefault(number, []).append(onset_s)
    onsets = numbers | onsets  # 1 means S 1, and R 1 only if there is no S 1
    wanted = " ".join(code.split())
    if wanted not in onsets:
        listed = ", ".join(
            f"{name} ({len(times)})" for name, times in sorted(onsets.items())[:_LISTED]
        )
        raise InputError(
            f"{path} has no event {wanted}.",
            f"Its events (count): {listed}." if listed else "It has no events: give --eeg-onset.",
        )
    return _distinct(onsets[wanted], sfreq)


def _distinct(onsets_s: list[float], sfreq: float) -> list[float]:
    """Sort onsets, and drop those of the same sample: a trigger that is an annotation too."""
    by_sample = {round(onset_s * sfreq): onset_s for onset_s in sorted(onsets_s, reverse=True)}
    return sorted(by_sample.values())


def _annotation_names(description: str) -> tuple[set[str], str]:
    """Return the names of an annotation, and its number if that may be of another event too.

    The names are its text, also without BrainVision's type, and the number of a stimulus (``S  1``)
    or of a text that is a number. The numbers of responses (``R  1``) and others are counted
    separately from those of stimuli.
    """
    text = " ".join(description.split())
    last = text.rpartition("/")[2]
    match = re.fullmatch(r"([A-Za-z]?)\s*([0-9]{1,9})", last)
    if match is None:
        return {text, last}, ""
    number = str(int(match[2]))
    if match[1].upper() in ("", "S"):
        return {text, last, number}, ""
    return {text, last}, number


def _trigger_onsets(path: Path, raw: mne.io.BaseRaw) -> list[tuple[int, int]]:
    """Return (sample, value) of every change of a trigger channel to a value other than 0."""
    if path.suffix.lower() == ".bdf":
        try:
            signals = [trigger_codes(open_bdf(path))]
        except InputError:  # a BDF without a status channel
            signals = []
    else:
        picks = mne.pick_types(raw.info, meg=False, stim=True)
        with readable(raw):
            signals = [raw.get_data(picks=[pick], verbose="error")[0].round() for pick in picks]
    triggers = []
    for signal in signals:
        codes = np.nan_to_num(signal, posinf=0.0, neginf=0.0).astype(np.int64)
        if codes.min(initial=0) >= -(2**15):  # 16 bits that were stored with a sign
            codes = np.where(codes < 0, codes + 2**16, codes)
        changes = 1 + np.flatnonzero(codes[1:] != codes[:-1])
        triggers += [(int(sample), int(codes[sample])) for sample in changes if codes[sample]]
    return triggers
