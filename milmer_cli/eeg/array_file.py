"""EEG that is an array in a MATLAB file: a recording whose parts are the trials of the array.

The trials of an array are recorded without the time between them, so they are placed in one
recording with a gap between two trials. Filters leave out gaps, so each trial is filtered on its
own, while bad channels, line noise and eye artifacts are found in all trials together.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import mne
import numpy as np

from milmer_cli.eeg.array_layout import (
    ArrayLayout,
    ArrayTrial,
    EegArray,
    array_layout,
    file_version,
    with_trailing,
)
from milmer_cli.eeg.gaps import BETWEEN_TRIALS, NOT_FINITE
from milmer_cli.eeg.mat_file import read_mat_signals
from milmer_cli.eeg.units import UNITS, implied_type
from milmer_cli.errors import InputError


def open_array(path: Path, array: EegArray, *, header_only: bool = False) -> mne.io.BaseRaw:
    """Open all trials of an array as one recording, with a gap between two trials.

    Samples are read when they are needed; the last variable is kept in memory, as float32.

    Parameters
    ----------
    path
        The file.
    array
        The array; its trial does not matter.
    header_only
        Whether only the channels and the duration are needed. Otherwise, trials whose electrodes
        contain values that are not finite are marked as gaps.

    Raises
    ------
    InputError
        The file cannot be read, no array fits the axes and channels, or no trial is finite.
    """
    layout, sfreq_hz = array_layout(path, array), array.sfreq_hz
    if header_only:
        return _ArrayRaw(path, layout, array.recording)
    damaged = _not_finite(path, layout, array)
    raw = _ArrayRaw(path, layout, array.recording, damaged)
    ends = [trial.start + trial.length for trial in layout.trials.values()]
    starts = [trial.start for trial in layout.trials.values()]
    gaps = [(a, b, BETWEEN_TRIALS) for a, b in zip(ends[:-1], starts[1:], strict=True)]
    for indices in damaged:
        trial, name = layout.trials[indices], ",".join(map(str, indices))
        gaps.append((trial.start, trial.start + trial.length, f"{NOT_FINITE}{name}"))
    if gaps:
        onsets, stops, names = zip(*gaps, strict=True)
        durations = (np.array(stops) - onsets) / sfreq_hz
        annotations = mne.Annotations(np.array(onsets) / sfreq_hz, durations, names)
        raw.set_annotations(annotations, verbose="error")
    return raw


def _not_finite(path: Path, layout: ArrayLayout, array: EegArray) -> tuple[tuple[int, ...], ...]:
    """Return the trials whose electrodes contain values that are not finite."""
    electrodes = [implied_type(name) in ("eeg", "eog") for name in layout.channels]
    signals = _signals(*file_version(path), array.variable)
    damaged = tuple(
        indices
        for indices, trial in layout.trials.items()
        if not np.isfinite(_select(signals, trial, indices, array)[electrodes]).all()
    )
    if len(damaged) == len(layout.trials):
        raise InputError(
            f"{path}: every trial of {array.recording} contains values that are not finite.",
            "Export it again.",
        )
    return damaged


@lru_cache(maxsize=1)
def _signals(path: Path, size: int, mtime_ns: int, variable: str) -> dict[str, np.ndarray]:
    return read_mat_signals(path, variable)


def _select(
    signals: Mapping[str, np.ndarray],
    trial: ArrayTrial,
    indices: tuple[int, ...],
    array: EegArray,
) -> np.ndarray:
    """Return one trial: (n_channels, n_samples) float32 in the unit of the file."""
    values = signals[trial.element]
    values = values.reshape(with_trailing(values.shape, len(array.axes)), order="F")
    own = iter(indices if array.cell is None else indices[1:])
    selected = values[
        tuple(slice(None) if isinstance(a, str) else next(own) - 1 for a in array.axes)
    ]
    time_first = array.axes.index("time") < array.axes.index("channel")
    return selected.T if time_first else selected


class _ArrayRaw(mne.io.BaseRaw):
    """The trials of an array at their places, with zeros between them and in damaged trials."""

    def __init__(
        self,
        path: Path,
        layout: ArrayLayout,
        array: EegArray,
        damaged: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        info = mne.create_info(list(layout.channels), array.sfreq_hz, "eeg")
        info["description"] = str(array)  # two variables of a file differ in nothing else
        super().__init__(
            info,
            preload=False,
            raw_extras=[{"path": path, "layout": layout, "array": array, "damaged": damaged}],
            last_samps=[layout.n_samples - 1],
            filenames=[path],
            orig_units=dict.fromkeys(layout.channels, array.unit),
            verbose="error",
        )

    def _read_segment_file(
        self, data: np.ndarray, idx: Any, fi: int, start: int, stop: int, cals: Any, mult: Any
    ) -> None:
        """Read the samples from ``start`` to ``stop``; called by MNE."""
        extras = self._raw_extras[fi]
        layout, array = extras["layout"], extras["array"]
        signals = _signals(*file_version(extras["path"]), array.variable)
        data[:] = 0.0
        for indices, trial in layout.trials.items():
            first, last = max(start, trial.start), min(stop, trial.start + trial.length)
            if first < last and indices not in extras["damaged"]:
                part = _select(signals, trial, indices, array)[idx]
                data[:, first - start : last - start] = part[
                    :, first - trial.start : last - trial.start
                ]
        data *= cals * UNITS[array.unit]


def release_signals() -> None:
    """Free the memory of the variable that was read last."""
    _signals.cache_clear()
