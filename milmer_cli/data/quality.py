"""The quality rule: which modalities of a segment are usable.

Training, evaluation, prediction and `inspect` apply it with the same settings (section
``quality``). A modality that is not usable is masked, so the model receives the other one. A
segment without a usable modality is left out of training and evaluation, and the prediction
abstains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milmer_cli.eeg.quality import EegQuality
from milmer_cli.settings.schema import QualitySettings

FLAT_UV = 0.5
"""Peak-to-peak amplitude below which a channel is flat, in microvolts."""


@dataclass(frozen=True)
class QualityCounts:
    """Number of segments of a participant that the quality rule affects.

    Attributes
    ----------
    participant
        Name.
    segments
        Number of segments.
    unusable_eeg, unusable_faces
        Segments that have EEG (faces) of too low quality, so that it is masked.
    removed
        Segments without any usable modality, although they have EEG or faces.
    """

    participant: str
    segments: int
    unusable_eeg: int
    unusable_faces: int
    removed: int


def good_channels(quality: EegQuality, settings: QualitySettings) -> np.ndarray:
    """Return the channels that are not bad and have a plausible amplitude.

    Returns
    -------
    ndarray, shape (n_segments, n_channels), bool
    """
    too_large = quality.ptp_uv > (settings.reject_ptp_uv or np.inf)
    good: np.ndarray = ~(quality.bad | (quality.ptp_uv < FLAT_UV) | too_large)
    return good


def usable_eeg(quality: EegQuality, settings: QualitySettings) -> np.ndarray:
    """Return the segments whose EEG is usable, (n_segments,) bool."""
    n_channels = quality.bad.shape[1]
    n_good = good_channels(quality, settings).sum(axis=1)
    return np.asarray(n_channels - n_good <= settings.max_bad_channels * n_channels) & (
        n_channels > 0
    )


def usable_faces(found: np.ndarray, settings: QualitySettings) -> np.ndarray:
    """Return the segments with at least one face and ``min_faces``.

    Parameters
    ----------
    found
        (n_segments, n_instances) bool.
    settings
        Section ``quality``.

    Returns
    -------
    ndarray, shape (n_segments,), bool
    """
    n_found = found.sum(axis=1)
    return np.asarray((n_found > 0) & (n_found >= settings.min_faces * found.shape[1]))
