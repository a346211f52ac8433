"""Frequency of the power line noise in a recording."""

from __future__ import annotations

from collections.abc import Sequence

import mne
import numpy as np
from scipy import signal

from milmer_cli.eeg.gaps import continuous_parts

LINE_FREQUENCIES_HZ = (50.0, 60.0)

_N_EXCERPTS, _EXCERPT_S, _WINDOW_S = 12, 10.0, 2.0
_PEAK_HZ, _AROUND_HZ = 0.5, (1.5, 5.0)
_PEAK_RATIO = 3.0
"""The spectrum of EEG falls smoothly, so without noise the power of a narrow band is about that of
its surroundings."""


def line_frequency(raw: mne.io.BaseRaw, names: Sequence[str]) -> float:
    """Return the power line frequency of a recording, in Hz; 0 if no power line noise is found.

    If the file or its BIDS sidecar states the frequency, the statement is returned. Otherwise the
    power within 0.5 Hz of 50 Hz and of 60 Hz is compared with the median power 1.5 to 5 Hz beside
    it (Welch, windows of 2 s, at most 12 excerpts of 10 s). The ratio is averaged over the
    channels, so strong noise in one channel is found as well as weak noise in all.

    Parameters
    ----------
    raw
        The unfiltered recording.
    names
        Its EEG channels.
    """
    if raw.info["line_freq"]:
        return float(raw.info["line_freq"])
    sfreq = float(raw.info["sfreq"])
    frequencies, power = _spectrum(raw, names, sfreq)
    ratios = {
        hz: _peak_ratio(frequencies, power, hz)
        for hz in LINE_FREQUENCIES_HZ
        if hz + _AROUND_HZ[0] < sfreq / 2 and raw.n_times >= _WINDOW_S * sfreq
    }
    found = max(ratios, key=lambda hz: ratios[hz], default=0.0)
    return found if ratios.get(found, 0.0) > _PEAK_RATIO else 0.0


def _spectrum(
    raw: mne.io.BaseRaw, names: Sequence[str], sfreq: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies (n_frequencies,) and power (n_channels, n_frequencies)."""
    length = min(raw.n_times, round(_EXCERPT_S * sfreq))
    n_excerpts = min(_N_EXCERPTS, max(1, raw.n_times // length))
    starts = np.linspace(0, raw.n_times - length, n_excerpts).astype(int)
    n_window = min(length, round(_WINDOW_S * sfreq))
    powers = []
    for start, stop in _within_parts(raw, starts, length, n_window):
        data = raw.get_data(picks=list(names), start=start, stop=stop, verbose="error")
        frequencies, power = signal.welch(data, sfreq, nperseg=n_window, axis=1)
        powers.append(power)
    recorded = [power for power in powers if power.any()] or powers  # not those within a gap
    # the median is not changed by an excerpt with an artifact
    return frequencies, np.median(recorded, axis=0)


def _within_parts(
    raw: mne.io.BaseRaw, starts: np.ndarray, length: int, shortest: int
) -> list[tuple[int, int]]:
    """Move excerpts into continuous parts: a jump of the signal has power at all frequencies."""
    whole = [(int(start), int(start) + length) for start in starts]
    excerpts: dict[tuple[int, int], None] = {}
    parts = continuous_parts(raw)
    for start, stop in whole:
        part = max(parts, key=lambda part: min(stop, part.stop) - max(start, part.start))
        first = max(part.start, min(start, part.stop - length))
        if min(first + length, part.stop) - first >= shortest:
            excerpts[first, min(first + length, part.stop)] = None
    return list(excerpts) or whole


def _peak_ratio(frequencies: np.ndarray, power: np.ndarray, hz: float) -> float:
    distance = np.abs(frequencies - hz)
    low, high = _AROUND_HZ
    peak = power[:, distance <= _PEAK_HZ].mean(axis=1)
    around = np.median(power[:, (distance >= low) & (distance <= high)], axis=1)
    connected = around > 0
    return float(np.mean(peak[connected] / around[connected])) if connected.any() else 0.0
