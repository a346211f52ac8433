"""Find what training and test share that they must not share.

A trial, session, participant or stimulus is *shared* if it is in the training or validation set of
the fold that tests it. Sharing a trial is always a leak. Sharing sessions, participants or stimuli
is a leak only if the protocol separates them: the protocol that the user claims, or else the
strictest one to which at least half of the test rows conform.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from milmer_cli.audit.predictions import PredictionTable
from milmer_cli.audit.splits import SplitTable
from milmer_cli.audit.table import AuditTable
from milmer_cli.errors import shorten

DESCRIPTIONS = {
    "shared_trial": "test rows whose trial is also in the training set",
    "shared_session": "test rows whose recording session is also in the training set",
    "shared_participant": "test rows whose participant is also in the training set",
    "shared_stimulus": "test rows whose stimulus is also in the training set",
    "overlapping_samples": "test rows that have samples in common with a training segment",
    "duplicate_row": "rows that repeat an earlier row",
    "same_participant": "pairs of participants that are the same person",
    "epoch_on_test": "training histories that selected the epoch on the test set",
}
"""Kind of leak -> what its count counts."""

_MIN_ROWS = 4
"""Fewest different rows with which two participants are compared."""


@dataclass(frozen=True)
class Leak:
    """One kind of leak.

    Attributes
    ----------
    kind
        A key of `DESCRIPTIONS`.
    count
        Number of rows, pairs or histories that are affected.
    where
        Examples.
    """

    kind: str
    count: int
    where: str


@dataclass(frozen=True, eq=False)
class SharedData:
    """What each test row shares with the training and validation set of its fold.

    Attributes
    ----------
    trial, session, participant, stimulus, overlap
        (n,) bool; ``overlap`` is true if samples are shared.
    stimuli_known
        Whether the stimulus of every training row is known.
    """

    trial: np.ndarray
    session: np.ndarray
    participant: np.ndarray
    stimulus: np.ndarray
    overlap: np.ndarray
    stimuli_known: bool


@dataclass(frozen=True, eq=False)
class TestedFold:
    """The test rows of one fold, and the table and rows that its model was trained on."""

    __test__ = False  # not a test, whatever pytest makes of the name

    rows: np.ndarray
    source: AuditTable
    training_rows: np.ndarray


def tested_folds(table: PredictionTable, splits: SplitTable | None) -> list[TestedFold]:
    """Pair the test rows of each fold and seed with the rows that the model was trained on.

    Without a split table, a model is assumed to be trained on all other folds of the same seed. An
    empty list if there is neither a split table nor more than one fold.
    """
    if splits is None and len(np.unique(table.fold)) < 2:
        return []
    return list(_tested_folds(table, splits))


def _tested_folds(table: PredictionTable, splits: SplitTable | None) -> Iterator[TestedFold]:
    for seed in np.unique(table.seed):
        for fold in np.unique(table.fold[table.seed == seed]):
            rows = np.flatnonzero((table.seed == seed) & (table.fold == fold))
            if splits is None:
                others = (table.seed == seed) & (table.fold != fold)
                yield TestedFold(rows, table, np.flatnonzero(others))
                continue
            others = (splits.fold == fold) & (splits.set != "test")
            if np.any(splits.seed != ""):
                others &= splits.seed == seed
            yield TestedFold(rows, splits, np.flatnonzero(others))


def shared_data(table: PredictionTable, folds: list[TestedFold]) -> SharedData:
    """Compare each test row with the training and validation set of its fold."""
    known = all(np.all(fold.source.stimulus[fold.training_rows] != "") for fold in folds)
    trial, session, participant, stimulus, overlap = np.zeros((5, len(table.truth)), bool)
    shared = SharedData(trial, session, participant, stimulus, overlap, known)
    ids = table.trial_id
    for fold in folds:
        source, rows, others = fold.source, fold.rows, fold.training_rows
        other_ids = source.trial_id[others]
        shared.trial[rows] = np.isin(ids[rows], other_ids)
        for column, values in (
            (shared.session, (table.session_id, source.session_id)),
            (shared.participant, (table.participant, source.participant)),
            (shared.stimulus, (table.stimulus, source.stimulus)),
        ):
            column[rows] = np.isin(values[0][rows], values[1][others]) & (values[0][rows] != "")
        shared.overlap[rows] = _overlapping(table, ids, fold, other_ids)
    return shared


def _overlapping(
    table: PredictionTable, ids: np.ndarray, fold: TestedFold, other_ids: np.ndarray
) -> np.ndarray:
    """Whether samples of a test row are in a training segment of the same trial."""
    onset, other_onset = table.onset_s[fold.rows], fold.source.onset_s[fold.training_rows]
    found = np.zeros(len(fold.rows), bool)
    if np.isnan(onset).all() or np.isnan(other_onset).all():
        return found
    stated = table.duration_s[~np.isnan(table.duration_s)]
    length = float(np.median(stated)) if len(stated) else 1e-3  # equal onsets only
    for trial in np.intersect1d(ids[fold.rows], other_ids):
        own = np.flatnonzero(ids[fold.rows] == trial)
        distance = np.abs(onset[own][:, None] - other_onset[other_ids == trial])
        found[own] = (distance < length - 1e-6).any(axis=1)
    return found


def infer_protocol(shared: SharedData, table: PredictionTable) -> str:
    """Return the strictest protocol to which at least half of the test rows conform."""
    if shared.trial.mean() > 0.5:
        return "segment"
    separate = {
        "participant": shared.participant.mean() <= 0.5,
        "stimulus": table.has("stimulus")
        and shared.stimuli_known
        and shared.stimulus.mean() <= 0.5,
    }
    strictest = "-".join(name for name, value in separate.items() if value)
    if not strictest and table.has("session") and shared.session.mean() <= 0.5:
        return "session"
    return strictest or "trial"


def find_leaks(table: PredictionTable, shared: SharedData | None, protocol: str) -> list[Leak]:
    """List the leaks of a table of predictions under a protocol."""
    leaks = [_duplicate_rows(table), _same_participants(table)]
    if shared is not None:
        leaks = [*_shared(table, shared, protocol), *leaks]
    return [leak for leak in leaks if leak.count]


def _shared(table: PredictionTable, shared: SharedData, protocol: str) -> Iterator[Leak]:
    separated = {
        "shared_trial": (shared.trial, table.trial, True),
        "shared_session": (shared.session, table.session, protocol == "session"),
        "shared_participant": (shared.participant, table.participant, "participant" in protocol),
        "shared_stimulus": (shared.stimulus, table.stimulus, "stimulus" in protocol),
        "overlapping_samples": (shared.overlap, table.trial, True),
    }
    for kind, (rows, column, is_leak) in separated.items():
        if is_leak:
            yield Leak(kind, int(rows.sum()), _examples(table, rows, column))


def _examples(table: PredictionTable, rows: np.ndarray, column: np.ndarray) -> str:
    cells = zip(table.fold[rows], table.participant[rows], column[rows], strict=True)
    found = {f"fold {f}: {p}" + (f", {c}" if c not in ("", p) else ""): None for f, p, c in cells}
    return shorten(list(found), 4, "; ")


def _duplicate_rows(table: PredictionTable) -> Leak:
    """Rows of the same segment; without onsets, rows of a trial with the same probabilities."""
    columns = [table.seed, table.participant, table.session, table.trial, table.stimulus]
    if np.isnan(table.onset_s).all():
        if not table.has_probabilities:
            return (
                _repeated(table, columns) if _one_row_per_trial(table) else _none("duplicate_row")
            )
        columns += list(table.probabilities.T)
    else:
        columns.append(table.onset_s)
    return _repeated(table, columns)


def _one_row_per_trial(table: PredictionTable) -> bool:
    """Whether most trials of each seed have exactly one row."""
    _, counts = np.unique(np.stack([table.seed, table.trial_id]), axis=1, return_counts=True)
    return bool(np.mean(counts == 1) > 0.5)


def _repeated(table: PredictionTable, columns: list[np.ndarray]) -> Leak:
    first_line: dict[tuple[object, ...], int] = {}
    pairs = []
    for line, *key in zip(table.lines, *columns, strict=True):
        known = first_line.setdefault(tuple(key), line)
        if known != line:
            pairs.append(f"lines {known} and {line}")
    return Leak("duplicate_row", len(pairs), shorten(pairs, 4, "; "))


def _none(kind: str) -> Leak:
    return Leak(kind, 0, "")


def _same_participants(table: PredictionTable) -> Leak:
    """Pairs of participants whose names, or whose rows, are the same."""
    names = [str(name) for name in np.unique(table.participant) if name]
    rows = {name: _different_rows(table, name) for name in names}
    # rows of three or more participants come from a model with few different outputs
    owners = Counter(row for own in rows.values() for row in own)
    rows = {name: {row for row in own if owners[row] <= 2} for name, own in rows.items()}
    normal = {name: normal_name(name) for name in names}
    pairs = [
        f"{first} and {second}"
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if normal[first] == normal[second] or _same_rows(rows[first], rows[second])
    ]
    return Leak("same_participant", len(pairs), shorten(pairs, 4, "; "))


_PREFIX = re.compile(
    r"^(subject|subj|sub|participant|person|p|session|sess|ses|s|trial|stimulus|stim|clip|video|film|movie)(?=\d)"
)


def normal_name(name: str) -> str:
    """Remove case, separators, zero padding and the usual prefixes from a name.

    Separators between two digits are kept as a hyphen: ``1-12`` and ``11-2`` are different names.
    """
    plain = re.sub(r"[\W_]+", "-", name.lower())
    plain = re.sub(r"(?<!\d)-|-(?!\d)", "", plain)
    plain = _PREFIX.sub("", plain)
    return re.sub(r"\d+", lambda number: str(int(number[0])), plain) or name


def _different_rows(table: PredictionTable, name: str) -> set[tuple[float, ...]]:
    """Different probabilities of a participant."""
    if not table.has_probabilities:
        return set()
    rows = table.probabilities[table.participant == name]
    return {tuple(row) for row in np.round(rows, 6).tolist()}


def _same_rows(first: set[tuple[float, ...]], second: set[tuple[float, ...]]) -> bool:
    """Whether at least half of the rows of the smaller participant are rows of the other."""
    smaller = min(len(first), len(second))
    return smaller >= _MIN_ROWS and len(first & second) >= smaller / 2
