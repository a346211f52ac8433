"""Scores of the expression classifier, as written to metrics.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from milmer_cli.data.splits import Fold
from milmer_cli.json_files import to_json
from milmer_cli.metrics.classification import (
    confusion_matrix,
    confusion_scores,
    majority_class,
    per_class_scores,
)

SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")


def scored_set(fold: Fold) -> str:
    """Name of the set on which scores are computed: the validation set if there is no test set."""
    return "test" if len(fold.test) else "validation"


def compute_metrics(
    labels: np.ndarray,
    fold: Fold,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    separation: str,
) -> dict[str, Any]:
    """Compute the scores on the scored set.

    Parameters
    ----------
    labels
        (n_images,) class indices of all images.
    fold
        Training, validation and test set.
    probabilities
        (n_scored, n_classes) in the order of the scored set.
    class_names
        In the order of the columns of ``probabilities``.
    separation
        How the scored set is separated from training, in words.

    Returns
    -------
    dict
        JSON values; a score that is undefined is None.
    """
    name = scored_set(fold)
    true = labels[getattr(fold, name)]
    matrix = confusion_matrix(true, probabilities.argmax(axis=1), len(class_names))
    overall, by_class = confusion_scores(matrix), per_class_scores(matrix)
    metrics: dict[str, Any] = to_json(
        {
            "scored_on": name,
            "protocol": separation,
            "images": {set_name: len(rows) for set_name, rows in fold.sets()},
            "scores": {score: overall[score] for score in SCORES},
            "majority_rate": np.mean(true == majority_class(labels[fold.train])),
            "classes": {
                class_name: {key: values[index] for key, values in by_class.items()}
                for index, class_name in enumerate(class_names)
            },
            "confusion": matrix,
        }
    )
    return metrics
