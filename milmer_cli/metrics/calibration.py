"""How far stated confidence can be believed, and the one number that mends most of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize
from scipy.special import log_softmax, softmax

from milmer_cli.errors import MilmerError
from milmer_cli.metrics import values

COLDEST, HOTTEST = 0.05, 20.0
"""Range of temperatures: where a few segments are separated perfectly, no finite one is best."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against the share that was right, in bins of equal width.

    Attributes
    ----------
    edges
        (n_bins + 1,) confidences that bound the bins.
    confidence, right
        (n_bins,) mean confidence, and share of right answers; NaN in an empty bin.
    count
        (n_bins,) segments.
    error
        Expected calibration error: mean gap between the two, weighted by count.
    """

    edges: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    count: np.ndarray
    error: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is undefined is null."""
        return {
            "edges": self.edges.tolist(),
            "confidence": [None if np.isnan(x) else float(x) for x in self.confidence],
            "right": [None if np.isnan(x) else float(x) for x in self.right],
            "count": self.count.tolist(),
            "error": self.error,
        }


def reliability(truth: np.ndarray, probabilities: np.ndarray) -> Reliability:
    """Sort predictions by their confidence and see how many of each were right.

    Parameters
    ----------
    truth
        (n,) classes.
    probabilities
        (n, n_classes).

    Raises
    ------
    MilmerError
        There are no predictions.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    if not len(truth):
        raise MilmerError("There is no prediction whose calibration could be told.")
    bins, sure, right = values.calibration_bins(truth, probabilities)
    count = np.bincount(bins, minlength=values.BINS)
    stated = np.bincount(bins, sure, values.BINS)
    hits = np.bincount(bins, right, values.BINS)
    return Reliability(
        edges=np.linspace(0, 1, values.BINS + 1),
        confidence=values.ratio(stated, count),
        right=values.ratio(hits, count),
        count=count,
        error=float(np.abs(hits - stated).sum() / len(truth)),
    )


def fit_temperature(truth: np.ndarray, logits: np.ndarray) -> float:
    """Find the temperature under which logits lose least, by maximum likelihood.

    Guo et al. (2017, ICML): one number that divides all logits mends over-confidence and changes no
    answer. Fit it on the validation part, never on the test part.

    Parameters
    ----------
    truth
        (n,) classes.
    logits
        (n, n_classes); logarithms of probabilities do as well.

    Returns
    -------
    float
        Above 1 for a model that is too sure of itself; never worse than 1 on what it was fitted on.

    Raises
    ------
    MilmerError
        There is nothing to fit on, or a logit is not finite.
    """
    truth, logits = np.asarray(truth, np.int64), np.asarray(logits, dtype=np.float64)
    if not len(truth) or not np.isfinite(logits).all():
        raise MilmerError("A temperature needs at least one prediction, and finite ones.")

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(truth, logits, float(np.exp(log_temperature)))

    found = optimize.minimize_scalar(
        loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x)) if found.fun <= loss(0.0) else 1.0


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities, (n, n_classes), of logits divided by a temperature."""
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1))


def negative_log_likelihood(
    truth: np.ndarray, logits: np.ndarray, temperature: float = 1.0
) -> float:
    """Mean loss, in nats, of the true classes under logits divided by a temperature."""
    told = log_softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1)
    return float(-told[np.arange(len(truth)), truth].mean())
