"""Standard errors and confidence intervals that respect which predictions belong together.

Predictions for one participant resemble each other, and so do predictions for one stimulus. An
interval that treats segments or trials as independent is therefore too narrow. The functions here
resample whole clusters of predictions: participants, stimuli, or both (crossed). An interval is the
estimate plus and minus a quantile of Student's t distribution times the standard error, because a
percentile bootstrap is too narrow with few clusters. The coverage is simulated in
``bench/coverage.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from milmer_cli.metrics.classification import (
    brier_losses,
    confusion_scores,
    mean_defined,
    roc_auc_left_out,
)
from milmer_cli.metrics.resampling import MIN_CLUSTERS, ResamplingOptions


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which predictions belong together along each axis that is sampled.

    Attributes
    ----------
    numbers
        Axis (``participant``, ``stimulus``) -> (n,) cluster of each prediction, from 0.
    """

    numbers: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, **names: np.ndarray) -> Clusters:
        """Create clusters of one or two axes from their names, (n,) each."""
        return cls({axis: np.unique(name, return_inverse=True)[1] for axis, name in names.items()})

    @property
    def counts(self) -> dict[str, int]:
        """Number of clusters along each axis."""
        return {axis: int(numbers.max()) + 1 for axis, numbers in self.numbers.items()}

    @property
    def intersection(self) -> np.ndarray:
        """(n,) number of the combination of clusters that each prediction belongs to."""
        stacked = np.stack(list(self.numbers.values()))
        return np.unique(stacked, axis=1, return_inverse=True)[1].reshape(-1)

    @property
    def too_few(self) -> str:
        """Why there is no interval with these clusters; empty if there is one."""
        if not self.numbers:
            return "training and test share trials, so the result generalizes to nobody"
        for axis, count in self.counts.items():
            if count < MIN_CLUSTERS:
                plural = {"participant": "participants", "stimulus": "stimuli"}.get(axis, axis)
                return (
                    f"{count} {plural if count > 1 else axis}, at least {MIN_CLUSTERS} are needed"
                )
        return ""

    def at(self, rows: np.ndarray) -> Clusters:
        """Clusters of some of the predictions, numbered anew."""
        return Clusters.of(**{axis: numbers[rows] for axis, numbers in self.numbers.items()})


@dataclass(frozen=True)
class StandardError:
    """A standard error, with the degrees of freedom of Student's t distribution."""

    value: float
    degrees_of_freedom: float

    def half_width(self, confidence_level: float) -> float:
        """Half the width of a confidence interval; NaN if the standard error is 0 or undefined."""
        if not self.value > 0:
            return math.nan
        quantile = special.stdtrit(self.degrees_of_freedom, (1 + confidence_level) / 2)
        return float(quantile) * self.value


UNDEFINED = StandardError(math.nan, math.nan)


def combine_variances(
    variances: Sequence[float], intersection: float, counts: Sequence[int]
) -> StandardError:
    """Combine the cluster-robust variances of one or two axes into a standard error.

    For two crossed axes the variance of their intersection is subtracted, because both variances
    contain it (Cameron, Gelbach and Miller 2011, Journal of Business & Economic Statistics
    29:238-249). The degrees of freedom follow Satterthwaite (1946).

    Parameters
    ----------
    variances
        Variance if the clusters of one axis are independent, for each axis.
    intersection
        Variance if all combinations of clusters are independent.
    counts
        Number of clusters along each axis.
    """
    if len(variances) == 1:
        return StandardError(math.sqrt(variances[0]), counts[0] - 1)
    # The difference is a noisy estimate and can be negative; the intersection is a lower bound.
    total = max(sum(variances) - intersection, intersection)
    spread = sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True))
    freedom = total**2 / spread if spread > 0 else math.inf
    bounded = min(max(freedom, min(counts) - 1), sum(counts) - 2)
    return StandardError(math.sqrt(total), bounded)


def mean_standard_error(values: np.ndarray, clusters: Clusters) -> StandardError:
    """Estimate the standard error of a mean by the delete-one-cluster jackknife.

    Parameters
    ----------
    values
        (n,) values, for example the difference in correctness of two models on each segment.
    clusters
        Which of them belong together.
    """
    if min(clusters.counts.values()) < 2:
        return UNDEFINED

    def variances(numbers: np.ndarray) -> dict[str, float]:
        size, total = np.bincount(numbers), np.bincount(numbers, values)
        return {"mean": jackknife_variance((total.sum() - total) / (size.sum() - size))}

    return _over_axes(variances, clusters)["mean"]


def jackknife_variance(left_out: np.ndarray) -> float:
    """Variance of a statistic from its values without each cluster.

    Source: Efron and Stein (1981), Annals of Statistics 9:586-596.
    """
    n = len(left_out)
    return float((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())


def score_standard_errors(
    truth: np.ndarray,
    probabilities: np.ndarray,
    clusters: Clusters,
    fold: np.ndarray | None,
    options: ResamplingOptions,
) -> dict[str, StandardError]:
    """Estimate the standard errors of the scores by a cluster bootstrap (Field and Welsh, 2007).

    Parameters
    ----------
    truth
        (n,) classes.
    probabilities
        (n, n_classes).
    clusters
        Which predictions belong together.
    fold
        (n,) fold in which each was tested; the AUC is computed within folds.
    options
        Number of resamples and seed.

    Returns
    -------
    dict
        By name of the score. The calibration error has none: resampling increases it, because
        noise adds to absolute differences, so a bootstrap interval would not cover its true value.
    """

    def variances(cluster: np.ndarray) -> dict[str, float]:
        n = int(cluster.max()) + 1
        samples = bootstrap_scores(truth, probabilities, cluster, options)
        # a bootstrap sample of n clusters underestimates the variance by (n - 1) / n
        found = {name: float(np.nanvar(values)) * n / (n - 1) for name, values in samples.items()}
        # duplicated clusters would change ranks within folds, so the AUC leaves clusters out
        areas = roc_auc_left_out(truth, probabilities, cluster, n, fold)
        return found | {"auc": jackknife_variance(mean_defined(areas))}

    return _over_axes(variances, clusters)


def bootstrap_scores(
    truth: np.ndarray, probabilities: np.ndarray, cluster: np.ndarray, options: ResamplingOptions
) -> dict[str, np.ndarray]:
    """Scores of bootstrap samples in which whole clusters are drawn with replacement.

    The scores are functions of sums over segments. So the sums of each cluster are computed once,
    and a resample is a product of these sums with the numbers of times that each cluster was drawn.

    Returns
    -------
    dict
        (n_bootstraps,) values of the confusion matrix's scores and of the Brier score.
    """
    n_classes, n_clusters = probabilities.shape[1], int(cluster.max()) + 1
    random = np.random.default_rng(options.seed)
    # Drawing n clusters with replacement: how often each occurs is multinomial.
    draws = random.multinomial(
        n_clusters, np.full(n_clusters, 1 / n_clusters), size=options.n_bootstraps
    ).astype(np.float64)
    cell = truth * n_classes + probabilities.argmax(axis=1)
    counts = np.bincount(cluster * n_classes**2 + cell, minlength=n_clusters * n_classes**2)
    matrices = (draws @ counts.reshape(n_clusters, -1)).reshape(-1, n_classes, n_classes)
    brier = np.bincount(cluster, brier_losses(truth, probabilities), n_clusters)
    return {**confusion_scores(matrices), "brier": draws @ brier / matrices.sum(axis=(1, 2))}


def _over_axes(
    variances: Callable[[np.ndarray], dict[str, float]], clusters: Clusters
) -> dict[str, StandardError]:
    """Compute variances along each axis and combine them."""
    axes = [variances(numbers) for numbers in clusters.numbers.values()]
    both = variances(clusters.intersection) if len(axes) == 2 else axes[0]
    counts = list(clusters.counts.values())
    return {
        name: combine_variances([axis[name] for axis in axes], both[name], counts)
        for name in axes[0]
    }
