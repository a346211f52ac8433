r"""Maps of the EEG channels of participants (``model.eeg_alignment``).

Each participant has an affine map of the channels, :math:`x \mapsto W (x - m)`:

- ``euclidean`` (He and Wu, 2020): :math:`m = 0` and :math:`W = 10\,R^{-1/2}`, with :math:`R` the
  mean of :math:`X X^\top / T` over the segments of the participant. The mean covariance of the
  aligned segments is the same for all participants: 10 microvolts in each channel, uncorrelated.
- ``standardize``: :math:`m` is the mean of each channel and :math:`W = 10\,\mathrm{diag}(1/s)`
  with its standard deviation :math:`s`.

A participant without a segment in the estimation gets the map of the average :math:`R` (or mean and
variance) of the other participants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from milmer_cli.settings.schema import EegAlignment as Method

AMPLITUDE_UV = 10.0
"""Standard deviation of an aligned channel, in microvolts."""
_MIN_EIGENVALUE = 1e-6
"""Directions with a smaller share of the largest variance are removed: the average reference and
interpolated channels have no signal in them."""


@dataclass(frozen=True, eq=False)
class EegTransform:
    """An affine map of the EEG channels.

    Attributes
    ----------
    matrix
        (n_channels, n_channels) float32.
    offset
        (n_channels,) float32, microvolts, subtracted before the multiplication.
    """

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, eeg: np.ndarray) -> np.ndarray:
        """Transform (..., n_channels, n_samples) microvolts."""
        return np.asarray(self.matrix @ (eeg - self.offset[:, None]), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class EegMoments:
    """Moments of the EEG of one participant, or their average over participants.

    Attributes
    ----------
    mean
        (n_channels,) microvolts.
    power
        (n_channels, n_channels) mean of :math:`X X^T / T`, microvolts squared.
    """

    mean: np.ndarray
    power: np.ndarray

    @classmethod
    def of(cls, eeg: np.ndarray) -> EegMoments:
        """Compute the moments of (n_segments, n_channels, n_samples) microvolts."""
        eeg = np.asarray(eeg, dtype=np.float64)
        power = np.einsum("nct,ndt->cd", eeg, eeg) / (len(eeg) * eeg.shape[-1])
        return cls(eeg.mean(axis=(0, 2)), power)

    @classmethod
    def average(cls, moments: list[EegMoments], weights: list[int] | None = None) -> EegMoments:
        """Average over participants, or over batches with their numbers of segments."""
        return cls(
            np.average([m.mean for m in moments], axis=0, weights=weights),
            np.average([m.power for m in moments], axis=0, weights=weights),
        )

    def transform(self, method: Method) -> EegTransform:
        """Return the map that gives EEG with these moments a common amplitude."""
        if method == "standardize":
            sd = np.sqrt(np.maximum(np.diag(self.power) - self.mean**2, 0.0))
            scale = np.divide(AMPLITUDE_UV, sd, out=np.zeros_like(sd), where=sd > 0)
            return EegTransform(np.diag(scale).astype(np.float32), self.mean.astype(np.float32))
        values, vectors = np.linalg.eigh(self.power)
        kept = values > max(values.max(), 0.0) * _MIN_EIGENVALUE
        roots = np.zeros_like(values)
        roots[kept] = AMPLITUDE_UV / np.sqrt(values[kept])
        matrix = (vectors * roots) @ vectors.T
        return EegTransform(matrix.astype(np.float32), np.zeros(len(values), np.float32))


@dataclass(frozen=True, eq=False)
class EegAlignment:
    """Maps of the EEG of all participants.

    Attributes
    ----------
    method
        How they were estimated.
    reference
        Map of a participant who is not in ``participants``.
    participants
        Maps by participant.
    """

    method: Method
    reference: EegTransform
    participants: Mapping[str, EegTransform]

    def of(self, participant: str) -> EegTransform:
        """Return the map of a participant."""
        return self.participants.get(participant, self.reference)
