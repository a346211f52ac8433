"""Amplitude of a channel; checks that it can be microvolts of EEG, and not another unit."""

from __future__ import annotations

import numpy as np

from milmer_cli.errors import InputError

MIN_AMPLITUDE_UV = 0.5
"""Amplitude below which a channel is not connected."""

_POSSIBLE_UV = (0.02, 1000.0)
TYPICAL_UV = (0.5, 150.0)
_REFERENCE_UV = 10.0


def check_amplitude(data: np.ndarray, where: str) -> None:
    """Raise an error if filtered EEG has an amplitude that EEG cannot have.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts according to the header of the file.
    where
        Name of the recording for the message.

    Raises
    ------
    InputError
        The amplitude is not finite or impossible; the message names the probable unit.
    """
    amplitude = _median_amplitude(data)
    if not np.isfinite(amplitude):
        raise InputError(f"{where} contains EEG values that are not finite.", "Export it again.")
    low, high = _POSSIBLE_UV
    if amplitude > high or 0.0 < amplitude < low:
        raise InputError(
            f"The EEG of {where} has an amplitude of {amplitude:.3g} microvolts after filtering, "
            f"expected {low:g} to {high:g}: {_probable_unit(amplitude)}.",
            "The file header probably names the wrong unit: export it again with the right one.",
        )


def amplitude_warning(data: np.ndarray) -> str:
    """Return a sentence if the amplitude is possible but unusual for scalp EEG, else ""."""
    amplitude, (low, high) = _median_amplitude(data), TYPICAL_UV
    if amplitude == 0 or low <= amplitude <= high:
        return ""
    alternative = "it is mostly artifact" if amplitude > high else "few electrodes were connected"
    return (
        f"The EEG has an amplitude of {amplitude:.3g} microvolts after filtering; scalp EEG "
        f"usually has {low:g} to {high:g}: {_probable_unit(amplitude)}, or {alternative}."
    )


def recording_gain(segments: np.ndarray) -> float:
    """Return the factor that brings the EEG of a recording to an amplitude of 10 microvolts.

    The factor is common to all channels and segments, so ratios between them remain.

    Parameters
    ----------
    segments
        (n_segments, n_channels, n_samples), microvolts. The median over all channels and segments
        is used, so bad channels hardly change it.
    """
    amplitude = _median_amplitude(segments.reshape(-1, segments.shape[-1]))
    return _REFERENCE_UV / amplitude if amplitude > 0 else 1.0


def robust_std(signal: np.ndarray) -> float:
    """Estimate the standard deviation of a signal around 0; bursts hardly change it."""
    return 1.4826 * float(np.median(np.abs(signal)))


def _median_amplitude(data: np.ndarray) -> float:
    """Median over channels of the robust standard deviation (1.4826 times the median |value|)."""
    return float(np.median(1.4826 * np.median(np.abs(data), axis=1)))


def _probable_unit(amplitude: float) -> str:
    """Name the unit whose conversion to microvolts would give a plausible amplitude."""
    for factor, description in (
        (1e6, "it is probably volts under a header that states microvolts"),
        (1e3, "it is probably millivolts under a header that states microvolts"),
        (1e-6, "it is probably microvolts under a header that states volts, or no unit"),
        (1e-3, "it is probably microvolts under a header that states millivolts"),
    ):
        if 2.0 <= amplitude * factor <= 200.0:
            return description
    return "it is probably unscaled counts of the analog-to-digital converter"
