"""Facts about arrays of EEG that no document states: measured, and reported as findings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from milmer_cli.eeg.amplitude import TYPICAL_UV
from milmer_cli.eeg.array_file import release_signals
from milmer_cli.eeg.array_layout import EegArray, array_layout
from milmer_cli.eeg.io import ReadOptions, open_eeg
from milmer_cli.eeg.units import UNITS
from milmer_cli.errors import InputError
from milmer_cli.video.probe import probe_video

_MOST_TRIALS = 20
_CONTIGUOUS_RATIO = 3.0
"""A step between two trials is larger than this multiple of the steps within if time is missing."""


def unit_finding(deviation: float, unit: str, stated: bool, period: str = "second") -> str:
    """Return a sentence about the unit of an array.

    Parameters
    ----------
    deviation
        Typical standard deviation of an electrode, in the unit of the file.
    unit
        nV, uV, mV or V.
    stated
        Whether the user states the unit.
    period
        In which the standard deviation was measured, for the message.
    """
    value_uv, (low, high) = deviation * UNITS[unit] * 1e6, TYPICAL_UV
    plausible = "as scalp EEG has" if low <= value_uv <= high else "which scalp EEG does not have"
    source = "The user states" if stated else "The unit of the EEG is not documented: it is read as"
    return (
        f"{source} {unit}; the standard deviation within a {period} is then {value_uv:.3g} "
        f"microvolts, {plausible}. --eeg-unit states another unit."
    )


def measure_array(path: Path, array: EegArray) -> tuple[float, float]:
    """Measure the first trials of an array.

    Returns
    -------
    deviation, step_ratio
        Median over electrodes and seconds of the standard deviation, in the unit of the file; the
        median step from the last sample of a trial to the first of the next one, divided by that
        between neighboring samples within trials (NaN with one trial).

    Raises
    ------
    InputError
        The file cannot be read.
    """
    raw = open_eeg(path, ReadOptions(array=array))
    trials = list(array_layout(path, array).trials.values())[:_MOST_TRIALS]
    second = max(1, round(array.sfreq_hz))
    deviations, steps, jumps = [], [], []
    previous = None
    for trial in trials:
        data = raw.get_data(picks="eeg", start=trial.start, stop=trial.start + trial.length)
        data = data / UNITS[array.unit]
        whole = data[:, : data.shape[1] // second * second]
        deviations.append(whole.reshape(len(data), -1, second).std(axis=2).ravel())
        steps.append(np.abs(np.diff(data, axis=1)).ravel())
        if previous is not None:
            jumps.append(np.abs(data[:, 0] - previous))
        previous = data[:, -1]
    step = float(np.median(np.concatenate(steps)))
    ratio = float(np.median(np.concatenate(jumps))) / step if jumps and step else np.nan
    release_signals()
    seconds = np.concatenate(deviations)
    return float(np.median(seconds)) if len(seconds) else np.nan, ratio


def video_finding(path: Path) -> str:
    """Return a sentence about the size and rate of a video; empty if it cannot be opened."""
    try:
        found = probe_video(path)
    except InputError:  # the check of the videos reports it
        return ""
    width, height = found.size
    return f"{path.name} has {found.fps:g} frames per second of {width} x {height} pixels."


def contiguity_finding(step_ratio: float) -> str:
    """Return a sentence on whether trials follow each other without a gap."""
    seem = "seem" if step_ratio < _CONTIGUOUS_RATIO else "do not seem"
    return (
        f"The trials of the array {seem} to be contiguous (the step between two trials is "
        f"{step_ratio:.1f} times that within a trial); each trial is filtered on its own."
    )
