"""Which events of a BIDS data set are trials, and which columns of events.tsv describe them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.datasets.base import RATINGS
from milmer_cli.datasets.bids.events import CONDITION, LABEL, EventsTable
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.table import TableRow, finite_number
from milmer_cli.eeg.gaps import is_gap
from milmer_cli.eeg.markings import is_bad_marking
from milmer_cli.errors import InputError, shorten
from milmer_cli.settings.schema import DataSettings

STIMULUS_COLUMNS = ("stim_id", "stim_file", "stimulus")
"""Columns that identify the clip; the first one that a data set fills is used."""
MIN_TRIAL_S = 1.0
"""An event of at least this duration can be a trial."""
_TYPE_COLUMNS = ("trial_type", "value")
_LISTED = 12


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

    def matches(self, row: TableRow) -> bool:
        """Return whether an event is a trial."""
        if self.types:
            return row.text(self.type_column) in self.types
        return event_seconds(row) >= MIN_TRIAL_S


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
            "trial."
        )
    label = _label_column(columns, type_column, types, settings.label_column, root)
    findings.add(_label_finding(label, columns))
    filled = (n for n in STIMULUS_COLUMNS if n in columns and any(row.text(n) for row in rows))
    stimulus = next(filled, "")
    if not stimulus:
        findings.add(
            f"None of the columns {', '.join(STIMULUS_COLUMNS)} identifies the clips, so each "
            "trial has a stimulus of its own, and the protocols by stimulus are not possible."
        )
    condition = len(types) > 1 and label != type_column and CONDITION not in columns
    return TrialRule(type_column, types, label, stimulus, condition)


def _trial_types(
    rows: Iterable[TableRow], column: str, stated: str, root: Path, findings: Findings
) -> frozenset[str]:
    rows = [row for row in rows if row.text(column)]
    counts = Counter(row.text(column) for row in rows)
    long = Counter(row.text(column) for row in rows if event_seconds(row) >= MIN_TRIAL_S)
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
    findings.add(f"The trials are the events whose {column} is {possible[0]}.")
    return frozenset(possible)


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
    rated = ", ".join(name for name in RATINGS if name in columns)
    parts = [f"the label is the column {label}"] if label else []
    parts += [f"the ratings are the columns {rated}"] if rated else []
    return f"In events.tsv, {' and '.join(parts)}."


def event_seconds(row: TableRow) -> float:
    """Return the duration of an event; 0 if there is none."""
    try:
        return finite_number(row.given("duration"))
    except ValueError:
        return 0.0
