"""Bad channels and bad intervals that the user marked in a recording."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import mne
import numpy as np

from milmer_cli.eeg.gaps import annotation_onset_s, is_gap
from milmer_cli.errors import shorten

Interval = tuple[float, float, tuple[str, ...]]
"""Start and end in seconds from the first sample, and the channels; none for all of them."""


def is_bad_marking(description: str) -> bool:
    """Return whether an annotation marks a bad interval, or a gap that MNE marks as one."""
    return description.strip().lower().startswith("bad")


def marked_bad_windows(
    raw: mne.io.BaseRaw, names: Sequence[str], n_windows: int, window_s: float
) -> np.ndarray:
    """Find the time windows that annotations mark as bad.

    MNE's convention is used: the description of the annotation begins with ``BAD`` in any case. An
    annotation with ``ch_names`` applies to these channels only. Annotations of gaps are ignored
    (see `gaps`).

    Parameters
    ----------
    raw
        The recording.
    names
        Channels, by their names in ``raw``.
    n_windows, window_s
        Number of consecutive windows from the first sample, and the duration of each.

    Returns
    -------
    ndarray, shape (n_channels, n_windows), bool
        True where a window overlaps an annotation; one without a duration marks the window that
        contains it.
    """
    bad = np.zeros((len(names), n_windows), dtype=bool)
    for start_s, stop_s, channels in _bad_intervals(raw):
        rows = [index for index, name in enumerate(names) if not channels or name in channels]
        first = max(0, math.floor(start_s / window_s + 1e-6))
        last = max(first + 1, math.ceil(stop_s / window_s - 1e-6))
        bad[rows, first:last] = True
    return bad


def marking_notes(raw: mne.io.BaseRaw, names: Sequence[str]) -> tuple[str, ...]:
    """Return one sentence about what the file marks as bad, if it marks anything.

    Parameters
    ----------
    raw
        The recording.
    names
        Channels that are used, by their names in ``raw``; markings of other channels are ignored.
    """
    channels = [name for name in names if name in raw.info["bads"]]
    intervals = [
        (start_s, stop_s)
        for start_s, stop_s, own in _bad_intervals(raw)
        if not own or set(own) & set(names)
    ]
    marked = [shorten(channels)] if channels else []
    if intervals:
        total_s = sum(stop_s - start_s for start_s, stop_s in intervals)
        plural = "s" * (len(intervals) > 1)
        marked.append(f"{len(intervals)} interval{plural}, {total_s:.1f} s")
    return (f"Marked as bad in the file: {'; '.join(marked)}.",) if marked else ()


def _bad_intervals(raw: mne.io.BaseRaw) -> Iterator[Interval]:
    """Yield the intervals that annotations mark as bad, cut to the recording."""
    end_s = raw.n_times / float(raw.info["sfreq"])
    for annotation in raw.annotations:
        description = str(annotation["description"])
        if not is_bad_marking(description) or is_gap(description):
            continue
        start_s = annotation_onset_s(raw, float(annotation["onset"]))
        stop_s = min(start_s + float(annotation["duration"]), end_s)
        if stop_s >= 0.0 and start_s < end_s:
            yield max(start_s, 0.0), stop_s, tuple(annotation.get("ch_names", ()))
