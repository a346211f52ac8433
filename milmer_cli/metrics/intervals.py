"""Standard errors and confidence intervals that respect which predictions belong together.

Predictions for one participant resemble each other, and so do predictions for one stimulus and in
one recording session. An interval that treats segments or trials as independent is therefore too
narrow. The functions here resample whole clusters of predictions: participants, stimuli, both
(crossed), or sessions within participants (nested: the participants are fixed). An interval is the
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
        Axis (``participant``, ``stimulus``, ``session``) -> (n,) cluster of each prediction, from
        0.
    strata
        (n,) number of the fixed group that each prediction belongs to, from 0, for a single axis
        whose clusters are sampled within such groups; None if they are sampled from one population.
    """

    numbers: Mapping[str, np.ndarray]
    strata: np.ndarray | None = None

    @classmethod
    def of(cls, **names: np.ndarray) -> Clusters:
        """Create clusters of one or two axes from their names, (n,) each."""
        return cls({axis: np.unique(name, return_inverse=True)[1] for axis, name in names.items()})

    @classmethod
    def along(cls, axes: Sequence[str], columns: Mapping[str, np.ndarray]) -> Clusters:
        """Create the clusters along some axes; sessions are sampled within participants.

        Parameters
        ----------
        axes
            What is sampled, see `resampling.SAMPLED_AXES`.
        columns
            (n,) names by axis, and of the participants.
        """
        clusters = cls.of(**{axis: columns[axis] for axis in axes})
        if "session" not in axes:
            return clusters
        return cls(clusters.numbers, np.unique(columns["participant"], return_inverse=True)[1])

    @property
    def counts(self) -> dict[str, int]:
        """Number of clusters along each axis."""
        return {axis: int(numbers.max()) + 1 for axis, numbers in self.numbers.items()}

    @property
    def effective_counts(self) -> dict[str, int]:
        """Degrees of freedom along each axis, plus one: clusters minus strata, plus one."""
        n_fixed = 0 if self.strata is None else len(np.unique(self.strata)) - 1
        return {axis: count - n_fixed for axis, count in self.counts.items()}

    @property
    def stratum_of_cluster(self) -> np.ndarray | None:
        """(n_clusters,) stratum of each cluster of a single axis; None without strata."""
        if self.strata is None:
            return None
        (numbers,) = self.numbers.values()
        return self.strata[np.unique(numbers, return_index=True)[1]]

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
        if self.strata is not None and min(self.effective_counts.values()) < MIN_CLUSTERS:
            (count,) = self.counts.values()
            n_fixed = len(np.unique(self.strata))
            return (
                f"{count} sessions of {n_fixed} participant{'s' * (n_fixed > 1)}, at least "
                f"{n_fixed + MIN_CLUSTERS - 1} are needed"
            )
        for axis, count in self.counts.items():
            if count < MIN_CLUSTERS:
                plural = {"participant": "participants", "stimulus": "stimuli"}.get(axis, axis)
                return (
                    f"{count} {plural if count > 1 else axis}, at least {MIN_CLUSTERS} are needed"
                )
        return ""

    def at(self, rows: np.ndarray) -> Clusters:
        """Clusters of some of the predictions, numbered anew."""
        clusters = Clusters.of(**{axis: numbers[rows] for axis, numbers in self.numbers.items()})
        if self.strata is None:
            return clusters
        return Clusters(clusters.numbers, np.unique(self.strata[rows], return_inverse=True)[1])


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
        Number of clusters along each axis; see `Clusters.effective_counts`.
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
    if min(clusters.effective_counts.values()) < 2:
        return UNDEFINED
    strata = clusters.stratum_of_cluster

    def variances(numbers: np.ndarray) -> dict[str, float]:
        size, total = np.bincount(numbers), np.bincount(numbers, values)
        return {"mean": jackknife_variance((total.sum() - total) / (size.sum() - size), strata)}

    return _over_axes(variances, clusters)["mean"]


def jackknife_variance(left_out: np.ndarray, strata: np.ndarray | None = None) -> float:
    """Variance of a statistic from its values without each cluster.

    Source: Efron and Stein (1981), Annals of Statistics 9:586-596. With strata, the change of the
    statistic without a cluster, times (n - 1) / n, is the influence of the cluster, and variances
    of the influences within each stratum are added (Rust and Rao 1996, Statistical Methods in
    Medical Research 5:283-310). A stratum with one cluster adds none.

    Parameters
    ----------
    left_out
        (n_clusters,) values without each cluster.
    strata
        (n_clusters,) fixed group of each cluster, from 0; None for one group.
    """
    n = len(left_out)
    if strata is None:
        return float((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    influence = (n - 1) / n * left_out
    counts = np.bincount(strata)
    deviation = influence - (np.bincount(strata, influence) / np.maximum(counts, 1))[strata]
    factor = counts / np.maximum(counts - 1, 1)
    return float((factor[strata] * deviation**2).sum())


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
    strata = clusters.stratum_of_cluster

    def variances(cluster: np.ndarray) -> dict[str, float]:
        n = int(cluster.max()) + 1
        samples = bootstrap_scores(truth, probabilities, cluster, options, strata)
        # a bootstrap sample of n clusters underestimates the variance by (n - 1) / n
        factor = n / (n - 1) if strata is None else 1.0
        found = {name: float(np.nanvar(values)) * factor for name, values in samples.items()}
        # duplicated clusters would change ranks within folds, so the AUC leaves clusters out
        areas = roc_auc_left_out(truth, probabilities, cluster, n, fold)
        return found | {"auc": jackknife_variance(mean_defined(areas), strata)}

    return _over_axes(variances, clusters)


def bootstrap_scores(
    truth: np.ndarray,
    probabilities: np.ndarray,
    cluster: np.ndarray,
    options: ResamplingOptions,
    strata: np.ndarray | None = None,
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
    draws = _draws(n_clusters, strata, options)
    cell = truth * n_classes + probabilities.argmax(axis=1)
    counts = np.bincount(cluster * n_classes**2 + cell, minlength=n_clusters * n_classes**2)
    matrices = (draws @ counts.reshape(n_clusters, -1)).reshape(-1, n_classes, n_classes)
    brier = np.bincount(cluster, brier_losses(truth, probabilities), n_clusters)
    return {**confusion_scores(matrices), "brier": draws @ brier / matrices.sum(axis=(1, 2))}


def _draws(n_clusters: int, strata: np.ndarray | None, options: ResamplingOptions) -> np.ndarray:
    """Draw clusters with replacement: (n_bootstraps, n_clusters) weights.

    With strata, n - 1 of the n clusters of each stratum are drawn, with the weight n / (n - 1), so
    that the variance needs no correction (Rao and Wu 1988, Journal of the American Statistical
    Association 83:231-241). The only cluster of a stratum always has the weight 1.
    """
    random = np.random.default_rng(options.seed)
    if strata is None:  # how often each of n clusters occurs is multinomial
        shares = np.full(n_clusters, 1 / n_clusters)
        return random.multinomial(n_clusters, shares, size=options.n_bootstraps).astype(np.float64)
    draws = np.ones((options.n_bootstraps, n_clusters))
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        if (n := len(own)) > 1:
            counts = random.multinomial(n - 1, np.full(n, 1 / n), size=options.n_bootstraps)
            draws[:, own] = counts * n / (n - 1)
    return draws


def _over_axes(
    variances: Callable[[np.ndarray], dict[str, float]], clusters: Clusters
) -> dict[str, StandardError]:
    """Compute variances along each axis and combine them."""
    axes = [variances(numbers) for numbers in clusters.numbers.values()]
    both = variances(clusters.intersection) if len(axes) == 2 else axes[0]
    counts = list(clusters.effective_counts.values())
    return {
        name: combine_variances([axis[name] for axis in axes], both[name], counts)
        for name in axes[0]
    }
