"""Accuracy against the number of deleted faces, and of missing electrodes.

This module does not import torch, as `milmer_cli.evaluation.results`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import integrate


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
    """

    share: np.ndarray
    selected: np.ndarray
    random: np.ndarray
    random_low: np.ndarray
    random_high: np.ndarray

    @property
    def area(self) -> float:
        """Mean of ``random`` minus ``selected`` over the share; positive if selection matters."""
        difference = self.random - self.selected
        return float(integrate.trapezoid(difference, self.share) / (self.share[-1] - self.share[0]))

    @property
    def below_random(self) -> bool:
        """Whether ``selected`` leaves the range of the random orders at any intermediate share."""
        return bool(np.any(self.selected[1:-1] < self.random_low[1:-1]))


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
