"""Protocols and seeds -> the folds that every model of an evaluation is trained and tested in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.data.labels import LEFT_OUT
from milmer_cli.data.split_file import Splits, load_splits, segments_fingerprint
from milmer_cli.data.splits import Fold, check_fold, epoch_on_test, holdout, make_folds
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EpochOn, EvaluateSettings, Protocol
from milmer_cli.training.material import Material


@dataclass(frozen=True, eq=False)
class Round:
    """One fold of one protocol and seed.

    Attributes
    ----------
    protocol, seed
        Which split; the seed is also that of the trainings.
    number
        Of the fold, from 1.
    label
        The number, and whose fold it is where one participant is tested.
    fold
        The parts as they are used: with ``epoch_on: test`` the validation part is the test part.
    """

    protocol: Protocol
    seed: int
    number: int
    label: str
    fold: Fold


def make_splits(
    material: Material, asked: EvaluateSettings, validation_fraction: float, seed: int
) -> list[Splits]:
    """Cut the folds of every protocol and seed, and check each.

    Raises
    ------
    InputError
        There are too few groups, or a model per participant is asked for people never seen.
    MilmerError
        A fold breaks its protocol.
    """
    fingerprint = segments_fingerprint(material.segments)
    made = []
    for protocol in dict.fromkeys(asked.protocols):
        if asked.per_participant and "participant" in protocol:
            raise InputError(
                f"A model per participant cannot be tested by the {protocol} protocol, which asks "
                "for participants that it has not seen.",
                "Use another --protocol, or set evaluate.per_participant to false.",
            )
        for number in range(asked.seeds):
            folds = tuple(_folds(material, asked, protocol, validation_fraction, seed + number))
            for fold in folds:
                check_fold(fold, material.segments, protocol, segment_s(material))
            made.append(Splits(protocol, seed + number, folds, fingerprint))
    return made


def read_splits(path: Path, material: Material) -> list[Splits]:
    """Read the splits that an evaluation or a training wrote, and check each.

    Raises
    ------
    InputError
        The file is none, or is for other segments or classes.
    MilmerError
        A fold breaks its protocol.
    """
    return load_splits(path, material.segments, material.labels, segment_s(material))


def rounds_of(splits: Sequence[Splits], material: Material, epoch_on: EpochOn) -> list[Round]:
    """Give every fold of some splits as it is used."""
    rounds = []
    for split in splits:
        for number, fold in enumerate(split.folds, start=1):
            tested = np.unique(material.segments.participant[fold.test])
            label = f"{number} ({tested[0]})" if len(tested) == 1 else str(number)
            used = epoch_on_test(fold) if epoch_on == "test" else fold
            rounds.append(Round(split.protocol, split.seed, number, label, used))
    return rounds


def segment_s(material: Material) -> float:
    """Length of the store's segments, in seconds."""
    return material.store.participant(str(material.segments.participant[0])).segment_s


def _folds(
    material: Material,
    asked: EvaluateSettings,
    protocol: Protocol,
    validation_fraction: float,
    seed: int,
) -> Iterator[Fold]:
    for labels in _labels(material, asked.per_participant):
        if asked.split == "holdout":
            yield holdout(
                material.segments, labels, protocol, asked.test_fraction, validation_fraction, seed
            )
        else:
            yield from make_folds(
                material.segments, labels, protocol, asked.folds, validation_fraction, seed
            )


def _labels(material: Material, per_participant: bool) -> Iterator[np.ndarray]:
    """Labels of everybody, or of one participant after the other."""
    if not per_participant:
        yield material.labels
        return
    for name in np.unique(material.segments.participant):
        theirs = material.segments.participant == name
        if np.any(material.labels[theirs] != LEFT_OUT):
            yield np.where(theirs, material.labels, LEFT_OUT)
