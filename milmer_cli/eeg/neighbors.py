"""Comparison of each channel with its prediction from the others, in windows.

Arrays of channels and windows have the shape (n_channels, n_windows); covariances have the shape
(n_windows, n_channels, n_channels), in microvolts squared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from milmer_cli.eeg.amplitude import MIN_AMPLITUDE_UV
from milmer_cli.eeg.splines import SphericalSplines

SMOOTH = 15
"""Windows of the running median of the statistics that are unreliable in one window. A median keeps
the times at which a channel becomes bad."""

_BIN_HZ = 32
_N_ITERATIONS, _RARE, _MIN_SOURCES, _MIN_GOOD = 5, 0.2, 6, 0.25
"""Iterations of the search; share of bad windows up to which a channel is used as a whole; minimum
number and share of good channels in a window for a prediction."""

_MIN_CHANNELS, _MIN_SIGNALS, _MIN_EIGENVALUE = 12, 5, 3e-3
"""A recording with fewer independent signals is a test signal and not EEG; the eigenvalue of a
signal is at least the third value times the largest. Splines do not predict such a recording."""

_CORRELATION, _CORRELATION_CHANNELS, _MIN_CORRELATION = 0.4, 32, 0.5
"""A channel whose correlation with its prediction is below the first value times that of the median
channel is bad. The value is reduced for fewer channels than the second, which are further apart. If
the correlation of the median channel is below the third, the neighbors predict no channel (this is
no EEG), and channels are not compared."""

_NOISE_RATIO, _NOISE_CORRELATION, _NOISE_GAIN = 15.0, 0.6, 1.5
"""In one window, a channel is noisy if its deviation from the prediction exceeds the first value
times that of the median channel, its correlation with the prediction is below the second, and its
amplitude exceeds the third value times that of the prediction. Blinks do not fulfill this: at the
front they are correlated with their prediction, and beside it only the prediction is large. A
smaller deviation counts if it lasts: the smoothed correlation is below the second value times that
of the median channel, and the smoothed amplitude above the third."""

_N_LEFT_OUT, _RESCUE_CORRELATION = 3, 0.6
"""Neighbors with the largest weights, which are left out one at a time before a channel is called
unrelated; correlation with the prediction from which it is not."""

_GAIN = 3.0
"""Limit of the amplitude relative to that of the prediction, for the median channel 1."""

_CONNECTED_RATIO, _MISFIT_RATIO = 0.1, 1.3
"""Two channels are connected if the variance of their difference is below the first value times the
usual one between nearest neighbors. The better one is good if the variance of its deviation from
the prediction is below that of the other one divided by the second value."""

_DRIFT_UV, _DRIFT_RATIO = 25.0, 8.0
"""A channel drifts if, without the filter, the change of its deviation from the prediction in one
second exceeds the first value, and the second times the lower quartile of all channels."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Agreement of each channel with its prediction: arrays of channels and windows.

    Attributes
    ----------
    correlation
        Correlation with the prediction; 1 where too few channels are good.
    deviation
        Standard deviation of the difference, in microvolts.
    gain
        Standard deviation relative to that of the prediction.
    """

    correlation: np.ndarray
    deviation: np.ndarray
    gain: np.ndarray


def window_covariances(data: np.ndarray, edges: np.ndarray, sfreq: float) -> np.ndarray:
    """Return the covariances below about 14 Hz: those of means over 1/32 s.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts.
    edges
        (n_windows + 1,) first samples of the windows.
    sfreq
        Sampling rate, in Hz.
    """
    step = max(1, round(sfreq / _BIN_HZ))
    n_bins = max(1, int(np.diff(edges).min()) // step)
    samples = edges[:-1, None] + np.arange(n_bins * step)
    bins = data[:, np.minimum(samples, edges[-1] - 1)]
    bins = bins.reshape(len(data), len(edges) - 1, n_bins, step).mean(axis=3)
    bins -= bins.mean(axis=2, keepdims=True)
    bins = bins.transpose(1, 0, 2)
    covariances: np.ndarray = bins @ bins.transpose(0, 2, 1) / n_bins
    return covariances


def find_unusual(covariances: np.ndarray, known: np.ndarray, ratio: float) -> np.ndarray:
    """Find channels that differ from all others, even if three quarters of the channels are bad.

    The distance of a channel is the standard deviation of its difference from the channel at the
    lower quartile. It is compared with the lower quartile of the channels.

    Parameters
    ----------
    covariances
        Result of `window_covariances`.
    known
        Channels and windows that are known to be bad; they are not compared.
    ratio
        Limit of the distance.
    """
    distances = _difference_variances(covariances, known)
    quarter = len(known) // 4
    nearest = np.sqrt(np.partition(distances, quarter, axis=2)[:, :, quarter])
    usual = np.partition(nearest, quarter, axis=1)[:, quarter]
    unusual: np.ndarray = (nearest > ratio * np.maximum(usual, MIN_AMPLITUDE_UV)[:, None]).T
    return unusual & ~known


def _difference_variances(covariances: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Return the variances of the differences of all pairs; infinite for bad channels."""
    power = np.diagonal(covariances, axis1=1, axis2=2)
    variances = power[:, :, None] + power[:, None, :] - 2 * covariances
    variances[bad.T] = np.inf
    variances.transpose(0, 2, 1)[bad.T] = np.inf
    return np.asarray(variances)


def obstacle(covariances: np.ndarray, bad: np.ndarray) -> str:
    """Return a sentence if channels cannot be compared with their neighbors, else ""."""
    if len(bad) < _MIN_CHANNELS:
        return f"The recording has {len(bad)} channels, fewer than {_MIN_CHANNELS}"
    rows = np.flatnonzero(bad.mean(axis=1) < _RARE)
    usual = np.median(covariances[:, rows][:, :, rows], axis=0)
    usual = usual - usual.mean(axis=0) - usual.mean(axis=1, keepdims=True) + usual.mean()
    eigenvalues = np.linalg.eigvalsh(usual)  # with the average reference: no common signal counts
    if np.sum(eigenvalues > _MIN_EIGENVALUE * eigenvalues.max(initial=0.0)) < _MIN_SIGNALS:
        return f"The good channels contain fewer than {_MIN_SIGNALS} independent signals"
    return ""


def find_connected(
    covariances: np.ndarray, known: np.ndarray, unusual: np.ndarray, splines: SphericalSplines
) -> np.ndarray:
    """Find the channels that record the signal of another one, in blocks of `SMOOTH` windows.

    Of each pair, that is the one which the other channels predict worse, or both if they predict
    both equally well.
    """
    starts = np.arange(0, max(1, known.shape[1] - SMOOTH // 2), SMOOTH)
    lengths = np.diff([*starts, len(covariances)])
    blocks = np.add.reduceat(covariances, starts, axis=0) / lengths[:, None, None]
    bad = np.logical_or.reduceat(known, starts, axis=1)
    variances = _difference_variances(blocks, bad)
    variances[:, range(len(bad)), range(len(bad))] = np.inf
    usable = unusual.mean(axis=1) < _RARE
    nearest = variances.min(axis=2)[:, usable]
    usual = np.median(nearest[np.isfinite(nearest)]) if np.isfinite(nearest).any() else 0.0
    equal = np.triu(variances < _CONNECTED_RATIO * usual)
    connected = np.zeros_like(bad)
    for pair in np.argwhere(equal.any(axis=0)):
        when = equal[:, pair[0], pair[1]]
        good = ~bad[:, when].any(axis=1) & usable
        good[pair] = False
        residual = (np.eye(len(good)) - splines.weights(good))[pair]
        misfit = np.einsum("cd,de,ce->c", residual, blocks[when].sum(axis=0), residual)
        worse = pair[misfit * _MISFIT_RATIO > misfit.max()]
        connected[np.ix_(worse, when)] = True
    return np.repeat(connected, lengths, axis=1)


def find_unpredicted(
    covariances: np.ndarray, known: np.ndarray, unusual: np.ndarray, splines: SphericalSplines
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Find the channels that do not agree with their prediction from the good channels.

    The search begins with the predictions from the channels that are not unusual. It is repeated
    with the channels that are then good, so a neighbor of a bad channel becomes good again.

    Parameters
    ----------
    covariances
        Result of `window_covariances`.
    known
        Channels and windows that are known to be bad.
    unusual
        Result of `find_unusual`.
    splines
        Splines through the electrodes.

    Returns
    -------
    noisy, unrelated, large
        Three arrays of channels and windows; None if no channel is similar to its prediction.
    """
    bad = known | unusual
    for _ in range(_N_ITERATIONS):
        found = _judge(predict(covariances, ~bad, splines), ~bad)
        if found is None:
            return None
        noisy, unrelated, large = found
        unrelated = _keep_unpredictable(unrelated, covariances, ~(bad | noisy | large), splines)
        noisy |= unusual & ~_enough(~bad)
        previous, bad = bad, known | noisy | unrelated | large
        if np.array_equal(previous, bad):
            break
    return noisy, unrelated, large


def _keep_unpredictable(
    unrelated: np.ndarray, covariances: np.ndarray, good: np.ndarray, splines: SphericalSplines
) -> np.ndarray:
    """Keep the unrelated channels that are so whichever one of their neighbors is left out.

    An intact channel beside one with strong activity of its own (a muscle) is predicted badly only
    because of that neighbor, above all at the edge of the cap, where the weights are large.
    """
    kept = unrelated.copy()
    used = good.mean(axis=1) > 0.5
    for channel in np.flatnonzero(unrelated.any(axis=1)):
        weights = np.abs(splines.weights(used)[channel])
        for neighbor in np.argsort(-weights)[:_N_LEFT_OUT]:
            others = used & (np.arange(len(used)) != neighbor)
            if _enough(others[:, None])[0]:
                correlation = _correlation_with(int(channel), others, covariances, splines)
                # over all of its windows, because a few can correlate by accident
                typical = np.percentile(correlation[unrelated[channel]], 60)
                kept[channel] &= typical < _RESCUE_CORRELATION
    return kept


def _correlation_with(
    channel: int, others: np.ndarray, covariances: np.ndarray, splines: SphericalSplines
) -> np.ndarray:
    """Correlate a channel with its prediction from others, (n_channels,) bool: (n_windows,)."""
    mean = others / others.sum()
    own = (np.arange(len(others)) == channel) - mean
    predicted = splines.weights(others)[channel] - mean
    power, predicted_power, shared = (
        np.einsum("d,wde,e->w", a, covariances, b, optimize=True)
        for a, b in ((own, own), (predicted, predicted), (own, predicted))
    )
    return np.asarray(shared / np.sqrt(np.maximum(power * predicted_power, 1e-18)))


def _enough(good: np.ndarray) -> np.ndarray:
    """(n_windows,) bool: whether the good channels are enough for a prediction."""
    enough: np.ndarray = good.sum(axis=0) >= max(_MIN_SOURCES, _MIN_GOOD * len(good))
    return enough


def predict(covariances: np.ndarray, good: np.ndarray, splines: SphericalSplines) -> Prediction:
    """Compare each channel with its prediction, both relative to the mean of the good channels."""
    correlation, deviation, gain = np.ones(good.shape), np.zeros(good.shape), np.ones(good.shape)
    for columns in _equal_columns(good):
        used = good[:, columns[0]]
        if not _enough(used[:, None]):
            continue
        mean = used / used.sum()
        own, predicted = np.eye(len(used)) - mean, splines.weights(used) - mean
        power, predicted_power, shared = (
            np.einsum("cd,wde,ce->cw", a, covariances[columns], b, optimize=True)
            for a, b in ((own, own), (predicted, predicted), (own, predicted))
        )
        power, predicted_power = np.maximum(power, 1e-9), np.maximum(predicted_power, 1e-9)
        correlation[:, columns] = shared / np.sqrt(power * predicted_power)
        deviation[:, columns] = np.sqrt(np.maximum(power + predicted_power - 2 * shared, 0))
        gain[:, columns] = np.sqrt(power / predicted_power)
    return Prediction(correlation, deviation, gain)


def _equal_columns(mask: np.ndarray) -> list[np.ndarray]:
    """Group the indices of equal columns."""
    _, group = np.unique(np.packbits(mask, axis=0), axis=1, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    return np.split(order, np.cumsum(np.bincount(group.ravel()))[:-1])


def _judge(
    prediction: Prediction, good: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    if not good.any():
        return None
    usual = max(float(np.median(prediction.deviation[good])), MIN_AMPLITUDE_UV)
    noisy = prediction.deviation > _NOISE_RATIO * usual
    noisy &= (prediction.correlation < _NOISE_CORRELATION) & (prediction.gain > _NOISE_GAIN)
    size = (1, SMOOTH)
    # in up to 40 % of the windows, blinks disturb the correlation of a channel beside the eyes
    correlation = ndimage.percentile_filter(prediction.correlation, 60, size, mode="reflect")
    gain = ndimage.median_filter(prediction.gain, size, mode="reflect")
    median = float(np.median(correlation[good]))
    if median < _MIN_CORRELATION:
        return None
    gain /= np.median(gain[good])
    limit = _CORRELATION * min(1.0, float(np.sqrt(len(good) / _CORRELATION_CHANNELS)))
    unrelated = correlation < limit * median
    unrelated |= (correlation < _NOISE_CORRELATION * median) & (gain > _NOISE_GAIN)
    # shorter good intervals than the running median resolves are accidental correlations
    unrelated |= ndimage.binary_closing(unrelated, np.ones(size))
    return noisy, unrelated, gain > _GAIN


def find_drifting(means_uv: np.ndarray, bad: np.ndarray, splines: SphericalSplines) -> np.ndarray:
    """Compare slow changes of the unfiltered channels with those of the others.

    Parameters
    ----------
    means_uv
        Mean of each window before the high-pass filter, in microvolts.
    bad
        Channels and windows that are known to be bad.
    splines
        Splines through the electrodes.
    """
    drifting = bad
    for _ in range(_N_ITERATIONS):
        residual = means_uv - splines.weights(drifting.mean(axis=1) < _RARE) @ means_uv
        change = np.abs(np.diff(residual, axis=1, append=residual[:, -1:]))
        change = ndimage.median_filter(change, (1, SMOOTH), mode="reflect")
        limit = max(_DRIFT_UV, _DRIFT_RATIO * float(np.quantile(change, 0.25)))
        drifting = change > limit
    return drifting & ~bad
