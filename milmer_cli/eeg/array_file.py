"""EEG that is an array in a MATLAB file: a recording whose parts are the trials of the array.

The trials of an array are recorded without the time between them, so they are placed in one
recording with a gap between two trials. Filters leave out gaps, so each trial is filtered on its
own, while bad channels, line noise and eye artifacts are found in all trials together.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import mne
import numpy as np

from milmer_cli.eeg.gaps import BETWEEN_TRIALS, NOT_FINITE
from milmer_cli.eeg.mat_file import ArrayInfo, Meta, describe_mat, read_mat_signals
from milmer_cli.eeg.units import UNITS, implied_type
from milmer_cli.errors import InputError
from milmer_cli.io import shorten

_PATTERN = re.compile(r"\s*([A-Za-z]\w*)\s*(?:\{\s*(\d+)\s*\})?\s*\(([^()]*)\)\s*")
_AXES = ("time", "channel")
_GAP_S, _MAX_TRIALS = 1.0, 10_000
_CHECK = "Check eeg_array: indices count from 1, as in MATLAB."


@dataclass(frozen=True)
class EegArray:
    """The array of one trial in a MATLAB file.

    Attributes
    ----------
    variable, cell
        Name of the variable; the linear index of the array in a cell, None if it is not a cell.
    axes
        Meaning of each dimension: ``time``, ``channel``, or the index of the trial. Indices count
        from 1. Index 0, and cell 0, stand for all of them (`recording`).
    sfreq_hz
        Sampling rate.
    channels
        Names of the channels in order; empty for 1, 2, ...
    unit
        Unit of the numbers: nV, uV, mV or V.
    """

    variable: str
    cell: int | None
    axes: tuple[str | int, ...]
    sfreq_hz: float
    channels: tuple[str, ...] = ()
    unit: str = "uV"

    @classmethod
    def parse(
        cls, text: str, sfreq_hz: float, channels: tuple[str, ...] = (), unit: str = "uV"
    ) -> Self:
        """Parse a variable with its axes in MATLAB's notation, as ``seg1(time,channel,17)``.

        Raises
        ------
        ValueError
            The text has another form.
        """
        match = _PATTERN.fullmatch(text)
        tokens = [token.strip().lower() for token in match[3].split(",")] if match else []
        known = all(token in _AXES or re.fullmatch(r"[1-9]\d{0,8}", token) for token in tokens)
        cell = int(match[2]) if match and match[2] else None
        if not match or not known or cell == 0 or any(tokens.count(axis) != 1 for axis in _AXES):
            raise ValueError(text)
        axes = tuple(token if token in _AXES else int(token) for token in tokens)
        return cls(match[1], cell, axes, sfreq_hz, channels, unit)

    def __str__(self) -> str:
        """Return the text that `parse` reads, with ``:`` for all indices."""
        cell = "" if self.cell is None else f"{{{self.cell or ':'}}}"
        return f"{self.variable}{cell}({','.join(str(axis or ':') for axis in self.axes)})"

    @property
    def recording(self) -> EegArray:
        """All trials of the array."""
        axes = tuple(axis if isinstance(axis, str) else 0 for axis in self.axes)
        return replace(self, cell=None if self.cell is None else 0, axes=axes)

    @property
    def trial(self) -> tuple[int, ...]:
        """Indices of the trial: that of the cell, then those of the axes."""
        indices = tuple(axis for axis in self.axes if isinstance(axis, int))
        return indices if self.cell is None else (self.cell, *indices)


@dataclass(frozen=True)
class ArrayTrial:
    """Place of a trial in the recording of its array.

    Attributes
    ----------
    element
        Name of the variable, or of the array in a cell, as in `mat_file.read_mat`.
    start, length
        First sample in the recording; number of samples.
    """

    element: str
    start: int
    length: int


@dataclass(frozen=True)
class ArrayLayout:
    """The trials of an array.

    Attributes
    ----------
    trials
        `EegArray.trial` -> its place, in the order of the indices.
    unusable
        `EegArray.trial` of the others -> why they are not part of the recording.
    channels
        Names of the channels.
    unverified
        Whether the file contains more bytes than it should (`mat_file.read_mat`).
    """

    trials: Mapping[tuple[int, ...], ArrayTrial]
    unusable: Mapping[tuple[int, ...], str]
    channels: tuple[str, ...]
    unverified: bool = False

    @property
    def n_samples(self) -> int:
        """Samples of the recording."""
        return max(trial.start + trial.length for trial in self.trials.values())


def find_trial(path: Path, array: EegArray) -> ArrayTrial:
    """Return the place of a trial in the recording of its array.

    Raises
    ------
    InputError
        The file cannot be read, or does not contain the trial.
    """
    layout = array_layout(path, array)
    if array.trial in layout.trials:
        return layout.trials[array.trial]
    reason = layout.unusable.get(array.trial)
    if reason is None:
        last = max((*layout.trials, *layout.unusable))
        indices = " x ".join(map(str, last)) or "no index"
        raise InputError(f"{path} does not contain {array}: the last trial is {indices}.", _CHECK)
    raise InputError(f"{path}: {array} cannot be used: {reason}.", _CHECK)


def array_layout(path: Path, array: EegArray) -> ArrayLayout:
    """Return the trials of an array, without reading them unless they are in a cell.

    Raises
    ------
    InputError
        The file cannot be read, or no array fits the axes and channels.
    """
    return _layout(*_version(path), array.recording)


def describe_variable(path: Path, variable: str) -> tuple[Meta, Mapping[str, ArrayInfo]]:
    """Return `mat_file.describe_mat` of one variable; it is kept until the file changes.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return _described(*_version(path), variable)


def release_signals() -> None:
    """Free the memory of the variable that was read last."""
    _signals.cache_clear()


def _version(path: Path) -> tuple[Path, int, int]:
    """Return what identifies a version of a file."""
    if not path.is_file():
        raise InputError(f"There is no EEG file {path}.", "Check the path.")
    stat = path.stat()
    return path.absolute(), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=512)
def _described(
    path: Path, size: int, mtime_ns: int, variable: str
) -> tuple[Meta, Mapping[str, ArrayInfo]]:
    return describe_mat(path, [variable])


@lru_cache(maxsize=512)
def _layout(path: Path, size: int, mtime_ns: int, array: EegArray) -> ArrayLayout:
    meta, arrays = _described(path, size, mtime_ns, array.variable)
    if not arrays or (array.variable in arrays) != (array.cell is None):
        kind = "array of numbers" if array.cell is None else "cell of arrays"
        raise InputError(
            f"{path} has no {kind} {array.variable}: its variables are "
            f"{shorten(meta['variables']) or 'none'}.",
            "Check eeg_array; an array in a cell is written as NAME{5}(time,channel).",
        )
    shapes = {name: _with_trailing(info.shape, len(array.axes)) for name, info in arrays.items()}
    channels = array.channels or _numbered(shapes.values(), array)
    trials: dict[tuple[int, ...], ArrayTrial] = {}
    unusable: dict[tuple[int, ...], str] = {}
    end = 0
    for name, shape in shapes.items():
        own = () if array.cell is None else (int(name[len(array.variable) + 1 : -1]),)
        if reason := _misfit(shape, array, channels):
            unusable[own] = reason
            continue
        length = shape[array.axes.index("time")]
        counts = [shape[i] for i, axis in enumerate(array.axes) if isinstance(axis, int)]
        for indices in itertools.product(*(range(1, count + 1) for count in counts)):
            # a start at a whole second is a sample at any rate to which the EEG is resampled
            start = round(math.ceil(end / array.sfreq_hz + _GAP_S * (end > 0)) * array.sfreq_hz)
            trials[(*own, *indices)] = ArrayTrial(name, start, length)
            end = start + length
    if not trials:
        reason = next(iter(unusable.values()))
        raise InputError(f"{path}: {array} cannot be used: {reason}.", _CHECK)
    return ArrayLayout(trials, unusable, channels, bool(meta.get("unverified")))


def _with_trailing(shape: tuple[int, ...], n_axes: int) -> tuple[int, ...]:
    """Add the dimensions of length 1 at the end that MATLAB does not store."""
    return (*shape, *(1 for _ in range(n_axes - len(shape))))


def _numbered(shapes: Any, array: EegArray) -> tuple[str, ...]:
    """Name the channels by number: as many as the first array that is not empty has."""
    axis = array.axes.index("channel")
    counts = (shape[axis] for shape in shapes if len(shape) == len(array.axes) and all(shape))
    return tuple(str(number) for number in range(1, next(counts, 0) + 1))


def _misfit(shape: tuple[int, ...], array: EegArray, channels: tuple[str, ...]) -> str:
    """Return why an array does not fit the axes and channels; empty if it does."""
    sizes = " x ".join(map(str, shape))
    if not all(shape):
        return f"it is empty ({sizes})"
    if len(shape) != len(array.axes):
        return f"expected {len(array.axes)} dimensions, got {len(shape)} ({sizes})"
    n_trials = math.prod(s for s, axis in zip(shape, array.axes, strict=True) if axis not in _AXES)
    if n_trials > _MAX_TRIALS:
        return f"expected at most {_MAX_TRIALS:,} trials, got {n_trials:,} ({sizes})"
    found = shape[array.axes.index("channel")]
    if found != len(channels):
        return (
            f"expected {len(channels)} channels, got {found} ({sizes}): the axes may be in "
            "another order"
        )
    return ""


# The recording ----------------------------------------------------------------------------------


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
    signals = _signals(*_version(path), array.variable)
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
    values = values.reshape(_with_trailing(values.shape, len(array.axes)), order="F")
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
        signals = _signals(*_version(extras["path"]), array.variable)
        data[:] = 0.0
        for indices, trial in layout.trials.items():
            first, last = max(start, trial.start), min(stop, trial.start + trial.length)
            if first < last and indices not in extras["damaged"]:
                part = _select(signals, trial, indices, array)[idx]
                data[:, first - start : last - start] = part[
                    :, first - trial.start : last - trial.start
                ]
        data *= cals * UNITS[array.unit]
