"""Loading the channels of a recording: filtered and resampled, a few channels at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import mne
import numpy as np
from scipy.fft import next_fast_len

from milmer_cli.eeg.bad_channels import window_means
from milmer_cli.eeg.read_errors import readable
from milmer_cli.settings.schema import EegSettings

NOTCH_MARGIN_HZ = 2.0
"""Distance from the Nyquist frequency at which MNE can still design a notch filter."""

_MAX_SHIFT = Fraction(1, 100)
"""Largest error of the time of a sample that resampling may cause, in new samples."""
_LOAD_BYTES = 192 * 2**20
"""Upper bound of the unfiltered samples in memory at one time."""


@dataclass(frozen=True)
class Filters:
    """Zero-phase FIR filters (MNE's default design) of one recording.

    Attributes
    ----------
    notch_hz
        Frequency that is removed with its harmonics, in Hz; 0 for none.
    band_hz
        Cutoff frequencies, in Hz; None for an edge that is not applied.
    parts
        Ranges of samples that are filtered separately: `continuous_parts`.
    """

    notch_hz: float
    band_hz: tuple[float | None, float | None]
    parts: tuple[slice, ...]

    def apply(self, data: np.ndarray, sfreq: float) -> None:
        """Filter (n_channels, n_samples) in place, and subtract the mean of each part before."""
        low, high = self.band_hz
        highest = sfreq / 2 - NOTCH_MARGIN_HZ
        harmonics = np.arange(self.notch_hz, highest, self.notch_hz or math.inf)
        for samples in self.parts:
            part = np.ascontiguousarray(data[:, samples])
            if not part.any():  # a gap
                continue
            # BioSemi amplifiers are DC-coupled: electrode offsets are thousands of times larger
            # than the signal, and a filter would ring at both ends if they were not removed first.
            part -= part.mean(axis=1, keepdims=True)
            with mne.utils.use_log_level("error"):
                if self.notch_hz and len(harmonics):
                    mne.filter.notch_filter(part, sfreq, harmonics, copy=False)
                upper = high if high is not None and high < sfreq / 2 else None
                mne.filter.filter_data(part, sfreq, low, upper, copy=False)
            data[:, samples] = part


def narrower_filters(
    pass_band_hz: tuple[float, float], settings: EegSettings, parts: tuple[slice, ...]
) -> Filters | None:
    """Return the filters that limit a filtered recording to ``band_hz``; None if it is within."""
    low, high = settings.band_hz
    band = low if low > pass_band_hz[0] else None, high if high < pass_band_hz[1] else None
    return None if band == (None, None) else Filters(0.0, band, parts)


def load_channels(
    raw: mne.io.BaseRaw,
    names: list[str],
    settings: EegSettings,
    filters: Filters | None = None,
    means: np.ndarray | None = None,
) -> np.ndarray:
    """Load, filter and resample channels, a few at a time: (n_channels, n_samples) microvolts.

    ``means`` is filled with the means of the windows before the filter, (n_channels, n_windows).
    """
    sfreq, ratio = float(raw.info["sfreq"]), rate_ratio(raw, settings)
    new_sfreq = float(settings.sfreq_hz)
    data = np.empty((len(names), math.ceil(raw.n_times * ratio)))
    step = max(1, _LOAD_BYTES // (8 * raw.n_times))
    for first in range(0, len(names), step):
        chunk = _read(raw, names[first : first + step])
        chunk *= 1e6
        if means is not None and filters is not None:
            means[first : first + step] = window_means(chunk, new_sfreq, ratio, filters.parts)
        if filters is not None:
            filters.apply(chunk, sfreq)
        for row, signal in enumerate(chunk, start=first):
            data[row] = _resample_parts(signal, ratio, () if filters is None else filters.parts)
    return data


def rate_ratio(raw: mne.io.BaseRaw, settings: EegSettings) -> Fraction:
    """Return the new sampling rate divided by the old one.

    The fraction is the simplest one that shifts no sample of the recording by more than a
    hundredth of a new sample: a measured rate such as 499.97 Hz has no simple one.
    """
    exact = Fraction(settings.sfreq_hz / float(raw.info["sfreq"]))
    for largest in (10_000, 100_000):
        ratio = exact.limit_denominator(largest)
        if abs(ratio - exact) * raw.n_times <= _MAX_SHIFT:
            return ratio
    return exact.limit_denominator(1_000_000)


def _read(raw: mne.io.BaseRaw, names: list[str]) -> np.ndarray:
    with readable(raw):
        data: np.ndarray = raw.get_data(picks=names, verbose="error")
    return data


def _resample_parts(signal: np.ndarray, ratio: Fraction, parts: tuple[slice, ...]) -> np.ndarray:
    """Resample the continuous parts of a channel separately, so that none rings into another.

    A part that begins between two samples of the result would be shifted. In this case, the whole
    channel is resampled at once.
    """
    recorded = [part for part in parts if signal[part].any()]
    aligned = all((part.start * ratio).denominator == 1 for part in recorded)
    if len(parts) < 2 or not aligned:
        return _resample(signal, ratio)
    resampled = np.zeros(math.ceil(len(signal) * ratio))
    for part in recorded:
        own = _resample(signal[part], ratio)
        first = int(part.start * ratio)
        resampled[first : first + len(own)] = own[: len(resampled) - first]
    return resampled


def _resample(signal: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Resample one channel; sample k of the result is at time k / new rate.

    The FFT method changes the rate by the ratio of two lengths. The signal is padded to a multiple
    of the denominator, so that this ratio is exactly the wanted one: otherwise the output length is
    rounded, the rate is slightly wrong, and events drift over an hour of recording. The padding is
    an odd reflection, because the method treats the signal as periodic and a jump between its end
    and its start would ring.
    """
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return signal
    left = down * math.ceil(256 / down)
    total = down * next_fast_len(math.ceil((left + len(signal) + 256) / down))
    padded = np.pad(signal, (left, total - left - len(signal)), mode="reflect", reflect_type="odd")
    resampled = mne.filter.resample(padded, up, down, npad=0, verbose="error")
    first = left * up // down
    return resampled[first : first + math.ceil(len(signal) * ratio)]
