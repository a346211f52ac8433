"""Protocols: what training, validation and test parts may never share, and splits that keep to it.

A protocol names the groups that stay whole: segments, trials, participants, stimuli. Classes and
participants are kept as even over the parts as whole groups allow. A split depends on the seed, on
the names of the groups and on their classes, never on the order of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.data.grouping import WORDS, deal, group_names
from milmer_cli.data.labels import LEFT_OUT
from milmer_cli.errors import InputError, MilmerError

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Protocol
    from milmer_cli.store.index import Segments

MOST_SLOTS = 20
"""A share is cut as whole slots of at most this many: 0.2 is one of 5, 0.15 three of 20."""

_FORBIDDEN = {
    "segment": ("segment",),
    "trial": ("segment", "trial"),
    "participant": ("segment", "trial", "participant"),
    "stimulus": ("segment", "trial", "stimulus"),
    "participant-stimulus": ("segment", "trial", "participant", "stimulus"),
}
PROTOCOLS = tuple(_FORBIDDEN)
"""From leaky to strict."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows of a Segments table, as sorted (n,) int64 arrays, for each part of a split.

    Attributes
    ----------
    train
        What the model is fitted on.
    validation
        Where the epoch is chosen and the temperature fitted; empty when none was asked for.
    test
        What the reported numbers come from.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def parts(self) -> Iterator[tuple[str, np.ndarray]]:
        """Names and rows of the three parts."""
        yield "training", self.train
        yield "validation", self.validation
        yield "test", self.test


def make_folds(
    segments: Segments,
    labels: np.ndarray,
    protocol: Protocol,
    folds: int,
    validation_fraction: float,
    seed: int,
) -> list[Fold]:
    """Cut the labelled segments into folds.

    Every labelled row is in the test part of exactly one fold, except under
    ``participant-stimulus``: there participants and clips are each dealt into ``folds`` blocks,
    fold i tests the clips of block i as seen by the participants of block i, and every other row
    of those participants or clips is in no part of fold i. About one row in ``folds`` is tested
    once, the others never.

    Parameters
    ----------
    segments
        The table the folds index.
    labels
        (n_segments,) classes; rows of class -1 are in no part.
    protocol
        What the three parts never share.
    folds
        How many, at least 2.
    validation_fraction
        Share of the training part's groups kept for validation, by the same protocol; 0 for none.
    seed
        Draws which groups go together; the same seed gives the same folds.

    Returns
    -------
    list of Fold

    Raises
    ------
    InputError
        There are fewer groups than folds, or too few to cut a validation part.
    """
    rows = _labelled(segments, labels)
    result = []
    blocks = [
        deal(segments, labels, rows, axis, folds, [seed, 0], f"{folds} folds")
        for axis in _axes(protocol)
    ]
    for number in range(folds):
        inside = np.all([block == number for block in blocks], axis=0)
        outside = np.all([block != number for block in blocks], axis=0)
        result.append(
            _with_validation(
                segments,
                labels,
                protocol,
                rows[outside],
                rows[inside],
                validation_fraction,
                [seed, 1, number],
                f"fold {number + 1} of {folds}",
            )
        )
    return result


def holdout(
    segments: Segments,
    labels: np.ndarray,
    protocol: Protocol,
    test_fraction: float,
    validation_fraction: float,
    seed: int,
) -> Fold:
    """Cut one test part off the labelled segments.

    Parameters
    ----------
    segments, labels, protocol, validation_fraction, seed
        As in `make_folds`.
    test_fraction
        Share of the groups that is tested; under ``participant-stimulus`` of the participants and
        of the clips, so that its square is tested. 0 leaves everything for training and validation.

    Returns
    -------
    Fold

    Raises
    ------
    InputError
        There are too few groups to keep one for every part.
    """
    rows = _labelled(segments, labels)
    kept, held = _cut(
        segments, labels, protocol, rows, test_fraction, [seed, 2], "test", "the data"
    )
    return _with_validation(
        segments, labels, protocol, kept, held, validation_fraction, [seed, 3], "the split"
    )


def epoch_on_test(fold: Fold) -> Fold:
    """Choose the epoch on the test part, as the published code does, and train on the rest.

    The number it yields flatters; the caller says so wherever it is shown.
    """
    return Fold(np.sort(np.concatenate([fold.train, fold.validation])), fold.test, fold.test)


def check_fold(
    fold: Fold, segments: Segments, protocol: Protocol, segment_s: float | None = None
) -> None:
    """Raise unless the parts of a fold share nothing that the protocol forbids.

    Parameters
    ----------
    fold
        The parts; training and test may not be empty.
    segments
        The table it indexes.
    protocol
        ``segment`` forbids shared segments and shared samples; the others also trials,
        and participants or clips or both.
    segment_s
        Length of a segment in seconds, where segments of a trial can overlap: two parts may then
        not hold segments with samples in common.

    Raises
    ------
    MilmerError
        Naming the two parts, what they share and one example.
    """
    for name, rows in fold.parts():
        if rows.size and (rows.min() < 0 or rows.max() >= len(segments)):
            raise MilmerError(f"The {name} part names rows that the store does not have.")
        if len(np.unique(rows)) != len(rows):
            raise MilmerError(f"The {name} part holds a segment twice.")
        if name != "validation" and not rows.size:
            raise MilmerError(f"The {name} part is empty.")
    parts = list(fold.parts())
    for first in range(len(parts)):
        for name, rows in parts[first + 1 :]:
            other, others = parts[first]
            for axis in _FORBIDDEN[protocol]:
                names = group_names(segments, axis)
                shared = np.intersect1d(names[others], names[rows])
                if shared.size:
                    raise MilmerError(
                        f"Protocol {protocol} is broken: the {other} and {name} parts share "
                        f"{shared.size} {WORDS[axis]}, {shared[0]} among them.",
                        "Make the split again; do not use numbers that came from it.",
                    )
            if segment_s is not None:
                _refuse_overlap(segments, segment_s, (other, others), (name, rows))


def _refuse_overlap(
    segments: Segments,
    segment_s: float,
    first: tuple[str, np.ndarray],
    second: tuple[str, np.ndarray],
) -> None:
    """Raise when a segment of one part has samples in common with one of the other."""
    trial, onset = segments.trial_id, np.asarray(segments.onset, dtype=np.float64)
    rows = np.concatenate([first[1], second[1]])
    side = np.repeat([0, 1], [len(first[1]), len(second[1])])
    order = np.lexsort((onset[rows], trial[rows]))
    rows, side = rows[order], side[order]
    # among segments of one length, one that overlaps the other side overlaps its nearest there;
    # neighbours in time are enough because same-side segments between two others are nearer still
    near = (trial[rows][1:] == trial[rows][:-1]) & (np.diff(onset[rows]) < segment_s - 1e-3)
    crossing = np.flatnonzero(near & (side[1:] != side[:-1]))
    if crossing.size:
        row = rows[crossing[0]]
        raise MilmerError(
            f"The {first[0]} and {second[0]} parts share samples: {crossing.size} pairs of "
            f"overlapping segments, at {onset[row]:g} s of {trial[row]} among them.",
            "Split by trial, or prepare segments that do not overlap.",
        )


def _labelled(segments: Segments, labels: np.ndarray) -> np.ndarray:
    if len(labels) != len(segments):
        raise MilmerError(f"{len(labels)} labels were given for {len(segments)} segments.")
    rows = np.flatnonzero(np.asarray(labels) != LEFT_OUT)
    if not rows.size:
        raise InputError(
            "No segment has a class: every rating is missing or dropped as a tie.",
            "Check data.ties and data.threshold, and the ratings of the data set.",
        )
    return rows


def _axes(protocol: Protocol) -> tuple[str, ...]:
    return ("participant", "stimulus") if protocol == "participant-stimulus" else (protocol,)


def _with_validation(
    segments: Segments,
    labels: np.ndarray,
    protocol: Protocol,
    rows: np.ndarray,
    test: np.ndarray,
    fraction: float,
    seed: list[int],
    where: str,
) -> Fold:
    train, validation = _cut(
        segments,
        labels,
        protocol,
        rows,
        fraction,
        seed,
        "validation",
        f"the training part of {where}",
    )
    fold = Fold(train, validation, test)
    for name, part in fold.parts():
        if not part.size and (name == "training" or (name == "validation" and fraction > 0)):
            raise InputError(
                f"The {name} part of {where} would be empty under protocol {protocol}.",
                "Use fewer folds, more recordings or another protocol.",
            )
    if protocol == "participant-stimulus" and not test.size:
        raise InputError(
            f"The test part of {where} would be empty: its participants saw none of its clips.",
            "Use fewer folds.",
        )
    return fold


def _cut(
    segments: Segments,
    labels: np.ndarray,
    protocol: Protocol,
    rows: np.ndarray,
    fraction: float,
    seed: list[int],
    part: str,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into (kept, held): what shares nothing with the held groups, and they."""
    if fraction <= 0:
        return rows, rows[:0]
    inside, outside = np.ones(len(rows), bool), np.ones(len(rows), bool)
    for axis in _axes(protocol):
        groups = len(np.unique(group_names(segments, axis)[rows]))
        share = Fraction(fraction).limit_denominator(MOST_SLOTS)
        slots = min(max(share.denominator, 2), groups)
        if slots < 2:
            raise InputError(
                f"A {part} part cannot be cut by {axis}: {where} holds {groups} "
                f"{WORDS[axis][:-1] if groups == 1 else WORDS[axis]}, and 2 are needed.",
                "Use fewer folds, more recordings or another protocol.",
            )
        held = min(max(round(fraction * slots), 1), slots - 1)
        slot = deal(segments, labels, rows, axis, slots, seed, f"a {part} part")
        inside &= slot < held
        outside &= slot >= held
    return rows[outside], rows[inside]
