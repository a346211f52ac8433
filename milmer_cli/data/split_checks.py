"""Check that the sets of a fold share nothing that the protocol keeps apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.data.labels import EXCLUDED, count_per_class
from milmer_cli.data.splits import UNITS_KEPT_APART, Fold, require_several_sessions
from milmer_cli.data.stratified_groups import PLURALS, group_names
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.progress import SILENT, Progress

if TYPE_CHECKING:
    from milmer_cli.data.labeled_segments import LabeledSegments
    from milmer_cli.settings.schema import Protocol


def check_fold(fold: Fold, labeled: LabeledSegments, protocol: Protocol) -> None:
    """Raise an error if the sets of a fold share anything that the protocol keeps apart.

    Parameters
    ----------
    fold
        Training and test set must not be empty.
    labeled
        The segments that the fold indexes.
    protocol
        ``segment`` forbids shared segments and shared samples of overlapping segments; the other
        protocols also forbid shared trials, and shared sessions, participants or stimuli.

    Raises
    ------
    MilmerError
        If two sets share a group, or if a set is invalid.
    """
    for name, rows in fold.sets():
        if rows.size and (rows.min() < 0 or rows.max() >= len(labeled.segments)):
            raise MilmerError(
                f"The {name} set contains row {rows.max()}: expected 0 to "
                f"{len(labeled.segments) - 1}, the segments of the store."
            )
        if len(np.unique(rows)) != len(rows):
            raise MilmerError(f"The {name} set contains a segment twice.")
        if name != "validation" and not rows.size:
            raise MilmerError(f"The {name} set is empty.")
    sets = list(fold.sets())
    for position, first in enumerate(sets):
        for second in sets[position + 1 :]:
            _refuse_shared_groups(labeled, protocol, first, second)
            _refuse_overlap(labeled, first, second)


def require_protocol(labeled: LabeledSegments, protocol: Protocol) -> None:
    """Refuse a protocol that separates nothing, because its units are not shared by trials.

    Parameters
    ----------
    labeled
        The segments; those without a class do not count.
    protocol
        The protocol.

    Raises
    ------
    InputError
        Under ``session``, every participant has only one session. Under ``stimulus``, every
        stimulus occurs in one trial only. Under ``participant-stimulus``, every stimulus was shown
        to one participant only.
    """
    rows = np.flatnonzero(labeled.labels != EXCLUDED)
    segments = labeled.segments
    if protocol == "session" and rows.size:
        require_several_sessions(labeled, rows)
    if protocol == "stimulus" and not _is_shared(segments.stimulus[rows], segments.trial_id[rows]):
        raise InputError(
            "The stimulus protocol needs stimuli that occur in several trials, and every stimulus "
            "of the store occurs in one trial only.",
            "Use --protocol trial, which already separates the stimuli.",
        )
    if protocol == "participant-stimulus" and not _is_shared(
        segments.stimulus[rows], segments.participant[rows]
    ):
        raise InputError(
            "The participant-stimulus protocol needs stimuli that several participants saw, and "
            "every stimulus of the store was shown to one participant only.",
            "Use --protocol participant, which already separates the stimuli.",
        )


def _is_shared(stimulus: np.ndarray, owner: np.ndarray) -> bool:
    """Whether some stimulus belongs to several trials, or participants."""
    pairs = np.unique(np.stack([stimulus.astype(str), owner.astype(str)]), axis=1)
    return len(np.unique(pairs[0])) < pairs.shape[1] or not len(stimulus)


def check_training_classes(
    fold: Fold, labeled: LabeledSegments, progress: Progress = SILENT
) -> None:
    """Warn about the classes that are absent from a training set.

    Raises
    ------
    InputError
        If the training set contains one class only.
    """
    counts = count_per_class(labeled.labels[fold.train], labeled.class_names)
    present = [name for name, count in counts.items() if count]
    absent = [name for name, count in counts.items() if not count]
    if len(present) < 2:
        raise InputError(
            f"All {len(fold.train)} segments of the training set are {', '.join(present)}: "
            "expected at least two classes.",
            "Use more participants, another data.target or another data.threshold.",
        )
    if absent:
        progress.note(
            f"The training set has no segment of {', '.join(absent)}: the model cannot learn to "
            "predict it.",
            "warning",
        )


def _refuse_shared_groups(
    labeled: LabeledSegments,
    protocol: Protocol,
    first: tuple[str, np.ndarray],
    second: tuple[str, np.ndarray],
) -> None:
    for unit in UNITS_KEPT_APART[protocol]:
        names = group_names(labeled.segments, unit)
        shared = np.intersect1d(names[first[1]], names[second[1]])
        if shared.size:
            raise MilmerError(
                f"The {first[0]} and {second[0]} sets share {_count(shared.size, unit)}, for "
                f"example {shared[0]}: protocol {protocol} forbids this.",
                "Make the split again; do not use scores computed with it.",
            )


def _refuse_overlap(
    labeled: LabeledSegments, first: tuple[str, np.ndarray], second: tuple[str, np.ndarray]
) -> None:
    """Raise an error if segments of two sets have samples in common."""
    segments = labeled.segments
    trial, onset = segments.trial_id, np.asarray(segments.onset, dtype=np.float64)
    rows = np.concatenate([first[1], second[1]])
    if not rows.size:
        return
    side = np.repeat([0, 1], [len(first[1]), len(second[1])])
    order = np.lexsort((onset[rows], trial[rows]))
    rows, side = rows[order], side[order]
    # All segments have the same length. If a segment overlaps one of the other set, it also
    # overlaps every segment between the two, so some pair of consecutive segments crosses the sets.
    overlapping = trial[rows][1:] == trial[rows][:-1]
    overlapping &= np.diff(onset[rows]) < labeled.segment_s - 1e-3
    crossing = np.flatnonzero(overlapping & (side[1:] != side[:-1]))
    if crossing.size:
        row = rows[crossing[0]]
        raise MilmerError(
            f"The {first[0]} and {second[0]} sets share samples: {crossing.size} pairs of segments "
            f"overlap, for example at {onset[row]:g} s of {trial[row]}.",
            "Split by trial, or prepare segments that do not overlap.",
        )


def _count(number: int, unit: str) -> str:
    return f"{number} {unit if number == 1 else PLURALS[unit]}"
