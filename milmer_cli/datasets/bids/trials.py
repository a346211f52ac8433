"""The trials of an events.tsv, with their labels, ratings and stimuli."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from milmer_cli.datasets.base import RATINGS
from milmer_cli.datasets.bids.events import CONDITION, TRIAL, VIDEO, EventsTable
from milmer_cli.datasets.bids.tables import report_errors
from milmer_cli.datasets.bids.trial_rule import TrialRule
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.manifest import MAX_DURATION_S, rating_range
from milmer_cli.datasets.table import (
    POSITIVE_INTEGER,
    TableRow,
    finite_number,
    positive_integer,
)


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


def read_trials(table: EventsTable, rule: TrialRule, findings: Findings) -> list[BidsTrial]:
    """Read the trials of a table, in the order of their onsets.

    An event without a valid onset or duration is left out, with a finding.
    """
    found = (_trial(row, table, rule, findings) for row in table.rows if rule.matches(row))
    trials = [trial for trial in found if trial is not None]
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
        findings.add("Trials without an onset are left out ({}).", [where])
        return None
    if duration_s is None or duration_s <= 0:
        findings.add(
            "Trials without a duration (n/a or 0) are left out, because their end is unknown; "
            "state it in events.tsv ({}).",
            [where],
        )
        return None
    if duration_s > MAX_DURATION_S:
        findings.add("Trials of more than a day are left out ({}).", [where])
        return None
    if onset_s < 0:
        findings.add("Trials that start before the recording are left out ({}).", [where])
        return None
    condition = row.text(rule.type_column if rule.type_is_condition else CONDITION)
    label = row.text(rule.label_column)
    if rule.label_column and not label:
        findings.add("Trials without a label cannot be used for training ({}).", [where])
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
                "Minimum and Maximum in events.json ({}).",
                [f"{value:g} in {table.path.name} row {row.line}"],
            )
            continue
        ratings[name] = value
        if scale:
            ratings[f"{name}_range"] = scale
    return ratings
