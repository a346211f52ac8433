"""Are these microvolts of EEG? Values of another unit are named, not passed on."""

from __future__ import annotations

import numpy as np

from milmer_cli.errors import InputError

_POSSIBLE_UV = (0.02, 1000.0)
_USUAL_UV = (0.5, 150.0)


def check_amplitude(data: np.ndarray, where: str) -> None:
    """Refuse filtered EEG of a size that no EEG has.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts by the file's header.
    where
        What to call the recording in a message.

    Raises
    ------
    InputError
        With the unit that it looks like.
    """
    typical = _typical(data)
    if not np.isfinite(typical):
        raise InputError(f"{where} holds EEG values that are not numbers.", "Export it again.")
    low, high = _POSSIBLE_UV
    if typical > high or 0.0 < typical < low:
        raise InputError(
            f"The EEG of {where} is typically {typical:.3g} microvolts after filtering, "
            f"which no EEG is ({low:g} to {high:g}): {_likely_unit(typical)}.",
            "Its header probably names the wrong unit: export it again with the right one.",
        )


def doubt(data: np.ndarray) -> str:
    """Say what is odd about the size of EEG that `check_amplitude` lets pass; empty if nothing."""
    typical, (low, high) = _typical(data), _USUAL_UV
    if typical == 0 or low <= typical <= high:
        return ""
    otherwise = "it is nearly all artefact" if typical > high else "hardly anything was connected"
    return (
        f"The EEG is typically {typical:.3g} microvolts after filtering, where EEG from the scalp "
        f"has {low:g} to {high:g}: {_likely_unit(typical)}, or {otherwise}."
    )


def _typical(data: np.ndarray) -> float:
    return float(np.median(1.4826 * np.median(np.abs(data), axis=1)))


def _likely_unit(typical: float) -> str:
    """Say what values of an impossible size look like."""
    for factor, words in (
        (1e6, "it looks like volts under a header that says microvolts"),
        (1e3, "it looks like millivolts under a header that says microvolts"),
        (1e-6, "it looks like microvolts under a header that says volts, or none"),
        (1e-3, "it looks like microvolts under a header that says millivolts"),
    ):
        if 2.0 <= typical * factor <= 200.0:
            return words
    return "it looks like bare counts of the recorder's converter (ADC)"
