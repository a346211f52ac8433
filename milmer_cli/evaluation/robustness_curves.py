"""Accuracy against the number of deleted faces, and of missing electrodes.

This module does not import torch, as `milmer_cli.evaluation.results`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import integrate

from milmer_cli.metrics.results import ALPHA, format_p
from milmer_cli.metrics.significance import Comparison


@dataclass(frozen=True, eq=False)
class DeletionCurve:
    """Accuracy after deleting faces, as a test of the instance selection.

    Attributes
    ----------
    share
        (n,) share of the faces that are deleted, ascending from 0 to 1.
    selected
        (n,) accuracy after deleting the faces with the highest weights.
    random, random_low, random_high
        (n,) mean, minimum and maximum accuracy over random orders of deletion.
    comparison
        Random deletion compared with the deletion of the selected faces: mean correctness of each
        trial over the shares. Its difference is the mean over trials, `area` that over segments.
    """

    share: np.ndarray
    selected: np.ndarray
    random: np.ndarray
    random_low: np.ndarray
    random_high: np.ndarray
    comparison: Comparison

    @property
    def area(self) -> float:
        """Mean of ``random`` minus ``selected`` over the share; positive if selection matters."""
        return float(average_over_shares(self.random - self.selected, self.share))

    @property
    def sentence(self) -> str:
        """State whether removing the selected faces reduces the accuracy more, with the p-value."""
        found, faces = self.comparison, "removing random faces"
        if np.isnan(found.p_value):
            return f"Removing the selected faces and {faces} cannot be compared: {found.undefined}."
        p = format_p(found.p_value)
        if not found.p_value < ALPHA:
            return (
                f"No difference between removing the selected faces and {faces} is shown "
                f"({-100 * found.difference:+.1f} points, {p})."
            )
        amount = "more" if found.difference > 0 else "less"
        return (
            f"Removing the selected faces reduces the accuracy by "
            f"{100 * abs(found.difference):.1f} points {amount} than {faces} ({p})."
        )


def average_over_shares(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Average (..., n) values over (n,) shares of deleted faces (trapezoidal rule)."""
    numbers = np.asarray(values, float)  # the sum of two booleans would be a boolean
    return np.asarray(integrate.trapezoid(numbers, share) / (share[-1] - share[0]))


@dataclass(frozen=True, eq=False)
class AccuracyRange:
    """Accuracy over several random draws.

    Attributes
    ----------
    mean, low, high
        (n,) mean, minimum and maximum over the draws.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, accuracy: np.ndarray) -> AccuracyRange:
        """Summarize accuracies, (n_draws, n)."""
        return cls(accuracy.mean(axis=0), accuracy.min(axis=0), accuracy.max(axis=0))


@dataclass(frozen=True, eq=False)
class ElectrodeCurve:
    """Accuracy against the number of missing electrodes; see `evaluation.missing_electrodes`.

    Attributes
    ----------
    n_missing
        (n,) numbers of missing electrodes, ascending from 0.
    n_channels, n_draws, n_segments
        Electrodes of the model; random sets of missing electrodes; segments.
    masked
        The missing electrodes are hidden from the model.
    interpolated
        The missing electrodes are interpolated; None if positions are not known.
    """

    n_missing: np.ndarray
    n_channels: int
    n_draws: int
    n_segments: int
    masked: AccuracyRange
    interpolated: AccuracyRange | None
