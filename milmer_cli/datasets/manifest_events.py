"""Onsets and durations of the trials of a manifest that start at an event of the EEG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from milmer_cli.datasets.manifest import EegSource, ManifestRow
from milmer_cli.datasets.manifest_eeg import EegHeaders, row_options
from milmer_cli.datasets.table import TableErrors
from milmer_cli.eeg.events import Event, find_event, read_events
from milmer_cli.eeg.io import ReadOptions, open_eeg
from milmer_cli.errors import InputError, shorten

_LISTED = 8


def resolve_events(
    rows: Sequence[ManifestRow], headers: EegHeaders, options: ReadOptions, errors: TableErrors
) -> tuple[list[ManifestRow], list[str]]:
    """Fill the onset and the duration of each trial whose ``eeg_event`` is given.

    ``eeg_event_number`` selects one of several events of the same name; if it is empty, the trial
    number does. A cell with an onset or a duration has priority over the event.

    Parameters
    ----------
    rows
        The trials.
    headers
        Headers of the EEG files that can be read; rows of other files are unchanged.
    options
        How the files are read.
    errors
        Receives events that do not exist, and trials whose duration is unknown.

    Returns
    -------
    rows, notes
        The trials; a sentence if durations were taken from annotations.
    """
    events_of: dict[Path, list[Event]] = {}
    first_rows: dict[tuple[Path, float], ManifestRow] = {}
    resolved, durations_s = [], []
    for row in rows:
        if row.eeg is not None and row.eeg_event and EegSource(row.eeg) in headers:
            if row.eeg not in events_of:
                raw = open_eeg(row.eeg, row_options(row, options))
                events_of[row.eeg] = read_events(row.eeg, raw)
            event = _event_of(row, row.eeg, events_of[row.eeg], headers, errors)
            if event is not None:
                first = first_rows.setdefault((row.eeg, event.onset_s), row)
                if first is not row:
                    errors.add(row.line, f"the trial starts at the same event as row {first.line}")
                if row.duration_s is None and event.duration_s is not None:
                    durations_s.append(event.duration_s)
                row = _at_event(row, event)
        resolved.append(row)
    if not durations_s:
        return resolved, []
    low, high = min(durations_s), max(durations_s)
    range_s = f"{low:g} s" if high - low < 0.05 else f"{low:.1f} to {high:.1f} s"
    trials = "trial" if len(durations_s) == 1 else "trials"
    return resolved, [
        f"The duration of {len(durations_s)} {trials} is that of the annotation ({range_s}), "
        "because duration_s is empty."
    ]


def _event_of(
    row: ManifestRow,
    path: Path,
    events: Sequence[Event],
    headers: EegHeaders,
    errors: TableErrors,
) -> Event | None:
    """Find the event of a row; None if there is none, which is an error of the row."""
    try:
        found = find_event(path, events, row.eeg_event, headers[EegSource(path)].sfreq_hz)
    except InputError as error:
        errors.add(row.line, str(error))
        return None
    number = row.eeg_event_number or row.trial or 1
    if number > len(found):
        stated = "eeg_event_number" if row.eeg_event_number else "trial"
        onsets = shorten([f"{event.onset_s:g}" for event in found], _LISTED)
        errors.add(
            row.line,
            f"{path} contains the event {row.eeg_event} {len(found)} times (at {onsets} s), and "
            f"{stated} is {number}; state its number in eeg_event_number",
        )
        return None
    event = found[number - 1]
    if row.duration_s is None and event.duration_s is None and len(found) > 1:
        errors.add(
            row.line,
            f"duration_s is empty, and the event {row.eeg_event} of {path} states no duration",
        )
    return event


def _at_event(row: ManifestRow, event: Event) -> ManifestRow:
    return replace(
        row,
        eeg_onset_s=event.onset_s if row.eeg_onset_s is None else row.eeg_onset_s,
        duration_s=event.duration_s if row.duration_s is None else row.duration_s,
    )
