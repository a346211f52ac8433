"""`milmer prepare --check`: the inputs of a manifest or of a listed data set, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from milmer_cli.data.labels import (
    EXCLUDED,
    class_names,
    count_per_class,
    describe_label_rule,
    make_labels,
)
from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.manifest_inventory import ParticipantFiles, inventory_manifest
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.missing import MissingInput, group_missing, missing_rows
from milmer_cli.datasets.open_recordings import open_listing
from milmer_cli.datasets.read_options import read_options
from milmer_cli.errors import InputError
from milmer_cli.preparation.listing_counts import count_rows
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import DataSettings, Settings
from milmer_cli.stage_result import StageResult

NONE = "-"
NO_CLASS = "no class"


@dataclass(frozen=True, repr=False)
class InputCheck(StageResult):
    """Result of the check.

    Attributes
    ----------
    title
        The data set.
    columns, rows
        A table of text with one row per participant; the last row contains the totals.
    missing
        Missing inputs, grouped over participants.
    notes
        Further findings, one sentence each.
    usable
        Whether anything can be prepared.
    facts
        The results as plain values, for ``--json``.
    """

    format_name: ClassVar[str] = "prepare-check"

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    missing: tuple[MissingInput, ...]
    notes: tuple[str, ...]
    usable: bool
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; ``findings`` are not repeated in ``notes``."""
        findings = self.facts.get("findings", ())
        return {**self.facts, "notes": [note for note in self.notes if note not in findings]}

    def summary(self) -> list[tuple[str, str]]:
        """Return rows of label and value: missing inputs, notes, whether anything is usable."""
        notes = [("note", note) for note in self.notes]
        usable = ("can be used", "yes" if self.usable else "no")
        return [*missing_rows(self.missing), *notes, usable]


def check_manifest(path: Path, settings: Settings, progress: Progress = SILENT) -> InputCheck:
    """Check the recordings of a manifest: its rows, EEG headers, first and last video frames.

    Parameters
    ----------
    path
        The manifest.
    settings
        Section ``data``: participants, and how labels are derived.
    progress
        Advances by participants.

    Raises
    ------
    InputError
        The manifest has errors (all are listed in one message), or a participant is unknown.
    """
    data = settings.data
    recordings = ManifestRecordings(path, data.participants, read_options(data))
    return _check_rows(recordings, f"Manifest {path}", {"manifest": str(path)}, data, progress)


def check_listing(
    listing: DatasetListing, settings: Settings, progress: Progress = SILENT
) -> InputCheck:
    """Check the recordings of a data set as `check_manifest`, and report the reader's findings.

    Parameters
    ----------
    listing
        The recordings.
    settings
        Section ``data``: participants, and how labels are derived.
    progress
        Advances by participants.

    Returns
    -------
    InputCheck
        If the rows cannot be prepared, for example because channels have no names, the reason is a
        missing input, and the table contains what the reader has found. The classes are the labels
        of the data set if it has labels, but no ratings.
    """
    title = f"{listing.name} below {listing.root}"
    facts = {"data_set": listing.name, "findings": list(listing.findings)}
    try:
        recordings = open_listing(listing, settings.data)
    except InputError as error:
        check = _check_unusable(listing, title, facts, error)
    else:
        data = _with_target(listing, settings.data)
        check = _check_rows(recordings, title, facts, data, progress)
        if data.target != settings.data.target:
            given = np.array([row.get("label") or "" for row in listing.rows])
            check = replace(check, notes=(*check.notes, *_label_notes(given, settings.data)))
    missing = [asdict(item) for item in listing.missing]
    return replace(
        check,
        missing=(*group_missing(listing.missing), *check.missing),
        notes=(*listing.findings, *check.notes),
        facts={**check.facts, "missing": [*missing, *check.facts["missing"]]},
    )


def _check_unusable(
    listing: DatasetListing, title: str, described: Mapping[str, Any], error: InputError
) -> InputCheck:
    """Count the recordings of a data set that cannot be opened for one reason."""
    counts = count_rows(listing.rows)
    rows = [(name, *map(str, own.values())) for name, own in counts.items()]
    reason = error.message if error.message.endswith(".") else f"{error.message}."
    missing = MissingInput("EEG that prepare can use", reason, error.hint)
    facts = {
        **described,
        "participants": [{"participant": name, **own} for name, own in counts.items()],
        "missing": [asdict(missing)],
        "usable": False,
    }
    columns = ("", *next(iter(counts.values()), {}))
    table = (*rows, totals(rows)) if rows else ()
    return InputCheck(title, columns, table, (missing,), (), False, facts)


def _check_rows(
    recordings: ManifestRecordings,
    title: str,
    described: Mapping[str, Any],
    data: DataSettings,
    progress: Progress,
) -> InputCheck:
    """Check the rows of a manifest; ``described`` are the first values of the facts."""
    entries = inventory_manifest(recordings, progress)
    given = np.array([trial.label or "" for entry in entries for trial in entry.trials])
    counts = {
        entry.participant: TrialCounts.of(
            [trial.ratings for trial in entry.usable],
            [trial.label or "" for trial in entry.usable],
            data,
            given,
        )
        for entry in entries
    }
    columns = ("", "trials", "EEG", "Hz", "videos", "seconds")
    rows = [(*_manifest_row(entry), *counts[entry.participant].cells) for entry in entries]
    missing = [item for entry in entries for item in entry.missing]
    usable = any(entry.usable for entry in entries)
    notes = [*recordings.notes(), *dict.fromkeys(note for e in entries for note in e.notes)]
    facts = {
        **described,
        "channels": list(recordings.channels or ()),
        "participants": [_manifest_facts(entry) for entry in entries],
        "missing": [asdict(item) for item in missing],
        "usable": usable,
        "classes": {name: own.to_json() for name, own in counts.items()},
    }
    return InputCheck(
        title,
        (*columns, *class_names(data.target, given), NO_CLASS),
        (*rows, totals(rows, {columns.index("Hz"), columns.index("seconds")})),
        tuple(group_missing(missing)),
        (*notes, *tie_notes(counts.values(), data), *_label_notes(given, data)),
        usable,
        facts,
    )


def _with_target(listing: DatasetListing, data: DataSettings) -> DataSettings:
    """Return the settings with the labels as classes if the rows have labels, but no ratings."""
    rated = any(row.get("valence") or row.get("arousal") for row in listing.rows)
    if rated or not any(row.get("label") for row in listing.rows):
        return data
    return data.model_copy(update={"target": "label"})


@dataclass(frozen=True)
class TrialCounts:
    """Number of trials of a participant: per class, without a class, with a rating at the tie."""

    per_class: Mapping[str, int]
    no_class: int
    tied: int

    @classmethod
    def of(
        cls,
        ratings: Sequence[Sequence[float]],
        given: Sequence[str],
        data: DataSettings,
        all_given: np.ndarray | None = None,
    ) -> TrialCounts:
        """Count the trials by the rule of ``data``; ``all_given`` are the labels of all trials."""
        table = np.array([list(row) for row in ratings], np.float32).reshape(-1, 4)
        names = class_names(data.target, all_given)
        if data.target == "label":
            numbers = {name: number for number, name in enumerate(names)}
            labels = np.array([numbers.get(name, EXCLUDED) for name in given], int)
        else:
            labels = make_labels(table, data)
        tied = (table[:, :2] == np.float32(data.threshold)).any(axis=1)
        return cls(count_per_class(labels, names), int((labels == EXCLUDED).sum()), int(tied.sum()))

    @property
    def cells(self) -> tuple[str, ...]:
        """Cells of the table."""
        return tuple(str(count) for count in (*self.per_class.values(), self.no_class))

    def to_json(self) -> dict[str, int]:
        """Return plain values."""
        return {**self.per_class, NO_CLASS: self.no_class}


def _manifest_row(entry: ParticipantFiles) -> tuple[str, ...]:
    seconds = sorted(trial.duration_s for trial in entry.trials)
    longest = f"-{seconds[-1]:.0f}" if seconds and seconds[-1] - seconds[0] >= 1 else ""
    return (
        entry.participant,
        str(len(entry.trials)),
        str(sum(trial.has_eeg for trial in entry.trials)),
        " ".join(f"{rate:g}" for rate in entry.rates_hz) or NONE,
        str(entry.videos),
        f"{seconds[0]:.0f}{longest}" if seconds else NONE,
    )


def _manifest_facts(entry: ParticipantFiles) -> dict[str, Any]:
    """Return the row of a participant as JSON values, with the keys of the table."""
    return {
        "participant": entry.participant,
        "trials": len(entry.trials),
        "EEG": sum(trial.has_eeg for trial in entry.trials),
        "Hz": list(entry.rates_hz),
        "videos": entry.videos,
        "seconds": [trial.duration_s for trial in entry.trials],
    }


def tie_notes(counts: Iterable[TrialCounts], data: DataSettings) -> list[str]:
    """Return a sentence on trials whose rating is the threshold; none without such trials."""
    tied = sum(own.tied for own in counts)
    if not tied or data.target == "label":
        return []
    trials = f"{tied} trials have" if tied > 1 else "1 trial has"
    return [
        f"{trials} a valence or arousal of exactly {data.threshold:g}. {describe_label_rule(data)}"
    ]


def _label_notes(given: np.ndarray, data: DataSettings) -> list[str]:
    if data.target == "label" or not (given != "").any():
        return []
    names, counts = np.unique(given[given != ""], return_counts=True)
    listed = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
    return [f"The manifest states classes ({listed}): use them with --set data.target=label."]


def totals(rows: Sequence[tuple[str, ...]], units: Set[int] = frozenset()) -> tuple[str, ...]:
    """Return the sums of the columns that contain counts, or fractions such as 3/40.

    ``units`` are the numbers of the columns that contain quantities with a unit.
    """
    cells = ["all"]
    for number, column in enumerate(list(zip(*rows, strict=True))[1:], start=1):
        parts = [cell.split("/") for cell in column if cell != NONE]
        is_text = not parts or not all(part.isdigit() for cell in parts for part in cell)
        numeric = number not in units and not is_text
        sums = [str(sum(map(int, place))) for place in zip(*parts, strict=True)] if numeric else []
        cells.append("/".join(sums))
    return tuple(cells)
