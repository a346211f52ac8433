"""Calibration: reliability diagram, expected calibration error and temperature scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from milmer_cli.errors import MilmerError
from milmer_cli.metrics.classification import divide

MIN_BIN_SEGMENTS = 10
"""Fewest segments of a bin for which its accuracy is informative: with 10, the standard error of an
accuracy of 50 % is 16 points."""
MIN_CALIBRATION_SEGMENTS = 100
"""Fewest segments for which the calibration error is informative: `MIN_BIN_SEGMENTS` per bin. With
fewer, the error of a perfectly calibrated model is large as well."""
N_BINS = 10
"""Number of equal-width confidence bins of the reliability diagram and of its error."""
TEMPERATURE_RANGE = (0.05, 20.0)
"""Search range. If a few segments are separated perfectly, the likelihood has no finite optimum."""


@dataclass(frozen=True, eq=False)
class ReliabilityDiagram:
    """Confidence and accuracy in equal-width bins of confidence (Niculescu-Mizil & Caruana, 2005).

    Attributes
    ----------
    edges
        (n_bins + 1,) bin edges.
    confidence, accuracy
        (n_bins,) mean confidence and accuracy; NaN in an empty bin.
    count
        (n_bins,) number of segments.
    error
        Expected calibration error (Naeini et al., 2015): mean absolute difference of confidence
        and accuracy over the bins, weighted by count.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    error: float

    @property
    def too_few(self) -> str:
        """State that there are too few segments for the calibration error; empty if not."""
        n_segments = int(self.count.sum())
        if n_segments >= MIN_CALIBRATION_SEGMENTS:
            return ""
        return (
            f"{n_segments} segments are too few to measure the calibration: at least "
            f"{MIN_CALIBRATION_SEGMENTS} are needed."
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ReliabilityDiagram:
        """Restore a diagram from the output of `milmer_cli.json_files.to_json`."""
        arrays = {
            name: np.array([np.nan if x is None else x for x in values[name]], dtype=float)
            for name in ("edges", "confidence", "accuracy")
        }
        return cls(**arrays, count=np.array(values["count"]), error=float(values["error"]))


ReliabilityPair = tuple[ReliabilityDiagram, ReliabilityDiagram | None]
"""Before and after temperature scaling; the second is None if no temperature was fitted."""


def read_reliability(calibration: Mapping[str, Any]) -> ReliabilityPair | None:
    """Read the diagrams from the entry ``calibration`` of metrics.json; None without a test set."""
    if "as_trained" not in calibration:
        return None
    return (
        ReliabilityDiagram.from_json(calibration["as_trained"]),
        ReliabilityDiagram.from_json(calibration["calibrated"]),
    )


def reliability_diagram(truth: np.ndarray, probabilities: np.ndarray) -> ReliabilityDiagram:
    """Compute the reliability diagram of predictions.

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
        raise MilmerError("A reliability diagram needs at least one prediction, got none.")
    bins, confidence, correct = confidence_bins(truth, probabilities)
    count = np.bincount(bins, minlength=N_BINS)
    confidence_sum = np.bincount(bins, confidence, N_BINS)
    correct_sum = np.bincount(bins, correct, N_BINS)
    return ReliabilityDiagram(
        edges=np.linspace(0, 1, N_BINS + 1),
        confidence=divide(confidence_sum, count),
        accuracy=divide(correct_sum, count),
        count=count,
        error=float(np.abs(correct_sum - confidence_sum).sum() / len(truth)),
    )


def confidence_bins(
    truth: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assign predictions to confidence bins.

    Parameters
    ----------
    truth
        (n,) classes.
    probabilities
        (n, n_classes).

    Returns
    -------
    bins, confidence, correct
        (n,) bin index, probability of the predicted class, and 1.0 or 0.0.
    """
    confidence = probabilities.max(axis=1)
    correct = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1), confidence, correct


def fit_temperature(truth: np.ndarray, logits: np.ndarray) -> float:
    """Fit the temperature of temperature scaling by maximum likelihood (Guo et al., 2017, ICML).

    All logits are divided by one number, which changes the confidence but no predicted class. Fit
    it on the validation set, never on the test set.

    Parameters
    ----------
    truth
        (n,) classes.
    logits
        (n, n_classes) logits or log-probabilities.

    Returns
    -------
    float
        Above 1 for an overconfident model. The loss on the given data is never higher than with 1.

    Raises
    ------
    MilmerError
        There are no predictions, or a logit is not finite.
    """
    truth, logits = np.asarray(truth, np.int64), np.asarray(logits, dtype=np.float64)
    if not len(truth) or not np.isfinite(logits).all():
        raise MilmerError(
            "Temperature scaling needs at least one prediction and finite logits; got "
            f"{len(truth)} predictions, {int(np.sum(~np.isfinite(logits)))} values not finite."
        )

    from scipy import optimize  # here: it is slow to import, and milmer audit does not fit

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(truth, logits, float(np.exp(log_temperature)))

    low, high = TEMPERATURE_RANGE
    optimum = optimize.minimize_scalar(
        loss, bounds=(np.log(low), np.log(high)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(optimum.x)) if optimum.fun <= loss(0.0) else 1.0


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities, (n, n_classes) float64, of logits divided by a temperature."""
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1))


def negative_log_likelihood(
    truth: np.ndarray, logits: np.ndarray, temperature: float = 1.0
) -> float:
    """Return the mean cross-entropy, in nats, of logits divided by a temperature."""
    log_probabilities = log_softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1)
    return float(-log_probabilities[np.arange(len(truth)), truth].mean())
