"""Events of a recording, from trigger channels and annotations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.biosemi import open_bdf, trigger_codes
from milmer_cli.eeg.gaps import annotation_onset_s, is_gap
from milmer_cli.eeg.markings import is_bad_marking
from milmer_cli.eeg.read_errors import readable
from milmer_cli.errors import InputError, shorten

_LISTED = 20
"""Number of events that a message lists."""


@dataclass(frozen=True)
class Event:
    """An event of a recording.

    Attributes
    ----------
    name
        Text of the annotation, or code of the trigger channel.
    onset_s
        Seconds from the start of the recording.
    duration_s
        Duration that an annotation states; None for triggers, and for annotations of at most one
        sample.
    """

    name: str
    onset_s: float
    duration_s: float | None = None


def read_events(path: Path, raw: mne.io.BaseRaw) -> list[Event]:
    """Read all events of a recording, in the order of time.

    Annotations of gaps and of bad intervals are not events. A trigger that is an annotation of the
    same name too is one event.

    Parameters
    ----------
    path, raw
        The recording, and the result of `open_eeg` for it.
    """
    sfreq = float(raw.info["sfreq"])
    events = [Event(str(value), sample / sfreq) for sample, value in _trigger_onsets(path, raw)]
    for annotation in raw.annotations:
        text, seconds = str(annotation["description"]), float(annotation["duration"])
        if not is_gap(text) and not is_bad_marking(text):
            onset_s = annotation_onset_s(raw, float(annotation["onset"]))
            stated_s = seconds if seconds * sfreq > 1.5 else None
            events.append(Event(" ".join(text.split()), onset_s, stated_s))
    return _distinct(events, sfreq)


def find_event(path: Path, events: Iterable[Event], code: str, sfreq: float) -> list[Event]:
    """Find the occurrences of an event, in the order of time.

    Parameters
    ----------
    path
        The recording, for messages.
    events
        All its events; see `read_events`.
    code
        A value of a trigger channel (of a BDF: see `biosemi.trigger_codes`), or the text of an
        annotation: ``Stimulus/S  4``, ``S  4`` or only its number, ``4``.
    sfreq
        Sampling rate of the recording, in Hz.

    Raises
    ------
    InputError
        The event does not occur; the message lists the events of the recording.
    """
    events = list(events)
    wanted = " ".join(code.split())
    names = [(_event_names(event.name), event) for event in events]
    found = [event for (exact, _), event in names if wanted in exact]
    # 1 means S 1, and R 1 only if there is no S 1
    found = found or [event for (_, number), event in names if wanted == number]
    if not found:
        listed = describe_events(events)
        raise InputError(
            f"{path} has no event {wanted}.",
            f"Its events (count): {listed}." if listed else "It has no events: give --eeg-onset.",
        )
    one_name = [Event(wanted, event.onset_s, event.duration_s) for event in found]
    return _distinct(one_name, sfreq)


def describe_events(events: Iterable[Event]) -> str:
    """List the names of events with their number, as in ``stim (6), rest (5)``."""
    counts = sorted(Counter(event.name for event in events).items())
    return shorten([f"{name} ({count})" for name, count in counts], _LISTED)


def _distinct(events: Iterable[Event], sfreq: float) -> list[Event]:
    """Sort events, and keep one of those with the same name and sample; it keeps its duration."""
    order = sorted(events, key=lambda event: (event.duration_s is not None, -event.onset_s))
    by_sample = {(event.name, round(event.onset_s * sfreq)): event for event in order}
    return sorted(by_sample.values(), key=lambda event: (event.onset_s, event.name))


def _event_names(name: str) -> tuple[set[str], str]:
    """Return the names of an event, and its number if that may be of another event too.

    The names are its text, also without BrainVision's type, and the number of a stimulus (``S  1``)
    or of a text that is a number. The numbers of responses (``R  1``) and others are counted
    separately from those of stimuli.
    """
    text = " ".join(name.split())
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
