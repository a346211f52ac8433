"""Classification metrics, vectorized over any leading axes of resamples.

Undefined values are NaN, never 0: the recall of a class without true segments, the precision of a
class that is never predicted, the AUC of a class without positives or without negatives. Macro
averages are taken over the defined values.
"""

from __future__ import annotations

import warnings

import numpy as np


def majority_class(labels: np.ndarray) -> int:
    """Return the most frequent of non-negative integer labels; the lowest one if several tie."""
    return int(np.bincount(labels).argmax())


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count predictions: (n_classes, n_classes) int64, rows are true classes."""
    cell = np.asarray(truth) * n_classes + np.asarray(predicted)
    return np.bincount(cell, minlength=n_classes**2).reshape(n_classes, n_classes)


def per_class_scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and support of each class.

    Parameters
    ----------
    matrix
        (..., n_classes, n_classes) counts, rows are true classes.

    Returns
    -------
    dict
        Arrays (..., n_classes). F1 is 2 TP / (2 TP + FP + FN): 0 for a class that occurs but is
        never predicted correctly, NaN for a class that neither occurs nor is predicted.
    """
    true_positives = np.diagonal(matrix, axis1=-2, axis2=-1)
    support, n_predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    return {
        "precision": divide(true_positives, n_predicted),
        "recall": divide(true_positives, support),
        "f1": divide(2 * true_positives, support + n_predicted),
        "support": support,
    }


def confusion_scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, balanced accuracy, macro and weighted F1, and Cohen's kappa.

    Parameters
    ----------
    matrix
        (..., n_classes, n_classes) counts, rows are true classes.

    Returns
    -------
    dict
        Arrays (...). Kappa (Cohen, 1960) is NaN if the expected agreement is 1, that is if the
        truth and the predictions contain the same single class.
    """
    classes = per_class_scores(matrix)
    total = matrix.sum(axis=(-2, -1))
    accuracy = divide(np.trace(matrix, axis1=-2, axis2=-1), total)
    expected = divide((matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1), total**2)
    weighted_f1 = np.nansum(classes["f1"] * classes["support"], axis=-1)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": mean_defined(classes["recall"]),
        "macro_f1": mean_defined(classes["f1"]),
        "weighted_f1": divide(weighted_f1, total),
        "kappa": divide(accuracy - expected, 1 - expected),
    }


def brier_losses(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Squared error of each prediction, (n,) from 0 to 2; the Brier score is the mean.

    Brier (1950), original multi-class definition: the sum over classes of the squared differences
    between the probabilities, (n, n_classes), and the one-hot truth.
    """
    one_hot = np.eye(probabilities.shape[1])[truth]
    return ((probabilities - one_hot) ** 2).sum(axis=1)


def roc_auc(
    truth: np.ndarray, probabilities: np.ndarray, fold: np.ndarray | None = None
) -> np.ndarray:
    """Area under the ROC curve of each class against the rest, within folds.

    Models of different folds are calibrated differently, and under leave-one-participant-out the
    majority class of the training set is anticorrelated with the test labels. Ranking predictions
    of different folds against each other would therefore be wrong: the AUC is the Mann-Whitney
    statistic (Hanley and McNeil, 1982) within each fold, averaged over folds by their size.

    Parameters
    ----------
    truth
        (n,) classes.
    probabilities
        (n, n_classes).
    fold
        (n,) fold of each prediction; one fold if None.

    Returns
    -------
    numpy.ndarray
        (n_classes,) probability that a row of the class gets a higher score than another row of the
        same fold, with ties counted as one half. NaN if no fold has both.
    """
    # No cluster is left out: one cluster that has no row.
    return roc_auc_left_out(truth, probabilities, np.ones(len(truth), np.int64), 1, fold)[0]


def roc_auc_left_out(
    truth: np.ndarray,
    probabilities: np.ndarray,
    cluster: np.ndarray,
    n_clusters: int,
    fold: np.ndarray | None = None,
) -> np.ndarray:
    """`roc_auc` without the rows of each cluster in turn, (n_clusters, n_classes).

    Ranking once per fold is enough: the pairs that involve the left-out rows are subtracted from
    all pairs.

    Parameters
    ----------
    truth, probabilities, fold
        See `roc_auc`.
    cluster
        (n,) cluster of each row; rows of clusters from ``n_clusters`` on are never left out.
    n_clusters
        Number of clusters that are left out.
    """
    folds = np.zeros(len(truth)) if fold is None else fold
    n_classes = probabilities.shape[1]
    weighted, weights = np.zeros((2, n_clusters, n_classes))
    for name in np.unique(folds):
        rows = np.flatnonzero(folds == name)
        for index in range(n_classes):
            area, size = _mann_whitney_left_out(
                probabilities[rows, index], truth[rows] == index, cluster[rows], n_clusters
            )
            defined = ~np.isnan(area)
            weighted[defined, index] += (size * area)[defined]
            weights[defined, index] += size[defined]
    return divide(weighted, weights)


def _mann_whitney_left_out(
    scores: np.ndarray, positive: np.ndarray, cluster: np.ndarray, n_clusters: int
) -> tuple[np.ndarray, np.ndarray]:
    """Share of pairs in which the positive scores higher, and rows left, without each cluster."""
    n_won = _n_won(scores, positive)  # per row: pairs with rows of the other kind, won by positives
    total = n_won[positive].sum()

    def per_cluster(rows: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cluster[rows], values, n_clusters)[:n_clusters]

    lost = per_cluster(positive, n_won[positive]) + per_cluster(~positive, n_won[~positive])
    for number in np.unique(cluster[cluster < n_clusters]):
        own = cluster == number  # pairs within the cluster were subtracted twice
        lost[number] -= _n_won(scores[own], positive[own])[positive[own]].sum()
    n_positive = positive.sum() - per_cluster(positive)
    n_negative = (~positive).sum() - per_cluster(~positive)
    return divide(total - lost, n_positive * n_negative), n_positive + n_negative


def _n_won(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Per row, the number of pairs with the other kind that the positive wins; ties count half."""
    high, low = np.sort(scores[positive]), np.sort(scores[~positive])

    def n_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
        left = np.searchsorted(others, values, side="left")
        return (left + np.searchsorted(others, values, side="right")) / 2

    won = np.empty(len(scores))
    won[positive] = n_below(scores[positive], low)
    won[~positive] = len(high) - n_below(scores[~positive], high)
    return won


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide element-wise; NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, np.true_divide(numerator, denominator))


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN if all values are NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "Mean of empty slice" returns NaN
        return np.nanmean(values, axis=-1)
