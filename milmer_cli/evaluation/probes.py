"""Linear probes that decode the participant or the stimulus from features.

If this identity can be decoded, a model can use it instead of the emotion (a shortcut).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from milmer_cli.data.dataset import Bag
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.evaluation.classifiers import predict_lda
from milmer_cli.evaluation.results import ProbeResult
from milmer_cli.inference.predict_proba import map_batches, model_inputs
from milmer_cli.metrics.classification import majority_class
from milmer_cli.models import MilmerModel
from milmer_cli.store import Segments

TARGETS = ("participant", "stimulus")
"""Decoded columns of the table of segments."""
NOT_PREDICTED = -1


def extract_features(
    model: MilmerModel, data: Dataset[Bag], device: Device, batch_size: int
) -> np.ndarray:
    """Return the pooled output of the model for each segment, (n, width) float32."""

    def pooled(batch: Bag) -> np.ndarray:
        return model(**model_inputs(batch)).pooler_output.float().cpu().numpy()

    return np.concatenate(map_batches(pooled, model, data, device, batch_size))


def predict_probe(segments: Segments, fold: Fold, features: np.ndarray, target: str) -> np.ndarray:
    """Fit a linear probe on the training set of a fold and predict its test set.

    Parameters
    ----------
    segments
        Table of the segments.
    fold
        The validation set is not used.
    features
        (n_segments, n_features); only rows of the training and test sets are read.
    target
        One of `TARGETS`.

    Returns
    -------
    ndarray
        (n_test,) index of the participant or stimulus in the sorted values of the whole table;
        `NOT_PREDICTED` for segments whose participant or stimulus is not in the training set.
    """
    indices = np.unique(getattr(segments, target), return_inverse=True)[1]
    known = np.unique(indices[fold.train])
    predictable = np.isin(indices[fold.test], known)
    predictions = np.full(len(fold.test), NOT_PREDICTED)
    if len(known) > 1 and predictable.any():
        test = fold.test[predictable]
        probabilities = predict_lda(features, indices, fold.train, test, indices.max() + 1)
        predictions[predictable] = probabilities.argmax(axis=1)
    return predictions


def score_probe(
    features: str,
    target: str,
    segments: Segments,
    folds: Sequence[Fold],
    predictions: Sequence[np.ndarray],
) -> ProbeResult | None:
    """Score the predictions of a probe over folds.

    Parameters
    ----------
    features
        Name of the features.
    target
        One of `TARGETS`.
    segments
        Table of the segments.
    folds, predictions
        Folds, and the output of `predict_probe` for each.

    Returns
    -------
    ProbeResult or None
        None if no segment could be predicted.
    """
    indices = np.unique(getattr(segments, target), return_inverse=True)[1]
    correct, correct_trials, majority_correct, n_targets = [], [], [], 0
    for fold, predicted in zip(folds, predictions, strict=True):
        kept = predicted != NOT_PREDICTED
        rows, predicted = fold.test[kept], predicted[kept]
        n_targets = max(n_targets, len(np.unique(indices[fold.train])))
        correct.append(predicted == indices[rows])
        majority_correct.append(indices[rows] == majority_class(indices[fold.train]))
        for trial in np.unique(segments.trial_id[rows]):
            in_trial = segments.trial_id[rows] == trial
            vote = np.bincount(predicted[in_trial]).argmax()
            correct_trials.append(bool(vote == indices[rows][in_trial][0]))
    correct_segments = np.concatenate(correct)
    if not len(correct_segments):
        return None
    return ProbeResult(
        features=features,
        target=target,
        accuracy=float(correct_segments.mean()),
        trial_accuracy=float(np.mean(correct_trials)),
        majority_rate=float(np.concatenate(majority_correct).mean()),
        n_targets=n_targets,
        n_segments=len(correct_segments),
        n_trials=len(correct_trials),
    )
