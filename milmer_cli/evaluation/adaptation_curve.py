"""Accuracy against the number of labeled trials of a new participant.

This module does not import torch, as `milmer_cli.evaluation.results`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.fold_predictions import FoldPredictions
from milmer_cli.inference.scoring import TestedSegments
from milmer_cli.json_files import to_json
from milmer_cli.metrics import Scores
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.significance import Comparison, compare_models
from milmer_cli.settings import Settings


@dataclass(frozen=True, eq=False)
class AdaptationCurve:
    """Accuracy after adaptation to each test participant; see `evaluation.adaptation`.

    All points of a model are computed on the same test trials.

    Attributes
    ----------
    n_trials
        Numbers of labeled trials of each test participant, ascending from 0.
    n_test_trials, n_participants
        Size of the common test set.
    n_left_out
        Participants with too few trials.
    models
        Scores by model, one for each of ``n_trials``.
    comparisons
        By model: each number of trials but 0 compared with 0.
    """

    n_trials: tuple[int, ...]
    n_test_trials: int
    n_participants: int
    n_left_out: int
    models: Mapping[str, Sequence[Scores]]
    comparisons: Mapping[str, Sequence[Comparison]]

    @property
    def sentence(self) -> str:
        """State the accuracy of the main model over trials for each number of labeled trials."""
        values = [f"{100 * point.trial_accuracy.value:.1f}" for point in self.models[MAIN]]
        return (
            f"with {', '.join(map(str, self.n_trials))} labeled trials of each new participant, "
            f"accuracy {', '.join(values)} % on the same {self.n_test_trials} trials"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the values for metrics.json."""
        return {
            "sentence": self.sentence,
            "n_trials": list(self.n_trials),
            "n_test_trials": self.n_test_trials,
            "n_participants": self.n_participants,
            "n_left_out": self.n_left_out,
            "models": {
                name: [
                    {
                        "trial_accuracy": to_json(point.trial_accuracy),
                        "accuracy": to_json(point.accuracy),
                        "trial_balanced_accuracy": to_json(point.trial["balanced_accuracy"]),
                    }
                    for point in points
                ]
                for name, points in self.models.items()
            },
            "comparisons": {
                name: [to_json(found) | {"sentence": found.sentence} for found in comparisons]
                for name, comparisons in self.comparisons.items()
            },
        }


def score_adaptation(
    predictions: Mapping[str, FoldPredictions], tested: TestedSegments, settings: Settings
) -> AdaptationCurve | None:
    """Score each number of labeled trials on the trials that none of them uses.

    Parameters
    ----------
    predictions
        Predictions of every model; those without ``adapted`` are left out.
    tested
        The tested segments of all folds.
    settings
        ``evaluate`` and ``seed`` are used.

    Returns
    -------
    AdaptationCurve or None
        None if the main model was not adapted.
    """
    n_trials = settings.evaluate.calibration_trials
    adapted = {n: model.adapted for n, model in predictions.items() if model.adapted is not None}
    if MAIN not in adapted:
        return None
    options = ResamplingOptions.from_settings(settings, tested.protocol)
    names = [f"{k} trial{'' if k == 1 else 's'}" for k in n_trials]
    models, comparisons = {}, {}
    for model, probabilities in adapted.items():
        kept = np.isfinite(probabilities[0]).all(axis=1) & predictions[model].has_input(tested)
        at, points = tested.at(kept), probabilities[:, kept]
        models[model] = [at.score(point, settings) for point in points]
        correct = [at.trials.correct(at.truth, point) for point in points]
        clusters = at.clusters.at(at.trials.first)
        named = dict(zip(names, correct, strict=True))
        comparisons[model] = compare_models(named, clusters, names[0], options)
    main = models[MAIN][0]
    n_participants = len(np.unique(tested.labeled.segments.participant[tested.rows]))
    return AdaptationCurve(
        n_trials=n_trials,
        n_test_trials=main.n_trials,
        n_participants=main.n_participants,
        n_left_out=n_participants - main.n_participants,
        models=models,
        comparisons=comparisons,
    )
