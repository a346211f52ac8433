"""One experiment, a model and the fold that it is trained and tested on, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from milmer_cli.evaluation.baselines import BAND_POWER, ModelSpec
from milmer_cli.evaluation.folds import EvaluationFold
from milmer_cli.settings import Settings


@dataclass(frozen=True, eq=False)
class Experiment:
    """One model and the fold that it is trained and tested on."""

    spec: ModelSpec
    fold: EvaluationFold

    @property
    def settings(self) -> Settings:
        """Settings of the model, with the seed of the fold."""
        return self.spec.settings.model_copy(update={"seed": self.fold.seed})

    @property
    def calibration_trials(self) -> tuple[int, ...]:
        """Numbers of labeled trials of each test participant to adapt to; empty for none."""
        new_participants = "participant" in self.fold.protocol
        adapted = self.spec.is_main or self.spec.name == BAND_POWER
        return self.settings.evaluate.calibration_trials if new_participants and adapted else ()

    @property
    def name(self) -> str:
        """Name for progress displays and messages."""
        seed = f", seed {self.fold.seed}" if self.fold.seed != self.spec.settings.seed else ""
        return f"{self.spec.name}, {self.fold.protocol} fold {self.fold.number}{seed}"


@dataclass(frozen=True, eq=False)
class ExperimentResult:
    """Predictions of one experiment.

    Attributes
    ----------
    probabilities
        (n_test, n_classes), calibrated on the validation set.
    epoch
        Selected epoch, from 1; None if no network was trained.
    temperature
        (n_test,) temperature that the logits of each segment were divided by; 1 if not calibrated.
    temperatures
        Temperature by the modalities that a segment has; empty if not calibrated.
    seconds
        Duration of training and testing.
    validation_probabilities
        (n_validation, n_classes), calibrated; only for networks with a single modality.
    n_parameters, n_bytes
        Numbers that prediction needs (weights, or fitted values of a classifier), and their size.
    training_seconds
        Duration of training, with that of the features of the training rows.
    prediction_seconds
        Duration of the prediction of one segment from its EEG and face images.
    robustness
        Output of `evaluate_robustness`; only for the main model.
    probe_predictions
        Output of `predict_probe` on the model's features by target; only for the main model.
    adapted
        Output of `adapt_to_participants`; None without calibration trials.
    """

    probabilities: np.ndarray
    epoch: int | None = None
    temperature: np.ndarray | None = None
    temperatures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    validation_probabilities: np.ndarray | None = None
    n_parameters: int = 0
    n_bytes: int = 0
    training_seconds: float = 0.0
    prediction_seconds: float = 0.0
    robustness: Mapping[str, np.ndarray] = field(default_factory=dict)
    probe_predictions: Mapping[str, np.ndarray] = field(default_factory=dict)
    adapted: np.ndarray | None = None
