"""The trials of an array in a MATLAB file: how they are named, and their places in a recording."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from milmer_cli.eeg.mat_file import ArrayInfo, Meta, describe_mat
from milmer_cli.errors import InputError, shorten

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
    return _layout(*file_version(path), array.recording)


def describe_variable(path: Path, variable: str) -> tuple[Meta, Mapping[str, ArrayInfo]]:
    """Return `mat_file.describe_mat` of one variable; it is kept until the file changes.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return _described(*file_version(path), variable)


def file_version(path: Path) -> tuple[Path, int, int]:
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
    shapes = {name: with_trailing(info.shape, len(array.axes)) for name, info in arrays.items()}
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


def with_trailing(shape: tuple[int, ...], n_axes: int) -> tuple[int, ...]:
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
