"""Groups that a split keeps whole, and how they are dealt evenly to folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.errors import InputError

if TYPE_CHECKING:
    from milmer_cli.store.index import Segments

WORDS = {
    "segment": "segments",
    "trial": "trials",
    "participant": "participants",
    "stimulus": "clips",
}
"""What the groups along each axis are called in messages."""


def group_names(segments: Segments, axis: str) -> np.ndarray:
    """(n_segments,) names of the groups along an axis; equal names are one group."""
    match axis:
        case "segment":
            return segment_ids(segments)
        case "trial":
            return segments.trial_id
        case "participant":
            return np.asarray(segments.participant)
        case _:
            return np.asarray(segments.stimulus)


def segment_ids(segments: Segments) -> np.ndarray:
    """(n_segments,) names such as ``s01/03@12.000``: trial and onset in seconds."""
    onsets = np.char.mod("@%.3f", np.asarray(segments.onset, dtype=np.float64))
    return np.char.add(np.asarray(segments.trial_id, dtype=str), onsets)


def deal(
    segments: Segments,
    labels: np.ndarray,
    rows: np.ndarray,
    axis: str,
    folds: int,
    seed: list[int],
    what: str,
) -> np.ndarray:
    """Deal the groups that rows belong to into folds; (n_rows,) numbers of folds.

    Numbers of groups differ by one at most between folds. Among the emptiest folds a
    group goes to the one that has least of its strata: classes, participants, classes within
    participants, each counted as a share of its total. What is equal is drawn from the seed.
    """
    names, group = np.unique(group_names(segments, axis)[rows], return_inverse=True)
    if folds > len(names):
        raise InputError(
            f"{what[0].upper() + what[1:]} by {axis} need at least {folds} {WORDS[axis]}, "
            f"and there are {len(names)}.",
            f"Use at most {len(names)} folds, or another protocol.",
        )
    random = np.random.default_rng([*seed, *axis.encode()])
    counts, order = _strata(segments, labels, rows, group, axis, random)
    totals = counts.sum(axis=0)
    filled = np.zeros((folds, counts.shape[1]))
    given = np.zeros(len(names), dtype=np.int64)
    waiting = random.permutation(folds)
    for chosen in order:
        present = np.flatnonzero(counts[chosen])
        part = counts[chosen, present]
        cost = filled[np.ix_(waiting, present)] @ (part / totals[present])
        best = int(np.argmin(np.round(cost, 9)))
        given[chosen] = waiting[best]
        filled[waiting[best], present] += part
        waiting = np.delete(waiting, best)
        if not waiting.size:
            waiting = random.permutation(folds)
    return given[group]


def _strata(
    segments: Segments,
    labels: np.ndarray,
    rows: np.ndarray,
    group: np.ndarray,
    axis: str,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each group in each stratum, (n_groups, n_strata), and the order of dealing.

    Strata are classes, participants and classes within participants.
    """
    participants, who = np.unique(np.asarray(segments.participant)[rows], return_inverse=True)
    kinds, kind = np.unique(np.asarray(labels)[rows], return_inverse=True)
    n_groups = int(group.max()) + 1
    n_kinds, n_people = len(kinds), len(participants)
    counts = np.zeros((n_groups, n_kinds + n_people + n_people * n_kinds))
    for column in (kind, n_kinds + who, n_kinds + n_people + who * n_kinds + kind):
        np.add.at(counts, (group, column), 1.0)
    order = random.permutation(n_groups)
    if axis in ("segment", "trial"):  # one participant and one class each: like groups in a row
        first = np.unique(group, return_index=True)[1][order]
        order = order[np.lexsort((kind[first], who[first]))]
    return counts, order
