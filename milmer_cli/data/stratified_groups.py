"""Assign whole groups of segments to folds, stratified by class and participant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.errors import InputError

if TYPE_CHECKING:
    from milmer_cli.data.labeled_segments import LabeledSegments
    from milmer_cli.store.segments import Segments

PLURALS = {
    "segment": "segments",
    "trial": "trials",
    "session": "recording sessions",
    "participant": "participants",
    "stimulus": "stimuli",
}
"""The kinds of group, with their names in messages."""


def group_names(segments: Segments, unit: str) -> np.ndarray:
    """Return the group of each segment.

    Parameters
    ----------
    segments
        Table of segments.
    unit
        A key of `PLURALS`.

    Returns
    -------
    numpy.ndarray
        (n_segments,); segments with equal names belong to one group.
    """
    match unit:
        case "segment":
            return segments.segment_id
        case "trial":
            return segments.trial_id
        case "session":
            return segments.session_id
        case "participant":
            return np.asarray(segments.participant)
        case _:
            return np.asarray(segments.stimulus)


def has_several_sessions(segments: Segments, rows: np.ndarray) -> np.ndarray:
    """Whether the participant of each row has several recording sessions in these rows.

    Parameters
    ----------
    segments
        Table of segments.
    rows
        (n_rows,) rows of the table.

    Returns
    -------
    numpy.ndarray
        (n_rows,) bool.
    """
    participant = np.unique(segments.participant[rows], return_inverse=True)[1]
    sessions, first = np.unique(group_names(segments, "session")[rows], return_index=True)
    n_sessions = np.bincount(participant[first], minlength=len(sessions))
    return np.asarray(n_sessions[participant] > 1)


def assign_groups(
    labeled: LabeledSegments, rows: np.ndarray, unit: str, n_folds: int, seed: list[int]
) -> np.ndarray:
    """Assign the groups of some segments to folds.

    This is a greedy stratified group k-fold. The groups are visited in a random order. In each
    round of ``n_folds`` groups every fold receives exactly one group, so that the numbers of groups
    differ by at most one between folds. A group goes to that fold of the round which holds the
    smallest share of the group's strata so far. The strata are the classes, the participants and
    the classes within each participant. The result depends on the names of the groups, their
    labels and the seed, and not on the order of the rows. The sessions of a participant go to as
    many different folds as possible, before the strata are considered.

    Parameters
    ----------
    labeled
        All segments.
    rows
        (n_rows,) the segments to assign.
    unit
        A key of `PLURALS`.
    n_folds
        Number of folds.
    seed
        Seed of the random order, as for `numpy.random.default_rng`.

    Returns
    -------
    numpy.ndarray
        (n_rows,) the fold of each row, from 0.

    Raises
    ------
    InputError
        If there are fewer groups than folds.
    """
    names, group = np.unique(group_names(labeled.segments, unit)[rows], return_inverse=True)
    if n_folds > len(names):
        raise InputError(
            f"{n_folds} folds by {unit}: expected at least {n_folds} {PLURALS[unit]}, "
            f"got {len(names)}.",
            f"Use at most {len(names)} folds, or another protocol."
            if len(names) > 1
            else f"Prepare more {PLURALS[unit]}, or use another protocol.",
        )
    # the unit is part of the seed: participants and stimuli are then assigned independently
    random = np.random.default_rng([*seed, *unit.encode()])
    counts, order = _strata(labeled, rows, group, unit, random)
    totals = counts.sum(axis=0)
    assigned = np.zeros((n_folds, counts.shape[1]))
    fold_of_group = np.zeros(len(names), dtype=np.int64)
    owner = _participants(labeled, rows, group)
    n_sessions = np.zeros((n_folds, int(owner.max()) + 1))
    open_folds = random.permutation(n_folds)  # folds without a group in this round
    for index in order:
        present = np.flatnonzero(counts[index])
        own = counts[index, present]
        # dividing by the totals gives a rare class the same weight as a frequent one
        cost = assigned[np.ix_(open_folds, present)] @ (own / totals[present])
        # rounding makes equal costs equal, so that the random order of the folds decides
        keys = [np.round(cost, 9)]
        if unit == "session":
            keys.append(n_sessions[open_folds, owner[index]])
        best = int(np.lexsort(keys)[0])
        fold_of_group[index] = open_folds[best]
        n_sessions[open_folds[best], owner[index]] += 1
        assigned[open_folds[best], present] += own
        open_folds = np.delete(open_folds, best)
        if not open_folds.size:
            open_folds = random.permutation(n_folds)
    return fold_of_group[group]


def _participants(labeled: LabeledSegments, rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(n_groups,) number of a participant of each group: the only one of a session."""
    participant = np.unique(labeled.segments.participant[rows], return_inverse=True)[1]
    owners: np.ndarray = participant[np.unique(group, return_index=True)[1]]
    return owners


def _strata(
    labeled: LabeledSegments,
    rows: np.ndarray,
    group: np.ndarray,
    unit: str,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Count the rows of each group in each stratum, and order the groups.

    Returns
    -------
    counts : numpy.ndarray
        (n_groups, n_strata); the strata are the classes, the participants and the classes within
        participants.
    order : numpy.ndarray
        (n_groups,) permutation of the groups.
    """
    participants, participant = np.unique(
        np.asarray(labeled.segments.participant)[rows], return_inverse=True
    )
    classes, label = np.unique(np.asarray(labeled.labels)[rows], return_inverse=True)
    n_groups, n_classes, n_participants = int(group.max()) + 1, len(classes), len(participants)
    columns = (
        label,
        n_classes + participant,
        n_classes + n_participants + participant * n_classes + label,
    )
    counts = np.zeros((n_groups, n_classes + n_participants + n_participants * n_classes))
    for column in columns:
        np.add.at(counts, (group, column), 1.0)
    order = random.permutation(n_groups)
    if unit in ("segment", "trial"):
        # such a group has one participant and one class: visiting equal groups consecutively
        # spreads each participant's classes evenly over the folds
        first = np.unique(group, return_index=True)[1][order]
        order = order[np.lexsort((label[first], participant[first]))]
    elif unit == "session":
        order = order[np.argsort(_participants(labeled, rows, group)[order], kind="stable")]
    return counts, order
