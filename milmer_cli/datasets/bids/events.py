"""Which rows of events.tsv are trials, with their labels, ratings and stimuli."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from milmer_cli.datasets.base import RATINGS
from milmer_cli.datasets.bids.findings import Findings
from milmer_cli.datasets.bids.tables import read_tsv, report_errors
from milmer_cli.datasets.manifest import rating_range
from milmer_cli.datasets.table import (
    POSITIVE_INTEGER,
    TableErrors,
    TableRow,
    finite_number,
    positive_integer,
)
from milmer_cli.eeg.bids_sidecars import find_sidecars
from milmer_cli.eeg.gaps import is_gap
from milmer_cli.eeg.markings import is_bad_marking
from milmer_cli.errors import InputError
from milmer_cli.io import read_json_object, shorten
from milmer_cli.settings.schema import DataSettings

STIMULUS_COLUMNS = ("stim_id", "stim_file", "stimulus")
"""Columns that identify the clip; the first one that a data set fills is used."""
LABEL = "label"
TRIAL = "trial"
"""Column with the number of the trial, from 1."""
CONDITION = "condition"
VIDEO = "video"
"""Column with the video of a trial, relative to the table or to the data set."""
VIDEO_ONSET = "video_onset"
"""Column with the start of the trial in that video, in seconds."""
MIN_TRIAL_S = 1.0
"""An event of at least this duration can be a trial."""
_TYPE_COLUMNS = ("trial_type", "value")
_LISTED = 12


@dataclass(frozen=True)
class EventsTable:
    """The rows of an events.tsv.

    Attributes
    ----------
    path
        The table.
    rows
        Its rows.
    errors
        Errors in its cells.
    scales
        Rating -> its scale, as in 1-9, if events.json states it.
    """

    path: Path
    rows: tuple[TableRow, ...]
    errors: TableErrors
    scales: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in lower case."""
        return tuple(name for name in self.rows[0].cells if name) if self.rows else ()


@dataclass(frozen=True)
class TrialRule:
    """Which events are trials, and what their columns mean.

    Attributes
    ----------
    type_column
        Column with the type of an event; empty if there is none.
    types
        Types of the events that are trials; empty for all events of at least `MIN_TRIAL_S`.
    label_column
        Column with the label; empty if there is none.
    stimulus_column
        Column with the stimulus; empty if there is none.
    type_is_condition
        The type of an event is its condition, because several types are trials.
    """

    type_column: str
    types: frozenset[str]
    label_column: str
    stimulus_column: str
    type_is_condition: bool = False


@dataclass(frozen=True)
class BidsTrial:
    """A trial of an events.tsv.

    Attributes
    ----------
    row
        Its row in the table.
    onset_s
        Seconds after the first sample of the recording.
    duration_s
        Duration.
    number
        Number that the table states; None without one.
    stimulus, label, condition
        Texts of their columns; empty if there are none.
    ratings
        Columns of a manifest with the ratings and their scales.
    shares_video
        Whether other rows name the same video.
    """

    row: TableRow
    onset_s: float
    duration_s: float
    number: int | None
    stimulus: str
    label: str
    condition: str
    ratings: Mapping[str, object]
    shares_video: bool = False


def read_events(recording: Path, findings: Findings) -> EventsTable | None:
    """Read the events.tsv that applies to a recording; None if there is none.

    Raises
    ------
    InputError
        The table cannot be read.
    """
    tables = find_sidecars(recording, "events", ".tsv")
    if not tables:
        return None
    rows, errors = read_tsv(tables[-1], "onset")
    properties: dict[str, object] = {}
    for document in find_sidecars(recording, "events", ".json"):
        try:
            properties |= read_json_object(document)
        except InputError as error:
            findings.add_error(document.name, error)
    scales = {name: text for name in RATINGS if (text := _scale(properties.get(name)))}
    return EventsTable(tables[-1], tuple(rows), errors, scales)


def _scale(column: object) -> str:
    """Return the scale of a column, as events.json describes it."""
    if not isinstance(column, dict):
        return ""
    ends = column.get("Minimum"), column.get("Maximum")
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        return ""
    text = f"{ends[0]:g}-{ends[1]:g}"
    try:
        rating_range(text)
    except ValueError:
        return ""
    return text


def find_rule(
    tables: Sequence[EventsTable], settings: DataSettings, root: Path, findings: Findings
) -> TrialRule:
    """Decide which events of a data set are trials, and what their label is.

    Parameters
    ----------
    tables
        All tables of the data set.
    settings
        ``trial_type`` and ``label_column``.
    root
        The data set, for messages.
    findings
        Receives what was decided.

    Raises
    ------
    InputError
        The settings name a type or a column that does not exist; or they name none, and several or
        no types can be trials; or no column states a rating or a label.
    """
    columns = dict.fromkeys(column for table in tables for column in table.columns)
    type_column = next((name for name in _TYPE_COLUMNS if name in columns), "")
    rows = [row for table in tables for row in table.rows]
    if settings.trial_type or type_column:
        types = _trial_types(rows, type_column, settings.trial_type, root, findings)
    else:
        types = frozenset()
        findings.add(
            f"events.tsv has no column trial_type: each event of at least {MIN_TRIAL_S:g} s is a "
            "trial"
        )
    label = _label_column(columns, type_column, types, settings.label_column, root)
    findings.add(_label_finding(label, columns))
    filled = (n for n in STIMULUS_COLUMNS if n in columns and any(row.text(n) for row in rows))
    stimulus = next(filled, "")
    if not stimulus:
        findings.add(
            f"No column {', '.join(STIMULUS_COLUMNS)} identifies the clips, so each trial has a "
            "stimulus of its own, and the protocols by stimulus are not possible"
        )
    condition = len(types) > 1 and label != type_column and CONDITION not in columns
    return TrialRule(type_column, types, label, stimulus, condition)


def _trial_types(
    rows: Iterable[TableRow], column: str, stated: str, root: Path, findings: Findings
) -> frozenset[str]:
    rows = [row for row in rows if row.text(column)]
    counts = Counter(row.text(column) for row in rows)
    long = Counter(row.text(column) for row in rows if _seconds(row, "duration") >= MIN_TRIAL_S)
    listed = shorten(
        [
            f"{name} ({count}, of which {long[name]} last {MIN_TRIAL_S:g} s or longer)"
            for name, count in counts.most_common()
        ],
        _LISTED,
        "; ",
    )
    if stated:
        names = frozenset(name.strip() for name in stated.split(",") if name.strip())
        if unknown := sorted(names - set(counts)):
            raise InputError(
                f"No event of {root} has the trial type {', '.join(unknown)}.",
                f"Types of its events: {listed or 'none'}.",
            )
        return names
    possible = [
        name
        for name, count in counts.items()
        if 2 * long[name] > count and not is_bad_marking(name) and not is_gap(name)
    ]
    if len(possible) != 1:
        raise InputError(
            f"{'Several types' if possible else 'No type'} of events of {root} can be trials, "
            f"which last {MIN_TRIAL_S:g} s or longer: {listed or 'there are no events'}.",
            "Name those that are trials: --trial-type NAME[,NAME].",
        )
    findings.add(f"The trials are the events whose {column} is {possible[0]}")
    return frozenset(possible)


def _seconds(row: TableRow, column: str) -> float:
    """Return a duration for the choice of trials; 0 if there is none."""
    try:
        return finite_number(row.given(column))
    except ValueError:
        return 0.0


def _label_column(
    columns: Collection[str], type_column: str, types: Collection[str], stated: str, root: Path
) -> str:
    if stated:
        if (name := stated.strip().lower()) not in columns:
            raise InputError(
                f"No events.tsv of {root} has the column {stated}.",
                f"Their columns: {shorten(list(columns), _LISTED)}.",
            )
        return name
    if LABEL in columns:
        return LABEL
    if set(columns) & set(RATINGS):
        return ""
    if len(types) > 1:
        return type_column
    raise InputError(
        f"No column of events.tsv in {root} states a rating ({', '.join(RATINGS)}) or a label: its "
        f"columns are {shorten(list(columns), _LISTED)}.",
        "Name the column with the class: --label-column COLUMN.",
    )


def _label_finding(label: str, columns: Collection[str]) -> str:
    rated = [name for name in RATINGS if name in columns]
    stated = [f"the label is the column {label} of events.tsv"] if label else []
    stated += [f"the ratings are its columns {', '.join(rated)}"] if rated else []
    sentence = ", and ".join(stated)
    return f"{sentence[:1].upper()}{sentence[1:]}"


def read_trials(table: EventsTable, rule: TrialRule, findings: Findings) -> list[BidsTrial]:
    """Read the trials of a table, in the order of their onsets.

    An event without a valid onset or duration is left out, with a finding.
    """
    trials = []
    for row in table.rows:
        seconds = _seconds(row, "duration") >= MIN_TRIAL_S
        if row.text(rule.type_column) in rule.types if rule.types else seconds:
            trial = _trial(row, table, rule, findings)
            trials += [trial] if trial is not None else []
    report_errors(table.errors, findings)
    videos = Counter(trial.row.given(VIDEO) for trial in trials)
    trials = [replace(t, shares_video=videos[t.row.given(VIDEO)] > 1) for t in trials]
    return sorted(trials, key=lambda trial: trial.onset_s)


def _trial(
    row: TableRow, table: EventsTable, rule: TrialRule, findings: Findings
) -> BidsTrial | None:
    where = f"{table.path.name} row {row.line}"
    onset_s = row.value("onset", finite_number, "seconds")
    duration_s = row.value("duration", finite_number, "seconds")
    if onset_s is None:
        findings.add("Trials without an onset are left out", [where])
        return None
    if duration_s is None or duration_s <= 0:
        findings.add(
            "Trials without a duration (n/a or 0) are left out, because their end is unknown; "
            "state it in events.tsv",
            [where],
        )
        return None
    if onset_s < 0:
        findings.add("Trials that start before the recording are left out", [where])
        return None
    condition = row.text(rule.type_column if rule.type_is_condition else CONDITION)
    label = row.text(rule.label_column)
    if rule.label_column and not label:
        findings.add("Trials without a label cannot be used for training", [where])
    return BidsTrial(
        row=row,
        onset_s=onset_s,
        duration_s=duration_s,
        number=row.value(TRIAL, positive_integer, POSITIVE_INTEGER),
        stimulus=row.text(rule.stimulus_column),
        label=label,
        condition=condition,
        ratings=_ratings(row, table, findings),
    )


def _ratings(row: TableRow, table: EventsTable, findings: Findings) -> dict[str, object]:
    ratings: dict[str, object] = {}
    for name in RATINGS:
        value = row.value(name, finite_number, "a number")
        scale = row.given(f"{name}_range") or table.scales.get(name, "")
        if value is None:
            continue
        try:
            low, high = rating_range(scale) if scale else (1.0, 9.0)
        except ValueError:
            low, high = 0.0, -1.0
        if not low <= value <= high:
            findings.add(
                f"Values of {name} outside of the scale {scale or '1-9'} are left out; state its "
                "Minimum and Maximum in events.json",
                [f"{value:g} in {table.path.name} row {row.line}"],
            )
            continue
        ratings[name] = value
        if scale:
            ratings[f"{name}_range"] = scale
    return ratings
