"""Interpolation of bad channels in time windows, and an average reference without them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from milmer_cli.eeg.bad_channels import BadWindows, window_edges
from milmer_cli.eeg.splines import SphericalSplines
from milmer_cli.errors import shorten

MAX_BAD_FRACTION = 0.25
"""If a larger fraction of the channels is bad, the others are too few to interpolate from."""

_BLEND_S = 0.25
"""Duration of the transition between two sets of bad channels."""

_MOST = 0.5
"""Part of the recording with too many bad channels from which a warning is issued."""


def _repair_map(bad: np.ndarray, splines: SphericalSplines | None) -> np.ndarray:
    """Return the map from the channels to the repaired channels and, last, the average reference.

    (n_channels + 1, n_channels) of (n_channels,) bool; without splines nothing is interpolated.
    """
    if splines is None or not bad.any():
        return np.vstack([np.eye(len(bad)), ~bad / max(1, np.sum(~bad))])
    repaired = np.where(bad[:, None], splines.weights(~bad), np.eye(len(bad)))
    return np.vstack([repaired, repaired.mean(axis=0)])


def repair_channels(
    data: np.ndarray,
    bad: np.ndarray,
    sfreq: float,
    splines: SphericalSplines | None,
    max_bad: float = MAX_BAD_FRACTION,
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate bad channels in place, and return the average reference.

    The average is that of all channels after interpolation. In windows in which more than
    ``max_bad`` of the channels are bad, nothing is interpolated, and the average is that of the
    good channels.

    Where the set of bad channels changes, the interpolation begins and ends gradually, within the
    0.25 s of the good windows. So it makes no step, and uses no bad sample. The average changes at
    once, by 1 / n_channels of the error of the interpolation.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts.
    bad
        (n_channels, n_windows) bool; windows of `bad_channels.window_edges`.
    sfreq
        Sampling rate, in Hz.
    splines
        Splines through the electrodes; None to keep the bad channels.
    max_bad
        Largest fraction of bad channels with which channels are interpolated.

    Returns
    -------
    average, interpolated
        (n_samples,) microvolts; (n_channels, n_windows) bool.
    """
    edges = window_edges(data.shape[1], sfreq)
    possible = (bad.mean(axis=0) <= max_bad) & (splines is not None)
    average = np.empty(data.shape[1])
    changes = np.flatnonzero((bad[:, 1:] != bad[:, :-1]).any(axis=0)) + 1
    starts = [0, *changes, bad.shape[1]]
    ramp = np.hanning(2 * math.ceil(_BLEND_S * sfreq) + 1)[1 : math.ceil(_BLEND_S * sfreq) + 1]
    for first, end in pairwise(starts):
        samples = slice(edges[first], edges[end])
        signals = data[:, samples]
        repaired = _repair_map(bad[:, first], splines if possible[first] else None) @ signals
        for neighbor, part, weight in (
            (first - 1, slice(0, len(ramp)), ramp[::-1]),
            (end, slice(-len(ramp), None), ramp),
        ):
            if not 0 <= neighbor < bad.shape[1] or not (bad[:, neighbor] > bad[:, first]).any():
                continue
            both = bad[:, neighbor] | bad[:, first]
            usable = splines if possible[neighbor] or possible[first] else None
            other = _repair_map(both, usable) @ signals[:, part]
            repaired[:-1, part] += weight * (other[:-1] - repaired[:-1, part])
        data[:, samples], average[samples] = repaired[:-1], repaired[-1]
    return average, bad & possible


def _listed(channels: Sequence[str], reasons: Mapping[str, str]) -> str:
    return shorten([f"{name} ({reasons[name]})" for name in channels], separator="; ")


def bad_channel_messages(
    found: BadWindows, interpolated: np.ndarray, names: Sequence[str], located: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the notes and the warnings about bad channels.

    Parameters
    ----------
    found
        The bad channels.
    interpolated
        (n_channels, n_windows) bool: the part of them that was interpolated.
    names
        Channel names.
    located
        Whether the positions of the electrodes are known.
    """
    kept = "{count} channels are bad and were kept: {listed}."
    if not located:
        kept = "Bad channels were kept, as electrode positions are not known: {listed}."
    notes = [
        message.format(
            count=f"{len(channels)} of {len(names)}", listed=_listed(channels, found.reasons)
        )
        for windows, message in (
            (interpolated, "Interpolated bad channels: {listed}."),
            (found.bad & ~interpolated, kept),
        )
        if (channels := [name for name, row in zip(names, windows, strict=True) if row.any()])
    ]
    unusable = (found.bad.mean(axis=0) > MAX_BAD_FRACTION).mean()
    if unusable < _MOST:
        return tuple(notes), ()
    warning = (
        f"For {unusable:.0%} of the recording more than {MAX_BAD_FRACTION:.0%} of the channels are "
        f"bad ({found.bad.mean():.0%} on average); bad channels were not interpolated there. "
        "Inspect the recording."
    )
    return tuple(notes), (warning.replace("%", " %"),)
