"""Paired comparisons of models that were tested on the same trials.

The unit of comparison is the trial, as in the headline, clustered by what the protocol samples:
participants, stimuli or both. Folds are too few for a test. Holm's (1979) correction covers all
comparisons made together, and two one-sided tests state when a difference is small enough to call
models equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from milmer_cli.metrics.intervals import Clusters, StandardError, mean_standard_error
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.results import ALPHA, format_p


@dataclass(frozen=True)
class Comparison:
    """The accuracy over trials of one model against that of another on common trials.

    Attributes
    ----------
    first, second
        Names of the models.
    n_trials
        Trials that both models have an input for; a trial counts once per repeat.
    difference
        Accuracy of the first minus accuracy of the second.
    low, high
        Confidence interval of the difference, not corrected for several comparisons.
    p_value
        Two-sided p-value of Student's t test over clusters.
    p_value_holm
        The same after Holm's correction.
    p_value_equal
        P-value of two one-sided tests: below the level, the difference lies within the margin.
    margin
        Largest difference, as a share, that is regarded as equal in practice.
    undefined
        Why there is no p-value; empty otherwise.
    """

    first: str
    second: str
    n_trials: int
    difference: float
    low: float
    high: float
    p_value: float
    p_value_holm: float
    p_value_equal: float
    margin: float
    undefined: str = ""

    @property
    def better(self) -> str:
        """Name of the better model if the difference is significant, else an empty string."""
        if not self.p_value_holm < ALPHA:
            return ""
        return self.first if self.difference > 0 else self.second

    @property
    def equal(self) -> bool:
        """Whether the difference lies within the margin with enough certainty."""
        return self.p_value_equal < ALPHA

    @property
    def sentence(self) -> str:
        """One sentence: which model is better, that they are equal, or that neither is shown."""
        points = f"{100 * self.difference:+.1f} points"
        if math.isnan(self.p_value_holm):
            return f"{self.first} and {self.second} cannot be compared: {self.undefined}."
        corrected = f"{format_p(self.p_value_holm)} after Holm's correction"
        if self.better:
            worse = self.second if self.better == self.first else self.first
            small = f", by less than {100 * self.margin:g} points" if self.equal else ""
            return f"{self.better} is better than {worse}{small} ({points}, {corrected})."
        if self.equal:
            return (
                f"{self.first} and {self.second} are equal within {100 * self.margin:g} points "
                f"({points}, {format_p(self.p_value_equal)})."
            )
        models = f"{self.first} and {self.second}"
        return f"No difference between {models} is shown ({points}, {corrected})."


def strongest(comparisons: Sequence[Comparison]) -> Comparison | None:
    """Return the comparison with the most accurate of the other models; None without any."""
    # on common trials, the most accurate model has the smallest difference
    return min(
        comparisons,
        key=lambda found: (math.isnan(found.difference), found.difference),
        default=None,
    )


def compare_models(
    correct: Mapping[str, np.ndarray],
    clusters: Clusters,
    reference: str,
    options: ResamplingOptions,
) -> list[Comparison]:
    """Compare a model with each of the others on the trials that both have an input for.

    Parameters
    ----------
    correct
        For each model, (n_trials,) 1 for a correct prediction, 0 for a wrong one, and NaN for a
        trial that the model has no input for.
    clusters
        Which trials belong together, along each axis that the protocol samples.
    reference
        The model that is compared with all others; it is the first of each comparison.
    options
        Confidence level, and the largest difference that is regarded as equal.
    """
    found = [
        _compare(name, correct[reference] - values, clusters, options)
        for name, values in correct.items()
        if name != reference
    ]
    adjusted = holm([row["p_value"] for row in found])
    return [
        Comparison(first=reference, margin=options.margin, p_value_holm=float(p_holm), **row)
        for row, p_holm in zip(found, adjusted, strict=True)
    ]


def _compare(
    second: str, differences: np.ndarray, clusters: Clusters, options: ResamplingOptions
) -> dict[str, Any]:
    common = np.flatnonzero(~np.isnan(differences))
    mean = low = high = p = p_equal = math.nan
    undefined = "no trial has an input for both"
    if len(common):
        mean = float(differences[common].mean())
        remaining = clusters.at(common)
        undefined = remaining.too_few
        if not undefined:
            error = mean_standard_error(differences[common], remaining)
            half = error.half_width(options.confidence_level)
            low, high = mean - half, mean + half
            p, p_equal = _t_tests(mean, error, options.margin)
            if math.isnan(p):
                undefined = "the difference is the same in all of them"
    return {
        "second": second, "n_trials": len(common), "difference": mean, "low": low, "high": high,
        "p_value": p, "p_value_equal": p_equal, "undefined": undefined,
    }  # fmt: skip


def _t_tests(mean: float, error: StandardError, margin: float) -> tuple[float, float]:
    """Two-sided p-value of no difference, and p-value of a difference beyond the margin.

    The second is the larger of two one-sided tests (Schuirmann 1987, Journal of Pharmacokinetics
    and Biopharmaceutics 15:657-680).
    """
    if not error.value > 0:  # all clusters have the same difference
        return (1.0 if mean == 0 else math.nan), math.nan

    def upper_tail(difference: float) -> float:
        return float(special.stdtr(error.degrees_of_freedom, -difference / error.value))

    return 2 * upper_tail(abs(mean)), max(upper_tail(mean + margin), upper_tail(margin - mean))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p-values for multiple comparisons (Holm 1979); NaN stays NaN and is not counted."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    defined = np.flatnonzero(~np.isnan(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    scaled = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
