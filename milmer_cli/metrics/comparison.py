"""Is one model better than another? Paired over folds, with what folds share taken into account.

Folds share most of their training data, so an ordinary paired t-test over them finds differences
that are not there. Nadeau and Bengio (2003, Machine Learning 52:239-281) widen the variance by the
ratio of test to training size; Holm (1979) then pays for asking more than one question.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats

from milmer_cli.errors import MilmerError
from milmer_cli.metrics.scores import format_p


@dataclass(frozen=True)
class Comparison:
    """One model against another.

    Attributes
    ----------
    first, second
        Their names.
    difference
        Mean over folds of the first's score minus the second's.
    low, high
        Its interval, without correction for several comparisons.
    p
        Two-sided p-value of the corrected resampled t-test.
    p_holm
        The same after Holm's correction over all comparisons made together.
    folds
        How many folds had a score of both.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    folds: int

    def sentence(self, alpha: float = 0.05) -> str:
        """Say what was found, or that no difference is shown."""
        if math.isnan(self.p_holm):
            return f"{self.first} and {self.second} cannot be compared on {self.folds} folds."
        if self.p_holm >= alpha:
            return (
                f"No difference between {self.first} and {self.second} is shown "
                f"({format_p(self.p_holm)} after Holm's correction)."
            )
        better, worse = self.first, self.second
        if self.difference < 0:
            better, worse = worse, better
        return f"{better} is better than {worse} ({format_p(self.p_holm)} after Holm's correction)."


def corrected_t_test(
    differences: np.ndarray, test_share: float, confidence: float = 0.95
) -> tuple[float, float, float, float]:
    """Test whether paired differences over folds have mean 0, by Nadeau and Bengio's correction.

    Parameters
    ----------
    differences
        (n_folds,) one a fold; folds of repeated cross-validation one after the other.
    test_share
        Size of a test part over the size of a training part: 1 / (K - 1) for K folds without a
        validation part.
    confidence
        Level of the interval.

    Returns
    -------
    tuple
        Mean, lower and upper end of its interval, two-sided p-value; all but the mean are NaN for
        fewer than two folds. Differences that are all 0 have p = 1.
    """
    differences = np.asarray(differences, dtype=np.float64)
    n = len(differences)
    mean = float(differences.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan, math.nan
    error = math.sqrt((1 / n + test_share) * differences.var(ddof=1))
    if error < 1e-12:
        return mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0
    reach = stats.t.ppf((1 + confidence) / 2, n - 1) * error
    p = 2 * stats.t.sf(abs(mean) / error, n - 1)
    return mean, float(mean - reach), float(mean + reach), float(p)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p-values for having been looked at together; NaN stays NaN and counts for nothing."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    asked = np.flatnonzero(~np.isnan(p))
    order = asked[np.argsort(p[asked], kind="stable")]
    scaled = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def compare(
    scores: Mapping[str, np.ndarray],
    test_share: float,
    reference: str | None = None,
    confidence: float = 0.95,
) -> list[Comparison]:
    """Compare models over the same folds.

    Parameters
    ----------
    scores
        (n_folds,) scores of each model, fold by fold the same; NaN where a fold has none.
    test_share
        As in `corrected_t_test`.
    reference
        Compare every model with this one only; None for all pairs.
    confidence
        Level of the intervals.

    Returns
    -------
    list of Comparison
        In the order of ``scores``; with a reference, it is always the second.

    Raises
    ------
    MilmerError
        The models were not scored on the same number of folds, or the reference is not among them.
    """
    if len({len(values) for values in scores.values()}) > 1:
        raise MilmerError("Models that were scored on different folds cannot be compared.")
    if reference is None:
        pairs = list(itertools.combinations(scores, 2))
    elif reference in scores:
        pairs = [(name, reference) for name in scores if name != reference]
    else:
        raise MilmerError(f"There is no model {reference} to compare with.")
    found = []
    for first, second in pairs:
        differences = np.asarray(scores[first], float) - np.asarray(scores[second], float)
        differences = differences[~np.isnan(differences)]
        found.append(
            (
                first,
                second,
                len(differences),
                *corrected_t_test(differences, test_share, confidence),
            )
        )
    adjusted = holm([row[-1] for row in found])
    return [
        Comparison(first, second, mean, low, high, p, float(p_holm), folds)
        for (first, second, folds, mean, low, high, p), p_holm in zip(found, adjusted, strict=True)
    ]


def deletion_area(share: np.ndarray, chosen: np.ndarray, random: np.ndarray) -> float:
    """Tell in one number whether deleting the chosen instances hurts more than deleting any.

    Parameters
    ----------
    share
        (n,) ascending share of the instances that is deleted, from 0 to 1.
    chosen, random
        (n,) score after deleting the highest-weighted instances, and after deleting random ones.

    Returns
    -------
    float
        Mean of random minus chosen over the share; above 0 when the selection matters.
    """
    share = np.asarray(share, dtype=np.float64)
    gap = np.asarray(random, dtype=np.float64) - np.asarray(chosen, dtype=np.float64)
    return float(integrate.trapezoid(gap, share) / (share[-1] - share[0]))
