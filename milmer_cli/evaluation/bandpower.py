"""Band power of the EEG, and linear discriminant analysis on it: the baseline to beat first."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import signal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from milmer_cli.errors import MilmerError
from milmer_cli.store import PreparedStore, Segments

BANDS_HZ = ((4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0))
"""Theta, alpha, beta, gamma, as usual with DEAP (Koelstra et al. 2012)."""
NARROWEST_HZ = 2.0
AT_ONCE = 256


def band_power(
    store: PreparedStore, segments: Segments, band_hz: tuple[float, float]
) -> np.ndarray:
    """Logarithm of the mean power in each band.

    Parameters
    ----------
    store, segments
        Whose EEG.
    band_hz
        What the EEG was filtered to: bands are cut to it, and left out where little remains.

    Returns
    -------
    ndarray
        (n_segments, channels x bands) float64, in log10 of microvolts squared per Hz; rows of NaN
        where there is no EEG.
    """
    bands = [(max(low, band_hz[0]), min(high, band_hz[1])) for low, high in BANDS_HZ]
    bands = [(low, high) for low, high in bands if high - low >= NARROWEST_HZ]
    names = [str(name) for name in np.unique(segments.participant)]
    channels = max(len(store.participant(name).channels) for name in names)
    found = np.full((len(segments), channels * len(bands)), np.nan)
    for name in names:
        participant = store.participant(name)
        rows = np.flatnonzero((segments.participant == name) & segments.eeg_found)
        for chunk in np.split(rows, range(AT_ONCE, len(rows), AT_ONCE)):
            if len(chunk):
                eeg = np.stack([participant.eeg[int(row)] for row in segments.row[chunk]])
                found[chunk] = _features(eeg, participant.sfreq, bands)
    return found


def lda(
    features: np.ndarray,
    targets: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    n_classes: int,
) -> np.ndarray:
    """Probabilities of classes by linear discriminant analysis with Ledoit-Wolf shrinkage.

    Everything is fitted on the training rows only, the mean and deviation of each feature included.

    Parameters
    ----------
    features
        (n_segments, n_features); rows with NaN are left out of the training, and get the shares of
        the classes in it.
    targets
        (n_segments,) classes from 0.
    train, test
        Rows.
    n_classes
        How many classes there are.

    Returns
    -------
    ndarray
        (n_test, n_classes) float64.

    Raises
    ------
    MilmerError
        Fewer than two classes have features in the training part.
    """
    known = np.isfinite(features).all(axis=1)
    train = train[known[train]]
    probabilities = np.tile(
        np.bincount(targets[train], minlength=n_classes) / max(len(train), 1), (len(test), 1)
    )
    if np.count_nonzero(probabilities[:1]) < 2:
        raise MilmerError("The training part of a fold has EEG of one class only.")
    seen = known[test]
    if seen.any():
        model = make_pipeline(
            StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        )
        with warnings.catch_warnings():  # a class with one sample is shrunk to the pooled rest
            warnings.filterwarnings("ignore", "Only one sample available")
            model.fit(features[train], targets[train])
        probabilities[seen] = 0.0
        probabilities[np.ix_(seen, model.classes_)] = model.predict_proba(features[test[seen]])
    return probabilities


def _features(eeg: np.ndarray, sfreq: float, bands: list[tuple[float, float]]) -> np.ndarray:
    """(n, channels, samples) microvolts -> (n, channels x bands)."""
    hertz, power = signal.periodogram(eeg, sfreq, window="hann", axis=-1)
    columns = [power[..., (hertz >= low) & (hertz < high)].mean(axis=-1) for low, high in bands]
    tiny = np.finfo(np.float32).tiny
    return np.log10(np.maximum(np.stack(columns, axis=-1), tiny)).reshape(len(eeg), -1)
