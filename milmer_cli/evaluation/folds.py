"""The folds of an evaluation: one list for all protocols and seeds, shared by all models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from milmer_cli.data.cross_dataset import CrossDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.split_checks import check_fold, require_protocol
from milmer_cli.data.split_file import ProtocolFolds
from milmer_cli.data.splits import Fold, holdout, make_folds, select_epoch_on_test
from milmer_cli.data.stratified_groups import has_several_sessions
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Level, Progress
from milmer_cli.settings.schema import EpochSet, EvaluateSettings, Protocol

SPLIT_COLUMNS: dict[Protocol, tuple[str, ...]] = {
    "segment": ("trial_id",),
    "trial": ("trial_id",),
    "session": ("session_id",),
    "participant": ("participant",),
    "stimulus": ("stimulus",),
    "participant-stimulus": ("participant", "stimulus"),
    "cross-dataset": ("participant",),
}
"""Columns of the table of segments whose values a protocol keeps in one set."""

_DEFAULT_LADDER = EvaluateSettings.model_fields["protocols"].default


@dataclass(frozen=True, eq=False)
class EvaluationFold:
    """One fold of one protocol and seed.

    Attributes
    ----------
    protocol
        What the sets of the fold do not share.
    seed
        Seed of the split and of the trainings in this fold.
    number
        Number of the fold within its protocol and seed, from 1.
    label
        The number, followed by the participant if the test set contains only one.
    fold
        The sets. With ``evaluate.select_epoch_on: test`` the validation set is the test set.
    """

    protocol: Protocol
    seed: int
    number: int
    label: str
    fold: Fold

    @property
    def epoch_selected_on_test(self) -> bool:
        """Whether the validation set is the test set."""
        return np.array_equal(self.fold.validation, self.fold.test)


def make_splits(
    labeled: LabeledSegments,
    options: EvaluateSettings,
    validation_fraction: float,
    seed: int,
    progress: Progress = SILENT,
) -> list[ProtocolFolds]:
    """Split the segments for every protocol and seed, and check every fold.

    If there are several protocols, one that the data do not allow is skipped with a warning, and
    one with fewer groups than folds gets one fold per group.

    Raises
    ------
    InputError
        There are fewer groups than folds, or models per participant are combined with a protocol
        that tests new participants.
    MilmerError
        A fold violates its protocol.
    """
    protocols = list(dict.fromkeys(options.protocols))
    splits, first_error = [], None
    for protocol in protocols:
        fitting = options
        if len(protocols) > 1:
            fitting = _fit_folds(labeled, options, protocol, progress)
        try:
            splits += _protocol_splits(labeled, fitting, protocol, validation_fraction, seed)
        except InputError as error:
            if len(protocols) == 1:
                raise
            # few data sets have several sessions: no warning if the user did not ask for them
            by_default = protocol == "session" and options.protocols == _DEFAULT_LADDER
            level: Level = "detail" if by_default else "warning"
            progress.note(f"The {protocol} protocol is skipped: {error}", level)
            first_error = first_error or error
    if not splits and first_error is not None:
        raise first_error
    return splits


def cross_dataset_splits(
    data: CrossDataset, options: EvaluateSettings, validation_fraction: float, seed: int
) -> list[ProtocolFolds]:
    """Train on one store and test on another, once for every seed.

    Raises
    ------
    InputError
        The store for training is too small for a validation set, or models per participant are
        requested.
    """
    if options.per_participant:
        raise InputError(
            "evaluate.per_participant cannot be combined with --train-on and --test-on, which "
            "tests participants that are not in the training set.",
            "Set evaluate.per_participant to false.",
        )
    splits = []
    for split_seed in range(seed, seed + options.seeds):
        fold = data.fold(validation_fraction, split_seed)
        check_fold(fold, data.labeled, "cross-dataset")
        splits.append(ProtocolFolds("cross-dataset", split_seed, (fold,)))
    return splits


def _fit_folds(
    labeled: LabeledSegments, options: EvaluateSettings, protocol: Protocol, progress: Progress
) -> EvaluateSettings:
    """Reduce the number of folds to the number of groups of the protocol."""
    used = np.flatnonzero(labeled.labels != EXCLUDED)
    if protocol == "session" and used.size:
        used = used[has_several_sessions(labeled.segments, used)]
    n_groups = min(
        len(np.unique(getattr(labeled.segments, column)[used]))
        for column in SPLIT_COLUMNS[protocol]
    )
    if options.per_participant or options.split == "holdout" or n_groups >= options.folds:
        return options
    progress.note(
        f"The {protocol} protocol has {n_groups} folds instead of {options.folds}: one per group."
    )
    return options.model_copy(update={"folds": max(2, n_groups)})


def _protocol_splits(
    labeled: LabeledSegments,
    options: EvaluateSettings,
    protocol: Protocol,
    validation_fraction: float,
    seed: int,
) -> list[ProtocolFolds]:
    """Split the segments under one protocol for every seed, and check every fold."""
    if options.per_participant and "participant" in protocol:
        raise InputError(
            f"evaluate.per_participant cannot be combined with the {protocol} protocol, which "
            "tests participants that are not in the training set.",
            "Use another --protocol, or set evaluate.per_participant to false.",
        )
    require_protocol(labeled, protocol)
    splits = []
    for split_seed in range(seed, seed + options.seeds):
        folds = tuple(_folds(labeled, options, protocol, validation_fraction, split_seed))
        for fold in folds:
            check_fold(fold, labeled, protocol)
        splits.append(ProtocolFolds(protocol, split_seed, folds))
    return splits


def evaluation_folds(
    splits: Sequence[ProtocolFolds], labeled: LabeledSegments, select_epoch_on: EpochSet
) -> list[EvaluationFold]:
    """List all folds of some splits, with the set that selects the epoch."""
    folds = []
    for split in splits:
        for number, fold in enumerate(split.folds, start=1):
            participants = np.unique(labeled.segments.participant[fold.test])
            label = f"{number} ({participants[0]})" if len(participants) == 1 else str(number)
            used = select_epoch_on_test(fold) if select_epoch_on == "test" else fold
            folds.append(EvaluationFold(split.protocol, split.seed, number, label, used))
    return folds


def _folds(
    labeled: LabeledSegments,
    options: EvaluateSettings,
    protocol: Protocol,
    validation_fraction: float,
    seed: int,
) -> Iterator[Fold]:
    for subset in _subsets(labeled, options.per_participant):
        if protocol == "session" and not _has_sessions(subset):
            continue  # with a model for each participant, there is none for this one
        if options.split == "holdout":
            yield holdout(subset, protocol, options.test_fraction, validation_fraction, seed)
        else:
            yield from make_folds(subset, protocol, options.folds, validation_fraction, seed)


def _has_sessions(labeled: LabeledSegments) -> bool:
    rows = np.flatnonzero(labeled.labels != EXCLUDED)
    return bool(has_several_sessions(labeled.segments, rows).any())


def _subsets(labeled: LabeledSegments, per_participant: bool) -> Iterator[LabeledSegments]:
    """Yield all participants together, or one subset per participant."""
    if not per_participant:
        yield labeled
        return
    for name in np.unique(labeled.segments.participant):
        selected = labeled.segments.participant == name
        if np.any(labeled.labels[selected] != EXCLUDED):
            yield replace(labeled, labels=np.where(selected, labeled.labels, EXCLUDED))
