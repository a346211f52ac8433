"""Split labeled segments into training, validation and test sets by protocol.

A protocol names the groups that stay in one set: segments, trials, recording sessions, participants
or stimuli. Classes and participants are balanced over the sets as far as whole groups allow. A
split depends on the seed, the names of the groups and their labels, and not on the order of the
rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.data.labels import EXCLUDED, count_per_class
from milmer_cli.data.stratified_groups import (
    PLURALS,
    assign_groups,
    group_names,
    has_several_sessions,
)
from milmer_cli.errors import InputError

if TYPE_CHECKING:
    from milmer_cli.data.labeled_segments import LabeledSegments
    from milmer_cli.settings.schema import Protocol

MAX_DENOMINATOR = 20
"""A fraction is held out as whole folds of at most this many: 0.2 is 1 of 5, 0.15 is 3 of 20."""

UNITS_KEPT_APART = {
    "segment": ("segment",),
    "trial": ("segment", "trial"),
    "session": ("segment", "trial", "session"),
    "participant": ("segment", "trial", "participant"),
    "stimulus": ("segment", "trial", "stimulus"),
    "participant-stimulus": ("segment", "trial", "participant", "stimulus"),
    "cross-dataset": ("segment", "trial"),
}
"""Groups that training, validation and test set must not share, by protocol.

Under ``cross-dataset``, the test set is another store, and has other participants and stimuli. The
validation set may be of the only participant of the store for training.
"""

PROTOCOLS = tuple(UNITS_KEPT_APART)
"""All protocols, from leaky to strict."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Training, validation and test set, as sorted (n,) int64 rows of a table of segments.

    Attributes
    ----------
    train
        Training set.
    validation
        Set that selects the epoch and fits the temperature; may be empty.
    test
        Set that gives the reported scores.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def sets(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name and the rows of each of the three sets."""
        yield "training", self.train
        yield "validation", self.validation
        yield "test", self.test

    def class_counts(self, labeled: LabeledSegments) -> dict[str, dict[str, int]]:
        """Count the segments of each class in each set."""
        return {
            name: count_per_class(labeled.labels[rows], labeled.class_names)
            for name, rows in self.sets()
        }


def make_folds(
    labeled: LabeledSegments,
    protocol: Protocol,
    n_folds: int,
    validation_fraction: float,
    seed: int,
) -> list[Fold]:
    """Split the labeled segments into folds for cross-validation.

    Every labeled segment is in the test set of exactly one fold, except under ``session`` and
    ``participant-stimulus``. Under ``session``, the sessions of each participant are assigned to
    different folds, as far as there are enough: with as many folds as sessions, each fold tests one
    session of each participant and trains on the others (leave-one-session-out). A participant with
    only one session is in the training set of every fold. Under ``participant-stimulus``,
    participants and stimuli are each assigned to ``n_folds``
    blocks. Fold i tests the participants of block i on the stimuli of block i, and excludes all
    other segments of these participants or stimuli. About one segment in ``n_folds`` is tested
    once, the others are never tested.

    Parameters
    ----------
    labeled
        Segments with their labels; excluded segments are in no set.
    protocol
        What the three sets must not share.
    n_folds
        At least 2.
    validation_fraction
        Fraction of the groups of each training set that is held out for validation; may be 0.
    seed
        Seed of the assignment of groups to folds.

    Returns
    -------
    list of Fold

    Raises
    ------
    InputError
        If there are fewer groups than folds, or too few for a validation set.
    """
    rows = _labeled_rows(labeled)
    apart = rows if protocol != "session" else rows[require_several_sessions(labeled, rows)]
    blocks = [
        _assign(labeled, rows, apart, unit, n_folds, [seed, 0]) for unit in _split_units(protocol)
    ]
    folds = []
    for number in range(n_folds):
        inside = np.all([block == number for block in blocks], axis=0)
        outside = np.all([block != number for block in blocks], axis=0)
        where = f"fold {number + 1} of {n_folds}"
        folds.append(
            _with_validation(
                labeled,
                protocol,
                rows[outside],
                rows[inside],
                validation_fraction,
                [seed, 1, number],
                where,
            )
        )
    return folds


def holdout(
    labeled: LabeledSegments,
    protocol: Protocol,
    test_fraction: float,
    validation_fraction: float,
    seed: int,
) -> Fold:
    """Hold out one test set and one validation set.

    Parameters
    ----------
    labeled, protocol, validation_fraction, seed
        As in `make_folds`.
    test_fraction
        Fraction of the groups in the test set. Under ``participant-stimulus`` it applies to the
        participants and to the stimuli, so that its square is tested. 0 gives an empty test set.

    Raises
    ------
    InputError
        If there are too few groups to put one in every set.
    """
    rows = _labeled_rows(labeled)
    kept, test = _hold_out(
        labeled, protocol, rows, test_fraction, [seed, 2], "test", "the data set"
    )
    return _with_validation(
        labeled, protocol, kept, test, validation_fraction, [seed, 3], "the split"
    )


def select_epoch_on_test(fold: Fold) -> Fold:
    """Use the test set as validation set, as the published code does.

    The segments of the validation set are added to the training set. The resulting accuracy is
    optimistic, and every page that shows it must say so.
    """
    return Fold(np.sort(np.concatenate([fold.train, fold.validation])), fold.test, fold.test)


def _labeled_rows(labeled: LabeledSegments) -> np.ndarray:
    rows = np.flatnonzero(np.asarray(labeled.labels) != EXCLUDED)
    if not rows.size:
        raise InputError(
            "No segment has a class: every rating is missing or dropped as a tie.",
            "Check data.ties and data.threshold, and the ratings of the data set.",
        )
    return rows


def _split_units(protocol: Protocol) -> tuple[str, ...]:
    return ("participant", "stimulus") if protocol == "participant-stimulus" else (protocol,)


def require_several_sessions(labeled: LabeledSegments, rows: np.ndarray) -> np.ndarray:
    """Whether the participant of each row has several sessions in these rows, (n_rows,) bool.

    Raises
    ------
    InputError
        No participant has several sessions.
    """
    several = has_several_sessions(labeled.segments, rows)
    if not several.any():
        raise InputError(
            "The session protocol needs a participant with at least 2 recording sessions with "
            "labeled segments, and every participant has only one.",
            "Name the sessions in the column session of the manifest and run `milmer prepare` "
            "again, or use --protocol trial.",
        )
    return several


def _assign(
    labeled: LabeledSegments,
    rows: np.ndarray,
    apart: np.ndarray,
    unit: str,
    n_folds: int,
    seed: list[int],
) -> np.ndarray:
    """Assign rows to folds, (n_rows,); rows that are not in ``apart`` get ``n_folds``."""
    fold_of_row = np.full(len(rows), n_folds)
    fold_of_row[np.isin(rows, apart)] = assign_groups(labeled, apart, unit, n_folds, seed)
    return fold_of_row


def _hold_out(
    labeled: LabeledSegments,
    protocol: Protocol,
    rows: np.ndarray,
    fraction: float,
    seed: list[int],
    name: str,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into (kept, held out); under two units, rows that share only one are dropped."""
    if fraction <= 0:
        return rows, rows[:0]
    held, kept = np.ones(len(rows), bool), np.ones(len(rows), bool)
    # 0.15 is 3/20: assign the groups to 20 folds and hold out 3 of them. With fewer than 20 groups
    # every group is a fold. At least one fold is held out and at least one is kept.
    denominator = max(Fraction(fraction).limit_denominator(MAX_DENOMINATOR).denominator, 2)
    apart = rows
    if protocol == "session" and (several := has_several_sessions(labeled.segments, rows)).any():
        apart = rows[several]  # the only remaining session of a participant stays in training
    elif protocol == "session" and name == "test":
        require_several_sessions(labeled, rows)
    for unit in _split_units(protocol):
        n_groups = len(np.unique(group_names(labeled.segments, unit)[apart]))
        if n_groups < 2:
            raise InputError(
                f"No {name} set can be held out by {unit}: expected at least 2 {PLURALS[unit]} in "
                f"{where}, got {n_groups}.",
                "Use fewer folds, more recordings or another protocol.",
            )
        n_folds = min(denominator, n_groups)
        n_held = min(max(round(fraction * n_folds), 1), n_folds - 1)
        fold_of_row = _assign(labeled, rows, apart, unit, n_folds, seed)
        held &= fold_of_row < n_held
        kept &= fold_of_row >= n_held
    return rows[kept], rows[held]


def _with_validation(
    labeled: LabeledSegments,
    protocol: Protocol,
    rows: np.ndarray,
    test: np.ndarray,
    fraction: float,
    seed: list[int],
    where: str,
) -> Fold:
    """Split rows into training and validation set, and check that no set is empty."""
    train, validation = _hold_out(
        labeled, protocol, rows, fraction, seed, "validation", f"the training set of {where}"
    )
    for name, chosen in (("training", train), ("validation", validation)):
        if not chosen.size and (name == "training" or fraction > 0):
            raise InputError(
                f"The {name} set of {where} would be empty under protocol {protocol}.",
                "Use fewer folds, more recordings or another protocol.",
            )
    if protocol == "participant-stimulus" and not test.size:
        raise InputError(
            f"The test set of {where} would be empty: its participants have no segment of its "
            "stimuli.",
            "Use fewer folds.",
        )
    return Fold(train, validation, test)
