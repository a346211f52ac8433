"""Baseline: log band power of the EEG, classified by linear discriminant analysis (LDA)."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import signal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.errors import MilmerError

BANDS_HZ = ((4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0))
"""Theta, alpha, beta and gamma, as used for DEAP (Koelstra et al., 2012)."""
MIN_BANDWIDTH_HZ = 2.0
BATCH_SIZE = 256


def band_power(labeled: LabeledSegments, filter_hz: tuple[float, float]) -> np.ndarray:
    """Compute the log mean power in each band.

    Parameters
    ----------
    labeled
        The segments, with aligned EEG (`data.eeg_alignment`) where this is set.
    filter_hz
        Passband of the EEG. Bands are limited to it, and dropped if less than 2 Hz remain.

    Returns
    -------
    ndarray
        (n_segments, channels * bands) float64, log10 of microvolts squared per Hz; NaN in segments
        without EEG.
    """
    limited = [(max(low, filter_hz[0]), min(high, filter_hz[1])) for low, high in BANDS_HZ]
    bands = [(low, high) for low, high in limited if high - low >= MIN_BANDWIDTH_HZ]
    store, segments = labeled.store, labeled.segments
    names = [str(name) for name in np.unique(segments.participant)]
    n_channels = max(len(store.participant(name).channels) for name in names)
    power = np.full((len(segments), n_channels * len(bands)), np.nan)
    for name in names:
        participant = store.participant(name)
        rows = np.flatnonzero((segments.participant == name) & segments.eeg_found)
        for batch in np.split(rows, range(BATCH_SIZE, len(rows), BATCH_SIZE)):
            if len(batch):
                rows_of_file = segments.row[batch]
                eeg = np.stack([labeled.aligned_eeg(participant, int(r)) for r in rows_of_file])
                power[batch] = _log_power(eeg, participant.sfreq, bands)
    return power


def predict_lda(
    features: np.ndarray,
    targets: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    n_classes: int,
) -> np.ndarray:
    """Fit LDA with Ledoit-Wolf shrinkage on the training rows and predict the test rows.

    Features are standardized with the mean and standard deviation of the training rows.

    Parameters
    ----------
    features
        (n_segments, n_features). Training rows with NaN are ignored; test rows with NaN get the
        class frequencies of the training rows.
    targets
        (n_segments,) classes from 0.
    train, test
        (n_train,) and (n_test,) rows.
    n_classes
        Number of classes.

    Returns
    -------
    ndarray
        (n_test, n_classes) float64 probabilities.

    Raises
    ------
    MilmerError
        The training rows with features contain fewer than two classes.
    """
    complete = np.isfinite(features).all(axis=1)
    train = train[complete[train]]
    frequencies = np.bincount(targets[train], minlength=n_classes) / max(len(train), 1)
    if np.count_nonzero(frequencies) < 2:
        raise MilmerError(
            "LDA: expected at least 2 classes in the training set, got "
            f"{np.count_nonzero(frequencies)} in its {len(train)} segments with features.",
            "Use fewer folds, or --baselines none.",
        )
    probabilities = np.tile(frequencies, (len(test), 1))
    predicted = complete[test]
    if predicted.any():
        classifier = make_pipeline(
            StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        )
        with warnings.catch_warnings():  # such a class has the covariance of the other classes
            warnings.filterwarnings("ignore", "Only one sample available")
            classifier.fit(features[train], targets[train])
        probabilities[predicted] = 0.0
        columns = np.ix_(predicted, classifier.classes_)
        probabilities[columns] = classifier.predict_proba(features[test[predicted]])
    return probabilities


def _log_power(eeg: np.ndarray, sfreq: float, bands: list[tuple[float, float]]) -> np.ndarray:
    """Convert (n, channels, samples) microvolts to (n, channels * bands)."""
    frequencies, density = signal.periodogram(eeg, sfreq, window="hann", axis=-1)
    power = [
        density[..., (frequencies >= low) & (frequencies < high)].mean(axis=-1)
        for low, high in bands
    ]
    tiny = np.finfo(np.float32).tiny
    return np.log10(np.maximum(np.stack(power, axis=-1), tiny)).reshape(len(eeg), -1)
