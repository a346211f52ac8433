"""Recognize from a training history that the epoch was selected on the test set."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from milmer_cli.audit.leaks import Leak
from milmer_cli.audit.predictions import find_columns, plain_column
from milmer_cli.datasets.table import TableErrors, TableRow, finite_number, read_table
from milmer_cli.errors import InputError

_LOWER_IS_BETTER = ("loss", "error", "brier")
_TEST, _VALIDATION = (
    re.compile(r"(^|[^a-z])test"),
    re.compile(r"(^|[^a-z])(val|valid|validation|dev)([^a-z]|$)"),
)
_KEPT = ("kept", "selected", "best", "chosen", "isbest")
_MARKS = ("1", "1.0", "true", "yes", "x")


def epoch_leak(path: Path, names: Mapping[str, str] | None = None) -> Leak | None:
    """Return a leak if a history shows that the test set selected the epoch.

    That is so if the history has a score of the test set and none of a validation set, and does not
    mark other epochs than the best ones on the test set as kept (column ``kept``, ``selected`` or
    ``best``). If it has both scores and marks the kept epochs, it is so if every kept epoch is the
    best one on the test set, and at least one of them is not the best one on the validation set.
    Columns that have the same value in all rows, such as the size of the test set, are no scores.

    Parameters
    ----------
    path
        A CSV file with one row per epoch (and fold).
    names
        Column -> its name in the file.

    Raises
    ------
    InputError
        The file has no column of epochs, or no score.
    """
    errors = TableErrors(path, "A training history has one row per epoch, with scores in columns.")
    rows = read_table(errors, required=())
    errors.raise_if_any()
    columns = find_columns(rows[0], names or {}, path, ("epoch",))
    if "epoch" not in columns:
        raise InputError(f"{path} has no column for the epoch.", "Name it with --map epoch=NAME.")
    header = [name for name in rows[0].cells if name not in columns.values()]
    test = _scores(rows, [name for name in header if _TEST.search(name)])
    validation = _scores(
        rows, [name for name in header if _VALIDATION.search(name) and not _TEST.search(name)]
    )
    errors.raise_if_any()
    if not test:
        return None
    runs = _runs(rows, columns)
    kept = next((name for name in header if plain_column(name) in _KEPT), "")
    # of several marks in a run, each marks the best epoch so far
    marked = [
        (run[run_marks[-1]], run) for run in runs if len(run_marks := _marks(rows, run, kept))
    ]
    on_test = all(_is_best(epoch, run, test) for epoch, run in marked)
    if not validation:
        where = f"the history has {next(iter(test))} and no score of a validation set"
        return Leak("epoch_on_test", len(runs), where) if on_test else None
    if marked and on_test and not all(_is_best(epoch, run, validation) for epoch, run in marked):
        where = (
            f"{kept} is the best epoch by {next(iter(test))} and not by {next(iter(validation))}"
        )
        return Leak("epoch_on_test", len(marked), where)
    return None


def _scores(rows: Sequence[TableRow], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Column -> (n_rows,) scores, NaN if missing; higher is better. Leaves constant columns out."""
    scores = {}
    for name in names:
        cells = [row.value(name, finite_number, "a number") for row in rows]
        values = np.array([math.nan if cell is None else cell for cell in cells])
        if len(np.unique(values[~np.isnan(values)])) > 1:
            scores[name] = -values if any(word in name for word in _LOWER_IS_BETTER) else values
    return scores


def _runs(rows: Sequence[TableRow], columns: Mapping[str, str]) -> list[np.ndarray]:
    """Row numbers of each training run: one per seed and fold."""
    runs: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        seed, fold = (row.text(columns.get(name, "")) for name in ("seed", "fold"))
        runs.setdefault((seed, fold), []).append(index)
    return [np.array(run) for run in runs.values()]


def _marks(rows: Sequence[TableRow], run: np.ndarray, kept: str) -> np.ndarray:
    """Positions in a run of the epochs that are marked as kept."""
    return np.flatnonzero([rows[index].text(kept).lower() in _MARKS for index in run])


def _is_best(epoch: int, run: np.ndarray, scores: Mapping[str, np.ndarray]) -> bool:
    """Whether an epoch is the best one of its run by at least one of the scores."""
    return any(
        values[epoch] >= np.max(values[run], where=~np.isnan(values[run]), initial=-math.inf)
        for values in scores.values()
    )
