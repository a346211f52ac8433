"""Tables of splits: what each fold was trained, validated and tested on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from milmer_cli.audit.predictions import (
    PredictionTable,
    find_columns,
    missing_column,
    seconds,
    texts,
)
from milmer_cli.audit.table import AuditTable
from milmer_cli.datasets.table import TableErrors, read_table

SETS = {
    "train": "train", "training": "train", "fit": "train",
    "validation": "validation", "val": "validation", "valid": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "holdout": "test",
}  # fmt: skip
"""Spelling of a set -> its name."""

_IDENTITIES = ("participant", "session", "trial", "stimulus")
Identity = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SplitTable(AuditTable):
    """Which trials each fold was trained and tested on, one per row.

    Attributes
    ----------
    set
        (n,) ``train``, ``validation`` or ``test``.
    truth
        (n,) text of the true class; empty if the table has no such column.
    """

    set: np.ndarray
    truth: np.ndarray


def read_splits(path: Path, names: Mapping[str, str] | None = None) -> SplitTable:
    """Read a table that states which trials each fold was trained, validated and tested on.

    Parameters
    ----------
    path
        A CSV file with the columns fold, set (train, validation or test) and participant, and
        usually trial or stimulus. The columns session, seed, onset_s and truth are optional.
    names
        Column of `predictions.SPELLINGS` -> its name in the file.

    Raises
    ------
    InputError
        A column is missing, or a cell has no usable value.
    """
    errors = TableErrors(
        path, "A split table has the columns fold, participant, trial and set (train or test)."
    )
    rows = read_table(errors, required=())
    errors.raise_if_any()
    columns = find_columns(rows[0], names or {}, path, ("set",))
    for name in ("fold", "set", "participant"):
        if name not in columns:
            raise missing_column(f"the {name}", rows[0], path, errors.hint)
    for row in rows:
        row.required(columns["set"])
    table = SplitTable(
        set=np.array(
            [row.value(columns["set"], _set_name, "train, validation or test") for row in rows]
        ),
        **texts(
            rows,
            columns,
            (*_IDENTITIES, "fold", "seed", "truth"),
            optional=("session", "stimulus", "truth"),
        ),
        **seconds(rows, columns, ("onset_s",)),
    )
    errors.raise_if_any()
    return table


def match_splits(splits: SplitTable, table: PredictionTable) -> SplitTable:
    """Identify the trials of a split table as the table of predictions does.

    Each row stands for all trials of the table of predictions with the same participant, the same
    session (if both tables have sessions) and the same trial; without a column of trials in both
    tables, with the same stimulus; without either, for all trials of the participant, or of the
    session. It takes over their other columns, so that a stimulus may
    have another name in each table. Rows without such a trial are kept; their columns that the
    table of predictions does not have become empty.
    """
    common = [
        column for column, name in enumerate(_IDENTITIES) if splits.has(name) and table.has(name)
    ]
    owners = [column for column in common if _IDENTITIES[column] in ("participant", "session")]
    key = [*owners, *[column for column in common if column not in owners][:1]]
    trials: dict[Identity, dict[Identity, None]] = {}
    for identity in _identities(table):
        trials.setdefault(tuple(identity[c] for c in key), {})[identity] = None
    rows, found = [], []
    for row, identity in enumerate(_identities(splits)):
        without_match = tuple(text if c in common else "" for c, text in enumerate(identity))
        for match in trials.get(tuple(identity[c] for c in key), (without_match,)):
            rows.append(row)
            found.append(match)
    columns = dict(zip(_IDENTITIES, np.array(found, dtype=str).T, strict=True))
    kept = {n: getattr(splits, n)[rows] for n in ("fold", "seed", "onset_s", "set", "truth")}
    return replace(splits, **columns, **kept)


def _identities(table: AuditTable) -> Iterator[Identity]:
    """Yield participant, session, trial and stimulus of each row."""
    columns = (getattr(table, name).tolist() for name in _IDENTITIES)
    yield from zip(*columns, strict=True)


def _set_name(text: str) -> str:
    name = SETS.get(text.lower())
    if name is None:
        raise ValueError(text)
    return name
