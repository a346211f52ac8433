"""The cut of the published code, faults included, so that its numbers can be put in context."""

from __future__ import annotations

import mne
import numpy as np


def published_layout(trial: np.ndarray, segment_samples: int = 384) -> np.ndarray:
    """Cut a trial as the published notebook does: through ``reshape(-1, n_channels).T``.

    That is no transpose. Segment ``s``, row ``k``, column ``j`` is element
    ``s * n_channels * segment_samples + n_channels * j + k`` of the flattened trial, so a "segment"
    of 3 s holds 2-3 electrodes over all 60 s, and its "electrodes" are every 32nd sample of them.

    Parameters
    ----------
    trial
        (n_channels, n_samples); the published (32, 7680).
    segment_samples
        Samples of a segment.

    Returns
    -------
    ndarray, shape (n_segments, n_channels, segment_samples)
        (20, 32, 384) for the published shapes.
    """
    return _split(_scramble(trial), segment_samples)


def published_segments(
    trial: np.ndarray, segment_samples: int, sfreq: float, band_hz: tuple[float, float]
) -> np.ndarray:
    """As `published_layout`, with the notebook's band-pass between the reshape and the cut."""
    scrambled = _scramble(trial).astype(np.float64)
    mne.filter.filter_data(scrambled, sfreq, *band_hz, copy=False, verbose="error")
    return _split(scrambled, segment_samples)


def _scramble(trial: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(trial.reshape(-1, len(trial)).T)


def _split(trial: np.ndarray, segment_samples: int) -> np.ndarray:
    n_segments = trial.shape[1] // segment_samples
    whole = trial[:, : n_segments * segment_samples]
    return whole.reshape(len(trial), n_segments, segment_samples).transpose(1, 0, 2)
