"""Calibration on the validation set, and scores on the test set of a fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.inference.scoring import TestedSegments
from milmer_cli.metrics import Scores, headline
from milmer_cli.metrics.classification import majority_class
from milmer_cli.models import MilmerModel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import Modalities
from milmer_cli.training.calibration import calibrate, calibration_facts, segment_temperatures
from milmer_cli.training.fit_fold import predict_segments


@dataclass(frozen=True)
class FoldResult:
    """Scores and calibration of the model of a fold.

    Attributes
    ----------
    scores
        Scores on the test set; None if it is empty.
    calibration
        Temperatures, and reliability on the test set, as JSON values.
    headline_per_modality
        Headline of the same model with only ``eeg`` or only ``face`` as input, on the test segments
        that have it; empty unless the model was trained on both.
    above_chance_per_modality
        Whether the accuracy over trials is then significantly above chance.
    transductive
        Whether the model uses the EEG of the test set without labels.
    """

    scores: Scores | None
    calibration: Mapping[str, Any]
    headline_per_modality: Mapping[str, str]
    above_chance_per_modality: Mapping[str, bool]
    transductive: bool = False


def evaluate_fold(
    model: MilmerModel,
    labeled: LabeledSegments,
    fold: Fold,
    settings: Settings,
    device: Device,
    progress: Progress = SILENT,
) -> FoldResult:
    """Calibrate a model on the validation set and score it on the test set.

    Parameters
    ----------
    model
        Model of `fit_fold`; calibrated in place.
    labeled, fold
        The segments and their split.
    settings
        ``seed``, ``model``, ``train.protocol``, ``evaluate`` and ``run`` are used.
    device
        Device and precision.
    progress
        Receives the progress of the predictions.
    """
    protocol, own = settings.train.protocol, settings.model.modalities
    transductive = settings.model.transductive

    def probabilities(rows: np.ndarray, modalities: Modalities = own) -> np.ndarray:
        only = settings.model.model_copy(update={"modalities": modalities})
        changed = settings.model_copy(update={"model": only})
        return predict_segments(model, labeled, rows, changed, device, progress)

    temperatures = calibrate(model, labeled, fold.validation, probabilities)
    if not len(fold.test):
        return FoldResult(None, {"temperatures": temperatures}, {}, {})
    tested = TestedSegments.of(labeled, protocol, [fold], [settings.seed])
    calibrated = probabilities(fold.test)
    single: tuple[Modalities, ...] = ("eeg", "face") if own == "both" else ()
    headlines: dict[str, str] = {}
    above_chance: dict[str, bool] = {}
    for modality in single:
        present = labeled.restrict_to(modality).labels[fold.test] != EXCLUDED
        if not present.any():
            continue
        scores = tested.at(present).score(probabilities(fold.test[present], modality), settings)
        line = headline(scores, protocol, transductive=transductive)
        headlines[modality] = f"{line} (on {scores.n_segments} segments)"
        above_chance[modality] = scores.above_chance
    calibration = calibration_facts(
        tested.truth,
        calibrated,
        temperatures,
        segment_temperatures(temperatures, labeled, fold.test),
    )
    scores = tested.score(calibrated, settings)
    return FoldResult(scores, calibration, headlines, above_chance, transductive)


def majority_rate(labeled: LabeledSegments, fold: Fold) -> float:
    """Accuracy of always predicting the training set's majority class, on the validation set."""
    return float(
        np.mean(labeled.labels[fold.validation] == majority_class(labeled.labels[fold.train]))
    )
