"""Predictions of one model over all folds of a protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.evaluation.baselines import ModelSpec
from milmer_cli.evaluation.experiment import Experiment, ExperimentResult
from milmer_cli.evaluation.folds import EvaluationFold
from milmer_cli.inference.scoring import TestedSegments
from milmer_cli.settings.schema import Protocol


@dataclass(frozen=True, eq=False)
class FoldPredictions:
    """Predictions of one model over all folds of a protocol; arrays are concatenated over folds."""

    spec: ModelSpec
    folds: Sequence[EvaluationFold]
    results: Sequence[ExperimentResult]

    @property
    def protocol(self) -> Protocol:
        """What the training and test sets of the folds do not share."""
        return self.folds[0].protocol

    @property
    def probabilities(self) -> np.ndarray:
        """(n, n_classes) probabilities."""
        return np.concatenate([result.probabilities for result in self.results])

    @property
    def adapted(self) -> np.ndarray | None:
        """(n_numbers, n, n_classes) of `adapt_to_participants`; None without calibration trials."""
        parts = [result.adapted for result in self.results if result.adapted is not None]
        return np.concatenate(parts, axis=1) if len(parts) == len(self.results) else None

    def tested(self, labeled: LabeledSegments) -> TestedSegments:
        """Return the tested segments with the baselines that know only identities."""
        folds = [item.fold for item in self.folds]
        return TestedSegments.of(labeled, self.protocol, folds, [item.seed for item in self.folds])

    def has_input(self, tested: TestedSegments) -> np.ndarray:
        """Return which of the tested segments have data of the model's modalities, (n,) bool."""
        modalities = self.spec.modalities
        if modalities is None:
            return np.ones(len(tested.rows), bool)
        labels = tested.labeled.restrict_to(modalities).labels
        return labels[tested.rows] != EXCLUDED

    def pairs(self) -> Iterator[tuple[EvaluationFold, ExperimentResult]]:
        """Yield each fold with its result."""
        yield from zip(self.folds, self.results, strict=True)

    def robustness(self, name: str) -> np.ndarray | None:
        """Return one array of `evaluate_robustness`; None if a fold has none."""
        if not all(name in result.robustness for result in self.results):
            return None
        return np.concatenate([result.robustness[name] for result in self.results])


def group_predictions(
    experiments: Sequence[Experiment], results: Sequence[ExperimentResult]
) -> dict[Protocol, dict[str, FoldPredictions]]:
    """Group the results of experiments by protocol and model, in the order of the experiments."""
    grouped: dict[Protocol, dict[str, list[tuple[Experiment, ExperimentResult]]]] = {}
    for experiment, result in zip(experiments, results, strict=True):
        by_model = grouped.setdefault(experiment.fold.protocol, {})
        by_model.setdefault(experiment.spec.name, []).append((experiment, result))
    return {
        protocol: {
            name: FoldPredictions(
                pairs[0][0].spec,
                [experiment.fold for experiment, _ in pairs],
                [result for _, result in pairs],
            )
            for name, pairs in by_model.items()
        }
        for protocol, by_model in grouped.items()
    }


Predictions = Mapping[Protocol, Mapping[str, FoldPredictions]]
"""Predictions by protocol and model."""
