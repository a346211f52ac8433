"""Scores of predictions, one number each, over any leading axes of resamples.

What is undefined is NaN and never 0: the recall of a class that does not occur, the precision of
one that is never predicted, the AUC of one without positives or negatives. Averages over classes
are taken over the defined ones; who averages says how many were not.
"""

from __future__ import annotations

import warnings

import numpy as np

BINS = 10
"""Equal-width bins of confidence behind the calibration error."""


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """(n_classes, n_classes) int64 counts, rows the truth, columns the prediction."""
    cell = np.asarray(truth) * n_classes + np.asarray(predicted)
    return np.bincount(cell, minlength=n_classes**2).reshape(n_classes, n_classes)


def per_class(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and support of each class.

    Parameters
    ----------
    matrix
        (..., n_classes, n_classes) counts, rows the truth.

    Returns
    -------
    dict
        (..., n_classes) each. F1 is 2 TP / (2 TP + FP + FN): 0 for a class that occurs and is never
        found, NaN for one that neither occurs nor is predicted.
    """
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    support, named = matrix.sum(axis=-1), matrix.sum(axis=-2)
    return {
        "precision": ratio(hits, named),
        "recall": ratio(hits, support),
        "f1": ratio(2 * hits, support + named),
        "support": support,
    }


def from_confusion(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, balanced accuracy, macro and weighted F1 and Cohen's kappa.

    Parameters
    ----------
    matrix
        (..., n_classes, n_classes) counts, rows the truth.

    Returns
    -------
    dict
        (...) each. Kappa is NaN when chance agreement is 1 (one class in truth and predictions).
    """
    each = per_class(matrix)
    total = matrix.sum(axis=(-2, -1))
    accuracy = ratio(np.trace(matrix, axis1=-2, axis2=-1), total)
    agreement = ratio((matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1), total**2)
    weighted = np.nansum(each["f1"] * each["support"], axis=-1)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": mean_defined(each["recall"]),
        "macro_f1": mean_defined(each["f1"]),
        "weighted_f1": ratio(weighted, total),
        "kappa": ratio(accuracy - agreement, 1 - agreement),
    }


def brier(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,) squared distances of the rows from the truth, 0 to 2; the score is their mean."""
    wanted = np.eye(probabilities.shape[1])[truth]
    return ((probabilities - wanted) ** 2).sum(axis=1)


def calibration_bins(
    truth: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin of each row's confidence, the confidence, and 1 where it is right; (n,) each.

    Confidence is the probability of the most likely class.
    The expected calibration error is the sum over bins of abs(hits - confidences) / n.
    """
    sure = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    return np.minimum((sure * BINS).astype(np.int64), BINS - 1), sure, right


def auc(truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each class against the rest, for rows counted with weights.

    Parameters
    ----------
    truth
        (n,) classes.
    probabilities
        (n, n_classes).
    weights
        (n_resamples, n) how often each row counts.

    Returns
    -------
    numpy.ndarray
        (n_resamples, n_classes): the chance that a row of the class gets more of it than another
        row, ties counted half; NaN where either kind of row is missing.
    """
    areas = []
    for kind in range(probabilities.shape[1]):
        order = np.argsort(probabilities[:, kind], kind="stable")
        value, positive = probabilities[order, kind], truth[order] == kind
        below = np.searchsorted(value[~positive], value[positive], side="left")
        up_to = np.searchsorted(value[~positive], value[positive], side="right")
        counted = weights[:, order]
        gains, losses = counted[:, positive], counted[:, ~positive]
        ranks = np.zeros((len(weights), losses.shape[1] + 1), dtype=np.float32)
        np.cumsum(losses, axis=1, dtype=np.float32, out=ranks[:, 1:])
        beaten = ranks[:, below]
        if not np.array_equal(below, up_to):
            beaten = (beaten + ranks[:, up_to]) / 2
        won = np.einsum("rn,rn->r", gains, beaten, dtype=np.float64)
        areas.append(ratio(won, gains.sum(axis=1, dtype=np.float64) * ranks[:, -1]))
    return np.stack(areas, axis=1)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotient, NaN where the divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below == 0, np.nan, np.true_divide(above, below))


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is the NaN we want
        return np.nanmean(values, axis=-1)
