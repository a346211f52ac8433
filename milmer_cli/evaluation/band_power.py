"""Power of the EEG in frequency bands: log power, differential entropy, frontal asymmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import signal

BANDS_HZ = ((4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0))
"""Theta, alpha, beta and gamma, as used for DEAP (Koelstra et al., 2012)."""
ENTROPY_BANDS_HZ = ((1.0, 4.0), *BANDS_HZ)
"""The same with delta, as used for differential entropy (Zheng and Lu, 2015)."""
ALPHA_HZ = BANDS_HZ[1]
MIN_BANDWIDTH_HZ = 2.0

Band = tuple[float, float]


def limit_bands(bands: Sequence[Band], filter_hz: Band) -> list[Band]:
    """Limit bands to the passband of the EEG; a band of which less than 2 Hz remain is dropped."""
    limited = [(max(low, filter_hz[0]), min(high, filter_hz[1])) for low, high in bands]
    return [(low, high) for low, high in limited if high - low >= MIN_BANDWIDTH_HZ]


def band_power(eeg: np.ndarray, sfreq: float, filter_hz: Band) -> np.ndarray:
    """Compute the log mean power in each band of `BANDS_HZ`.

    Parameters
    ----------
    eeg
        (n, n_channels, n_samples) microvolts.
    sfreq
        Sampling rate in Hz.
    filter_hz
        Passband of the EEG; see `limit_bands`.

    Returns
    -------
    ndarray
        (n, n_channels * n_bands) float64, log10 of microvolts squared per Hz.
    """
    density = _mean_density(eeg, sfreq, limit_bands(BANDS_HZ, filter_hz))
    return np.log10(density).reshape(len(eeg), -1)


def differential_entropy(eeg: np.ndarray, sfreq: float, filter_hz: Band) -> np.ndarray:
    """Compute the differential entropy in each band of `ENTROPY_BANDS_HZ`.

    The entropy of a normal distribution with the variance of the signal in the band: 0.5 ln(2 pi e
    variance) (Shi, Jiao and Lu, 2013, EMBC).

    Parameters
    ----------
    eeg, sfreq, filter_hz
        As for `band_power`.

    Returns
    -------
    ndarray
        (n, n_channels * n_bands) float64, nats.
    """
    bands = limit_bands(ENTROPY_BANDS_HZ, filter_hz)
    variance = _mean_density(eeg, sfreq, bands) * [high - low for low, high in bands]
    return (0.5 * np.log(2 * np.pi * np.e * variance)).reshape(len(eeg), -1)


def alpha_asymmetry(
    eeg: np.ndarray, sfreq: float, filter_hz: Band, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Compute ln alpha power of the right minus the left electrode of each pair, (n, n_pairs).

    Parameters
    ----------
    eeg, sfreq, filter_hz
        As for `band_power`.
    pairs
        Right and left channel of each pair.
    """
    density = np.log(_mean_density(eeg, sfreq, limit_bands([ALPHA_HZ], filter_hz)))
    right, left = (density[:, [pair[side] for pair in pairs]] for side in (0, 1))
    return np.asarray(right - left).reshape(len(eeg), -1)


def _mean_density(eeg: np.ndarray, sfreq: float, bands: Sequence[Band]) -> np.ndarray:
    """Return the mean power spectral density in each band, (n, n_channels, n_bands), above 0."""
    frequencies, density = signal.periodogram(eeg, sfreq, window="hann", axis=-1)
    power = [
        density[..., (frequencies >= low) & (frequencies < high)].mean(axis=-1)
        for low, high in bands
    ]
    stacked = np.stack(power, axis=-1) if power else np.empty((*eeg.shape[:2], 0))
    return np.maximum(stacked, np.finfo(np.float32).tiny)
