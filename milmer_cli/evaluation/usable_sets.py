"""Which segments of a fold a model can use, and whether it can be trained on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED, count_per_class
from milmer_cli.data.splits import Fold
from milmer_cli.errors import InputError, shorten
from milmer_cli.evaluation.experiment import Experiment
from milmer_cli.evaluation.fit_baseline import training_rows
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import Modalities

INPUTS = {"both": "EEG or faces", "eeg": "EEG", "face": "faces"}
"""What a segment must have for a model with these modalities, for messages."""


def usable_rows(fold: Fold, labeled: LabeledSegments, modalities: Modalities) -> Fold:
    """Remove training and validation segments without data of the model's modalities."""
    labels = labeled.restrict_to(modalities).labels

    def usable(rows: np.ndarray) -> np.ndarray:
        return rows[labels[rows] != EXCLUDED]

    return Fold(usable(fold.train), usable(fold.validation), fold.test)


def check_usable_sets(
    experiments: Sequence[Experiment], labeled: LabeledSegments, progress: Progress = SILENT
) -> None:
    """Check before any training that each model can be fitted in each of its folds.

    A warning names the networks without a validation segment, such as a network with faces only if
    the validation participants have no videos.

    Raises
    ------
    InputError
        The training segments that a model can use contain fewer than two classes.
    """
    without_validation: dict[tuple[str, str, Modalities], list[int]] = {}
    for experiment in experiments:
        spec, fold, modalities = experiment.spec, experiment.fold, experiment.spec.modalities
        if modalities is None or spec.method == "fusion":
            continue
        labels = labeled.restrict_to(modalities).labels
        is_network = spec.method == "network"
        train = fold.fold.train if is_network else training_rows(experiment)
        _require_two_classes(experiment, labels[train], labeled.class_names, modalities)
        if is_network and not np.any(labels[fold.fold.validation] != EXCLUDED):
            key = spec.name, fold.protocol, modalities
            without_validation.setdefault(key, []).append(fold.number)
    for (name, protocol, modalities), numbers in without_validation.items():
        folds = list(dict.fromkeys(numbers))  # those of all seeds
        progress.note(
            f"{name}: no validation segment of {protocol} fold{'s' if len(folds) > 1 else ''} "
            f"{shorten(folds)} has {INPUTS[modalities]}: the weights of the last epoch are used, "
            "without calibration.",
            "warning",
        )


def _require_two_classes(
    experiment: Experiment, labels: np.ndarray, names: Sequence[str], modalities: Modalities
) -> None:
    present = [name for name, count in count_per_class(labels, names).items() if count]
    if len(present) < 2:
        raise InputError(
            f"{experiment.name}: expected training segments with {INPUTS[modalities]} of at least "
            f"two classes, got {' '.join(present) or 'none'}.",
            "Use more participants or fewer folds, or leave this model out of --baselines.",
        )
