"""Costs of the compared models, next to their accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milmer_cli.evaluation.experiment import ExperimentResult


@dataclass(frozen=True)
class ModelCost:
    """Costs of a model, as means over the folds; 0 if not measured.

    Attributes
    ----------
    n_parameters, n_bytes
        Numbers that prediction needs, and their size in bytes.
    training_seconds
        Duration of a training.
    prediction_seconds
        Duration of the prediction of one segment.
    """

    n_parameters: float
    n_bytes: float
    training_seconds: float
    prediction_seconds: float

    @classmethod
    def of(cls, results: Sequence[ExperimentResult]) -> ModelCost:
        """Average the costs of the results of all folds."""
        return cls(
            n_parameters=float(np.mean([result.n_parameters for result in results])),
            n_bytes=float(np.mean([result.n_bytes for result in results])),
            training_seconds=float(np.mean([result.training_seconds for result in results])),
            prediction_seconds=float(np.mean([result.prediction_seconds for result in results])),
        )
