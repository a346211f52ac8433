"""Bad channels of a recording, in windows of one second.

A channel is judged by its prediction from the others (`eeg.neighbors`), as in PREP (Bigdely-Shamlo
et al., 2015), so neither the reference electrode nor blinks, which are smooth over the head, change
the result. Only frequencies below about 14 Hz are used, where muscle activity is weak.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import ndimage

from milmer_cli.eeg.neighbors import (
    SMOOTH,
    find_connected,
    find_drifting,
    find_unpredicted,
    find_unusual,
    obstacle,
    window_covariances,
)
from milmer_cli.eeg.splines import SphericalSplines

WINDOW_S = 1.0

MARKED = "marked as bad in the file"

_FLAT_UV, _FLAT_RATIO = 0.5, 0.05
"""A channel is flat if its peak-to-peak amplitude is below the first value, or its standard
deviation below the second times the lower quartile of the channels."""

_UNUSUAL_RATIO, _UNUSUAL_ALONE = 6.0, 10.0
"""`find_unusual` is the first search, or the only one if channels cannot be compared."""


@dataclass(frozen=True, eq=False)
class BadWindows:
    """Bad channels of a recording.

    Attributes
    ----------
    bad
        (n_channels, n_windows) bool, for the windows of `window_edges`.
    reasons
        Bad channel -> what is wrong and how long, for a message.
    notes
        One sentence for each search that was not possible.
    """

    bad: np.ndarray
    reasons: dict[str, str]
    notes: tuple[str, ...] = ()

    def with_marked(self, windows: np.ndarray, names: Sequence[str]) -> BadWindows:
        """Add windows that the user marked as bad, (n_channels, n_windows) bool."""
        reasons = {
            name: self.reasons.get(name, f"{MARKED} {100 * row.mean():.0f} % of the time")
            for name, row in zip(names, windows, strict=True)
            if row.any()
        }
        return BadWindows(self.bad | windows, self.reasons | reasons, self.notes)


def window_edges(n_samples: int, sfreq: float) -> np.ndarray:
    """Return the first sample of each window, and the number of samples: (n_windows + 1,).

    Windows last `WINDOW_S`. The last one contains the rest of the recording, so it lasts up to
    twice as long; a shorter recording is one window.
    """
    n_windows = max(1, int(n_samples / (WINDOW_S * sfreq)))
    edges = np.round(np.arange(n_windows + 1) * WINDOW_S * sfreq).astype(int)
    edges[-1] = n_samples
    return edges


def window_means(
    data: np.ndarray, sfreq: float, ratio: Fraction, parts: Sequence[slice]
) -> np.ndarray:
    """Return the mean of each window relative to that of its continuous part.

    Parameters
    ----------
    data
        (n_channels, n_samples) before filter and resampling.
    sfreq
        Sampling rate after it, in Hz.
    ratio
        Factor of the sampling rate in the resampling.
    parts
        Ranges of samples between the gaps of the recording.

    Returns
    -------
    ndarray, shape (n_channels, n_windows)
        For the windows of the resampled data.
    """
    centered = [data[:, part] - data[:, part].mean(axis=1, keepdims=True) for part in parts]
    edges = window_edges(math.ceil(data.shape[1] * ratio), sfreq)
    edges = np.minimum(np.round(edges / float(ratio)).astype(int), data.shape[1])
    sums = np.add.reduceat(np.concatenate(centered, axis=1), edges[:-1], axis=1)
    return np.asarray(sums / np.diff(edges))


def windows_to_segments(windows: np.ndarray, starts_s: np.ndarray, segment_s: float) -> np.ndarray:
    """Return whether any window that overlaps a segment is marked.

    Parameters
    ----------
    windows
        (n_channels, n_windows) bool.
    starts_s
        (n_segments,) seconds from the start of the recording.
    segment_s
        Length of a segment.

    Returns
    -------
    ndarray, shape (n_segments, n_channels), bool
    """
    last = windows.shape[1] - 1
    first = np.clip(np.floor(starts_s / WINDOW_S + 1e-6).astype(int), 0, last)
    end = np.ceil((starts_s + segment_s) / WINDOW_S - 1e-6).astype(int)
    marked = [
        windows[:, begin : max(stop, begin + 1)].any(axis=1)
        for begin, stop in zip(first, end, strict=True)
    ]
    return np.array(marked, bool).reshape(len(starts_s), len(windows))


def find_bad_windows(
    data: np.ndarray,
    sfreq: float,
    names: Sequence[str],
    splines: SphericalSplines | None,
    means_uv: np.ndarray | None = None,
    marked: Sequence[str] = (),
    judged: np.ndarray | None = None,
) -> BadWindows:
    """Find the bad channels of each window.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts, filtered, with any reference.
    sfreq
        Sampling rate, in Hz.
    names
        Channel names.
    splines
        Splines through the electrodes; None if their positions are not known. Then, and with few
        channels, only flat channels and channels of unusual amplitude are found.
    means_uv
        (n_channels, n_windows) mean of each window before the high-pass filter, in microvolts; None
        to not search for drifts.
    marked
        Channels that the user marked as bad; they are bad throughout.
    judged
        (n_windows,) bool, the windows to search, for example those without a gap of the recording;
        None for all. The others contribute nothing to the limits.
    """
    lengths = np.diff(window_edges(data.shape[1], sfreq))
    is_marked = np.array([name in marked for name in names])
    if judged is None or judged.all():
        edges = np.concatenate([[0], np.cumsum(lengths)])
        return _search(data, edges, sfreq, names, splines, means_uv, is_marked)
    bad = np.repeat(is_marked[:, None], len(lengths), axis=1)
    if not judged.any():
        return BadWindows(bad, dict.fromkeys(marked, MARKED))
    edges = np.concatenate([[0], np.cumsum(lengths[judged])])
    data = data[:, np.repeat(judged, lengths)]
    means_uv = None if means_uv is None else means_uv[:, judged]
    found = _search(data, edges, sfreq, names, splines, means_uv, is_marked)
    bad[:, judged] |= found.bad
    return BadWindows(bad, found.reasons, found.notes)


def _search(
    data: np.ndarray,
    edges: np.ndarray,
    sfreq: float,
    names: Sequence[str],
    splines: SphericalSplines | None,
    means_uv: np.ndarray | None,
    is_marked: np.ndarray,
) -> BadWindows:
    """Search the windows between ``edges``; see `find_bad_windows`."""
    kinds = {MARKED: np.repeat(is_marked[:, None], len(edges) - 1, axis=1)}
    kinds["flat"] = _flat(data, edges)
    known, covariances = _any(kinds), window_covariances(data, edges, sfreq)
    compared, reason = _compare(covariances, known, splines)
    if reason:
        unusual = find_unusual(covariances, known, _UNUSUAL_ALONE)
        kinds["noisy"] = ndimage.median_filter(unusual, (1, SMOOTH), mode="reflect")
        note = f"{reason}, so only flat channels and channels of unusual amplitude were searched."
        return BadWindows(_any(kinds), _reasons(names, kinds), (note,))
    kinds |= compared
    if means_uv is not None and splines is not None:
        kinds["drifting"] = find_drifting(means_uv, _any(kinds), splines)
    return BadWindows(_any(kinds), _reasons(names, kinds))


def _compare(
    covariances: np.ndarray, known: np.ndarray, splines: SphericalSplines | None
) -> tuple[dict[str, np.ndarray], str]:
    """Compare the channels with each other; return why it is not possible, or ""."""
    if splines is None:
        return {}, "The electrode positions are not known"
    unusual = find_unusual(covariances, known, _UNUSUAL_RATIO)
    if reason := obstacle(covariances, known | unusual):
        return {}, reason
    connected = find_connected(covariances, known, unusual, splines)
    found = find_unpredicted(covariances, known | connected, unusual, splines)
    if found is None:
        return {}, "The channels are not similar to their neighbors, as they are in EEG"
    noisy, unrelated, large = found
    return {
        "equal to another channel": connected,
        "noisy": noisy,
        "unrelated to the others": unrelated,
        "too large": large,
    }, ""


def _any(kinds: Mapping[str, np.ndarray]) -> np.ndarray:
    bad: np.ndarray = np.any(list(kinds.values()), axis=0)
    return bad


def _flat(data: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(n_channels, n_windows) bool."""
    starts, lengths = edges[:-1], np.diff(edges)
    ranges = np.maximum.reduceat(data, starts, axis=1) - np.minimum.reduceat(data, starts, axis=1)
    means, squares = (np.add.reduceat(x, starts, axis=1) / lengths for x in (data, data**2))
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    small = deviations < _FLAT_RATIO * np.quantile(deviations, 0.25, axis=0)
    return np.asarray((ranges < _FLAT_UV) | small)


def _reasons(names: Sequence[str], kinds: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Describe each bad channel; of several kinds at one time, the first is named."""
    parts: dict[str, list[str]] = {}
    earlier = np.zeros((len(names), next(iter(kinds.values())).shape[1]), bool)
    for kind, windows in kinds.items():
        shares = (windows & ~earlier).mean(axis=1)
        earlier |= windows
        for name, share in zip(names, shares, strict=True):
            if share:
                text = kind if share == 1 else f"{kind} {100 * share:.0f} % of the time"
                parts.setdefault(name, []).append(text)
    return {name: ", ".join(parts[name]) for name in names if name in parts}
