"""Accuracy against coverage: the accuracy of the most confident predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milmer_cli.metrics.calibration import confidence_bins
from milmer_cli.metrics.intervals import Clusters, mean_standard_error

N_POINTS = 10


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Risk-coverage curve (El-Yaniv and Wiener 2010, JMLR 11:1605-1641), with accuracy = 1 - risk.

    Attributes
    ----------
    coverage
        (n,) share of the segments that are predicted, ascending to 1.
    accuracy
        (n,) accuracy over these segments.
    low, high
        (n,) confidence interval of the accuracy; NaN if undefined.
    majority_rate
        (n,) share of the most frequent true class among these segments.
    """

    coverage: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    majority_rate: np.ndarray


def coverage_curve(
    truth: np.ndarray, probabilities: np.ndarray, clusters: Clusters, confidence_level: float
) -> CoverageCurve:
    """Compute the accuracy of the predictions above thresholds of the confidence.

    The thresholds are quantiles of the confidence. Predictions of equal confidence are all above a
    threshold or all below it, so a point can cover more segments than its quantile, and a model
    whose confidence is constant has a single point.

    Parameters
    ----------
    truth
        (n,) classes; at least one prediction.
    probabilities
        (n, n_classes).
    clusters
        Which predictions belong together.
    confidence_level
        Level of the intervals.
    """
    _, confidence, correct = confidence_bins(truth, probabilities)
    ranked = np.sort(confidence)[::-1]
    last = np.ceil(np.arange(1, N_POINTS + 1) / N_POINTS * len(ranked)).astype(int) - 1
    points = []
    for threshold in np.unique(ranked[last])[::-1]:
        covered = confidence >= threshold
        accuracy, half_width = correct[covered].mean(), np.nan
        if not (within := clusters.at(covered)).too_few:
            error = mean_standard_error(correct[covered], within)
            half_width = error.half_width(confidence_level)
        interval = np.clip([accuracy - half_width, accuracy + half_width], 0, 1)
        majority_rate = np.bincount(truth[covered]).max() / covered.sum()
        points.append((covered.mean(), accuracy, *interval, majority_rate))
    return CoverageCurve(*np.array(points).T)
