"""Durations and onsets of a manifest, compared with the durations of the files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from milmer_cli.datasets.manifest import ManifestRow
from milmer_cli.datasets.manifest_eeg import EegHeaders
from milmer_cli.datasets.table import TableErrors
from milmer_cli.errors import InputError, shorten
from milmer_cli.video.decode import VideoOptions
from milmer_cli.video.probe import stated_duration

OVERRUN_S = 0.5
"""A trial that ends this much later than its files is named in a note."""


def limit_durations(
    rows: Sequence[ManifestRow], headers: EegHeaders, errors: TableErrors
) -> tuple[list[ManifestRow], list[str]]:
    """Limit the duration of each trial to that of its files.

    Parameters
    ----------
    rows
        The trials.
    headers
        Headers of the EEG files that can be read.
    errors
        Receives onsets that lie beyond the end of a video, and videos that start after the trial.

    Returns
    -------
    rows, notes
        The trials; a sentence for each one whose duration was reduced. A trial is unchanged if the
        duration of one of its files is unknown.
    """
    limited, notes = [], []
    for row in rows:
        present_s = _present_s(row, headers, errors)
        stated_s = row.duration_s
        if stated_s is not None and stated_s - present_s > OVERRUN_S:
            notes.append(
                f"Row {row.line}: the trial ends after {present_s:.1f} s with its files, instead "
                f"of after {stated_s:g} s (duration_s)."
            )
            row = replace(row, duration_s=present_s)
        limited.append(row)
    return limited, notes


def _present_s(row: ManifestRow, headers: EegHeaders, errors: TableErrors) -> float:
    """Return the time from the start of the stimulus to the end of its longer file."""
    eeg_s = 0.0
    if row.source is not None:
        if row.source not in headers:
            return math.inf
        eeg_s = headers[row.source].duration_s - (row.eeg_onset_s or 0.0)
    covered = row.duration_s is None or eeg_s >= row.duration_s
    if row.video is None or (covered and not row.video_onset_s):
        return eeg_s
    total_s, onset_s = video_duration_s(row.video, row.video_options), row.video_onset_s or 0.0
    if onset_s >= total_s:
        errors.add(row.line, f"video_onset_s is {onset_s:g} s, but {row.video} lasts {total_s:g} s")
        return math.inf
    trial_s = eeg_s if row.duration_s is None else row.duration_s
    if onset_s <= -trial_s:
        errors.add(
            row.line,
            f"video_onset_s is {onset_s:g} s, but the trial ends {trial_s:g} s after its onset, "
            "before the video starts",
        )
    return max(eeg_s, total_s - onset_s)


@lru_cache(maxsize=4096)
def video_duration_s(path: Path, options: VideoOptions) -> float:
    """Return the duration that a video states; infinite if it is unknown."""
    try:
        duration_s = stated_duration(path, options)
    except InputError:  # `prepare --check` and the extraction of the faces report it
        return math.inf
    return duration_s if duration_s > 0 else math.inf


def overrun_notes(rows: Sequence[ManifestRow], headers: EegHeaders) -> list[str]:
    """Return sentences on trials of which the EEG or the video contains only a part."""
    notes = []
    for row in rows:
        if row.source is None or row.duration_s is None:
            continue
        end_s = (row.eeg_onset_s or 0.0) + row.duration_s
        if (overrun_s := end_s - headers[row.source].duration_s) > OVERRUN_S:
            notes.append(f"Row {row.line}: the EEG ends {overrun_s:.1f} s before the trial.")
    if early := [text for row in rows if (text := _early_video(row))]:
        notes.append(
            f"The video ends before the trial in row{'s' * (len(early) > 1)} {shorten(early)}: "
            "the rest has no faces."
        )
    if late := [text for row in rows if (text := _late_video(row))]:
        notes.append(
            f"The video starts after the trial in row{'s' * (len(late) > 1)} {shorten(late)}: the "
            "time before has no faces."
        )
    return notes


def _early_video(row: ManifestRow) -> str:
    """Return the row and how early its video ends, such as ``18 (3.0 s)``; empty if it does not."""
    if row.video is None or row.duration_s is None:
        return ""
    end_s = (row.video_onset_s or 0.0) + row.duration_s
    overrun_s = end_s - video_duration_s(row.video, row.video_options)
    return f"{row.line} ({overrun_s:.1f} s)" if overrun_s > OVERRUN_S else ""


def _late_video(row: ManifestRow) -> str:
    """Return the row and how late its video starts, such as ``18 (3.0 s)``; empty if in time."""
    late_s = -(row.video_onset_s or 0.0)
    return f"{row.line} ({late_s:.1f} s)" if late_s > OVERRUN_S else ""
