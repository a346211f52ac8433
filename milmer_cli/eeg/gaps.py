"""Gaps of a recording that was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import mne
import numpy as np

from milmer_cli.eeg.edf import NOT_RECORDED
from milmer_cli.errors import shorten

_JOINTS = ("boundary", "edge boundary", "bad boundary", "new segment/")
"""Descriptions of the places where recordings were joined, as EEGLAB, MNE and BrainVision write
them, in lower case."""

BETWEEN_TRIALS = f"{NOT_RECORDED}: between trials"
NOT_FINITE = f"{NOT_RECORDED}: not finite, trial "
"""Descriptions of the gaps of an array of trials (`array_file`); the second one is followed by the
indices of the trial."""


@dataclass(frozen=True)
class Gap:
    """A gap of a recording, in seconds from its first sample.

    Attributes
    ----------
    start_s, stop_s
        The period that was not recorded. They are equal where two recordings were joined without
        the time between them.
    description
        Description of its annotation if it is a gap of an array of trials, else empty.
    """

    start_s: float
    stop_s: float
    description: str = ""


def annotation_onset_s(raw: mne.io.BaseRaw, onset_s: float) -> float:
    """Convert the onset of an annotation to seconds from the first sample.

    MNE counts onsets from the start of the original recording, of which a cropped or concatenated
    recording need not have the first sample.
    """
    return onset_s - float(raw.first_time)


def is_gap(description: str) -> bool:
    """Return whether an annotation marks a gap."""
    text = description.strip().lower()
    return text in _JOINTS or text.startswith(NOT_RECORDED.lower())


def find_gaps(raw: mne.io.BaseRaw) -> tuple[Gap, ...]:
    """Find the gaps that are annotated, in order, without those at the ends of the recording."""
    last_s = raw.n_times / float(raw.info["sfreq"])
    gaps = []
    for annotation in raw.annotations:
        description = str(annotation["description"])
        if is_gap(description):
            start_s = annotation_onset_s(raw, float(annotation["onset"]))
            skipped = description.strip().lower() not in _JOINTS
            stop_s = start_s + float(annotation["duration"]) * skipped
            of_array = description.startswith((BETWEEN_TRIALS, NOT_FINITE))
            own = description if of_array else ""
            gaps.append(Gap(max(start_s, 0.0), min(stop_s, last_s), own))
    return tuple(gap for gap in gaps if gap.stop_s > 0.0 and gap.start_s < last_s)


def continuous_parts(raw: mne.io.BaseRaw) -> list[slice]:
    """Split a recording at its gaps.

    Returns
    -------
    list of slice
        Ranges of samples that together cover the recording, in order. A filter must not run
        across their edges, because the signal may jump there.
    """
    sfreq = float(raw.info["sfreq"])
    edges = {0, raw.n_times}
    for gap in find_gaps(raw):
        edges |= {round(gap.start_s * sfreq), round(gap.stop_s * sfreq)}
    inside = sorted(edge for edge in edges if 0 <= edge <= raw.n_times)
    return [slice(a, b) for a, b in pairwise(inside)]


def in_gap(gaps: tuple[Gap, ...], starts: np.ndarray, n_samples: int, sfreq: float) -> np.ndarray:
    """Find the segments that contain a gap or a part of one: (n_segments,) bool.

    Parameters
    ----------
    gaps
        Result of `find_gaps`.
    starts
        (n_segments,) first sample of each segment.
    n_samples
        Samples of a segment.
    sfreq
        Sampling rate, in Hz.
    """
    bounds = [(round(gap.start_s * sfreq), round(gap.stop_s * sfreq)) for gap in gaps]
    first, last = np.array(bounds, dtype=np.int64).reshape(-1, 2).T
    begins = np.asarray(starts)[:, None]
    overlaps: np.ndarray = (begins < last) & (begins + n_samples > first)
    return np.asarray(overlaps.any(axis=1))


def recorded_samples(gaps: tuple[Gap, ...], n_samples: int, sfreq: float) -> np.ndarray:
    """Return which samples lie outside the gaps: (n_samples,) bool."""
    recorded = np.ones(n_samples, dtype=bool)
    for gap in gaps:
        recorded[round(gap.start_s * sfreq) : round(gap.stop_s * sfreq)] = False
    return recorded


def gap_notes(gaps: tuple[Gap, ...]) -> tuple[str, ...]:
    """Return one sentence about the gaps of each kind, if there are any."""
    interruptions = [gap for gap in gaps if not gap.description]
    notes = []
    if interruptions:
        times = f"{len(interruptions)} time{'s' * (len(interruptions) > 1)}"
        missing_s = sum(gap.stop_s - gap.start_s for gap in interruptions)
        notes.append(
            f"The recording was interrupted {times} ({missing_s:.1f} s not recorded), and each "
            "part was filtered separately."
        )
    boundaries = sum(gap.description == BETWEEN_TRIALS for gap in gaps)
    if boundaries:
        notes.append(f"Each of the {boundaries + 1} trials of the array was filtered separately.")
    damaged = [
        gap.description.removeprefix(NOT_FINITE)
        for gap in gaps
        if gap.description.startswith(NOT_FINITE)
    ]
    if damaged:
        notes.append(
            f"Trials of the array without EEG, because their values are not finite: "
            f"{shorten(damaged)}."
        )
    return tuple(notes)
