"""Eye artifacts in filtered EEG: removal with EOG channels or frontal electrodes.

All functions work on arrays of microvolts, (n_channels, n_samples).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from milmer_cli.eeg.amplitude import MIN_AMPLITUDE_UV, robust_std
from milmer_cli.eeg.channels import canonical_name
from milmer_cli.eeg.ica import has_positions, remove_components
from milmer_cli.settings.schema import EegSettings

NO_EOG_NOTE = "The recording has no EOG channel, so eye artifacts were not removed."
_TOO_SHORT_NOTE = f"{NO_EOG_NOTE} The recording is too short to separate them otherwise."
_TOO_SHORT_FOR_ICLABEL = "The recording is too short for ICLabel: eye artifacts were not removed."

FRONTAL = ("Fpz", "Fp1", "Fp2", "AF7", "AF8", "AF3", "AF4")
"""Electrodes that record blinks. Their mean is used if there is no EOG channel."""

_FRONTAL = {name.lower() for name in FRONTAL}

_SAMPLES_PER_WEIGHT = 20
"""Independent component analysis needs this number of samples for each weight of its matrix."""

_WINDOW_S, _BLEND_S = 1.0, 0.25
_LOOSE_RATIO, _LOOSE_R2 = 10.0, 0.3
"""While an EOG electrode is loose, its amplitude is above this multiple of the median window's, and
no EEG channel shares more than this part of its variance with it. A blink can be as large, but it
is most of the frontal channels' variance; a saccade is a smaller part of it, but not as large."""


EogMethod = Literal["none", "eog_regression", "eog_components", "frontal_components", "icalabel"]
"""Regression on EOG channels; or independent components that follow EOG channels, that follow the
`FRONTAL` electrodes, or that ICLabel classifies as blinks."""


@dataclass(frozen=True)
class EogRemoval:
    """Result of `remove_eog`.

    Attributes
    ----------
    components
        Independent components that were removed.
    variance
        Share of the variance that was removed: the sum over the `FRONTAL` electrodes (over all
        channels if there are none) of the variance of the removed signal, divided by the sum of
        their variances before. None if eye artifacts could not be searched for.
    notes
        One sentence per finding.
    method
        How eye artifacts were found; ``none`` if they were not removed.
    """

    components: tuple[int, ...] = ()
    variance: float | None = None
    notes: tuple[str, ...] = ()
    method: EogMethod = "none"


def remove_eog(
    data: np.ndarray, eog: np.ndarray, settings: EegSettings, rank: int, names: Sequence[str]
) -> EogRemoval:
    """Remove eye artifacts from average-referenced EEG, in place.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts, filtered and resampled to ``sfreq_hz``.
    eog
        (n_eog, n_samples), microvolts, with the same filter; may have no rows.
    settings
        Section ``eeg``. ``eog_correction`` is the method: ``regression`` subtracts each EOG signal
        times its least-squares weight in each channel, except while an EOG electrode is loose
        (`loose_windows`), which the weights do not use; ``ica`` removes the independent components
        that correlate with an EOG signal, or with the mean of the `FRONTAL` electrodes if there is
        none; ``icalabel`` removes those that the network ICLabel classifies as eye blinks, and uses
        no EOG signal; ``auto`` is regression with EOG signals and ica without.
    rank
        Rank of ``data``: number of channels, minus one for the average reference, minus the number
        of interpolated channels.
    names
        Names of the channels.

    Raises
    ------
    InputError
        ``icalabel`` is not installed.
    """
    connected = [signal for signal in eog if robust_std(signal) >= MIN_AMPLITUDE_UV]
    eyes = np.array(connected).reshape(len(connected), data.shape[1])
    eyes -= eyes.mean(axis=1, keepdims=True)
    frontal = [row for row, name in enumerate(names) if canonical_name(name) in _FRONTAL]
    by_regression = len(eyes) > 0 and settings.eog_correction in ("auto", "regression")
    reason = "" if by_regression else _not_removable(data, eyes, settings, rank, names, frontal)
    if reason:
        return EogRemoval(notes=(reason,))
    before = data[frontal or slice(None)].copy()
    components: tuple[int, ...] = ()
    if by_regression:
        method = f"Eye artifacts: regression on {len(eyes)} EOG channel{'s' * (len(eyes) > 1)}"
        notes = _regress(data, eyes, settings.sfreq_hz)
    else:
        method, signals = _component_method(data, eyes, settings, frontal, names)
        components, notes = remove_components(data, signals, settings, rank, names, len(eyes) > 0)
    removed = before - data[frontal or slice(None)]
    variance = float(removed.var(axis=1).sum() / max(before.var(axis=1).sum(), 1e-12))
    where = ", ".join(names[row] for row in frontal) or "all channels"
    summary = f"{method}, {100 * variance:.0f} % of the variance at {where} removed."
    return EogRemoval(
        components, variance, (summary, *notes), _method(by_regression, eyes, settings)
    )


def _method(by_regression: bool, eyes: np.ndarray, settings: EegSettings) -> EogMethod:
    if by_regression:
        return "eog_regression"
    if settings.eog_correction == "icalabel":
        return "icalabel"
    return "eog_components" if len(eyes) else "frontal_components"


def _component_method(
    data: np.ndarray,
    eyes: np.ndarray,
    settings: EegSettings,
    frontal: list[int],
    names: Sequence[str],
) -> tuple[str, np.ndarray]:
    """Describe how independent components are selected, and return the signals to compare with."""
    if settings.eog_correction == "icalabel":
        return "Eye artifacts: independent components that ICLabel classifies as blinks", eyes
    if len(eyes):
        return "Eye artifacts: independent components that follow EOG channels", eyes
    listed = ", ".join(names[row] for row in frontal)
    proxy = data[frontal].mean(axis=0, keepdims=True)
    return f"Without an EOG channel, eye artifacts were found with {listed}", proxy


def _not_removable(
    data: np.ndarray,
    eyes: np.ndarray,
    settings: EegSettings,
    rank: int,
    names: Sequence[str],
    frontal: Sequence[int],
) -> str:
    """Return a sentence if independent components cannot be used, else ""."""
    too_short = data.shape[1] < _SAMPLES_PER_WEIGHT * rank**2
    if settings.eog_correction == "icalabel":
        if rank < 2 or not has_positions(names):
            return (
                "ICLabel needs electrodes of the 10-05 system, so eye artifacts were not removed."
            )
        return _TOO_SHORT_FOR_ICLABEL if too_short else ""
    if settings.eog_correction == "ica" and len(eyes):
        return ""
    if settings.eog_correction == "regression" or not frontal or rank < 2:
        return NO_EOG_NOTE
    return _TOO_SHORT_NOTE if too_short else ""


def loose_windows(data: np.ndarray, eog: np.ndarray, sfreq: float) -> np.ndarray:
    """Find the seconds in which an EOG electrode is loose.

    Parameters
    ----------
    data, eog
        (n_channels, n_samples) and (n_eog, n_samples), microvolts, filtered.
    sfreq
        Sampling rate, in Hz.

    Returns
    -------
    ndarray, shape (n_windows,), bool
        One value per second; the rest of the last second is not judged.
    """
    length = round(_WINDOW_S * sfreq)
    n_windows = data.shape[1] // length
    if not n_windows:
        return np.zeros(0, dtype=bool)
    eyes, brain = (
        signals[:, : n_windows * length].reshape(len(signals), n_windows, length)
        for signals in (eog, data)
    )
    eyes, brain = (x - x.mean(axis=2, keepdims=True) for x in (eyes, brain))
    energy, brain_energy = np.square(eyes).sum(axis=2), np.square(brain).sum(axis=2)
    products = np.einsum("ewt,cwt->ecw", eyes, brain)
    shared = products**2 / np.maximum(energy[:, None] * brain_energy, 1e-12)
    large = energy > _LOOSE_RATIO**2 * np.median(energy, axis=1, keepdims=True)
    loose: np.ndarray = np.any(large & (shared.max(axis=1) < _LOOSE_R2), axis=0)
    return loose


def _regress(data: np.ndarray, eog: np.ndarray, sfreq: float) -> tuple[str, ...]:
    """Subtract the EOG signals times their least-squares weights, in place; return notes."""
    loose = loose_windows(data, eog, sfreq)
    length = round(_WINDOW_S * sfreq)
    connected = np.ones(data.shape[1])
    connected[: len(loose) * length] = np.repeat(~loose, length)
    used = eog[:, connected > 0]
    weights = np.linalg.lstsq(used @ used.T, used @ data[:, connected > 0].T, rcond=None)[0].T
    notes: tuple[str, ...] = ()
    if loose.any():
        notes = (
            f"An EOG electrode was loose for {loose.sum():.0f} of {len(loose)} s, in which eye "
            "artifacts were not removed.",
        )
        # a gradual change, so that the correction does not begin and end with a step
        kernel = np.hanning(2 * round(_BLEND_S * sfreq) + 1)
        blended = np.convolve(np.pad(connected, len(kernel) // 2, "edge"), kernel, "valid")
        eog = eog * np.minimum(connected, blended / kernel.sum())
    for signal, weight in zip(data, weights, strict=True):
        signal -= weight @ eog
    return notes
