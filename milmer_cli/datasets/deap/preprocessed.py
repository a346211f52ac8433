"""DEAP's preprocessed arrays, from MATLAB files and from Python 2 pickles.

Both formats contain the same numbers: ``data`` (trials, 40 channels, samples) at 128 Hz, with 3 s
before the stimulus, and ``labels`` (trials, 4). Rows are in the order of Experiment_id, not in the
order of presentation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.datasets.deap.array_pickle import (
    PickledArray,
    UnsafePickleError,
    read_array_pickle,
)
from milmer_cli.datasets.deap.files import RATINGS_FILE
from milmer_cli.datasets.deap.ratings import RatedTrial
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.mat_file import read_mat
from milmer_cli.errors import InputError, shorten

SFREQ = 128.0
PASS_BAND_HZ = (4.0, 45.0)
"""Pass band of the files (Koelstra et al., 2012)."""
BASELINE_SAMPLES = 384
BASELINE_S = BASELINE_SAMPLES / SFREQ

_NAMES = ("data", "labels")
_MAX_DIMENSIONS = 4
_IMPOSSIBLE_UV = 1e9
_COPY_AGAIN = "Copy or unpack the file again."


@dataclass(frozen=True)
class PreprocessedArrays:
    """Arrays of one participant.

    Attributes
    ----------
    data
        (n_trials, n_channels, n_samples) float64, microvolts; channels 0-31 are EEG, 32 and 33 EOG.
    labels
        (n_trials, 4) float64, in the order of `RATINGS`.
    """

    data: np.ndarray
    labels: np.ndarray

    @property
    def duration_s(self) -> float:
        """Duration of every stimulus, in seconds."""
        return (self.data.shape[2] - BASELINE_SAMPLES) / SFREQ


def read_preprocessed(path: Path) -> PreprocessedArrays:
    """Read a ``.dat`` or ``.mat`` file.

    Raises
    ------
    InputError
        The file is damaged or malicious, or contains arrays of other shapes.
    """
    content = _read_dat(path) if path.suffix.lower() == ".dat" else _read_mat(path)
    arrays = []
    for key, ndim in (("data", 3), ("labels", 2)):
        value = content.get(key)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != ndim:
            raise InputError(
                f"{path}: expected an array {key} of numbers with {ndim} dimensions.", _COPY_AGAIN
            )
        arrays.append(np.ascontiguousarray(value, dtype=np.float64))
    data, labels = arrays
    if data.shape[1] < 34 or data.shape[2] <= BASELINE_SAMPLES or labels.shape != (len(data), 4):
        raise InputError(
            f"{path}: expected data of shape (40, 40, 8064) and labels (40, 4), got {data.shape} "
            f"and {labels.shape}.",
            _COPY_AGAIN,
        )
    return PreprocessedArrays(data, labels)


def check_labels(arrays: PreprocessedArrays, rows: Mapping[int, RatedTrial], path: Path) -> None:
    """Verify that row ``Experiment_id - 1`` is the trial that the ratings file states.

    Raises
    ------
    InputError
        A label and the rating of its trial differ by more than 0.01, or a row is missing.
    """
    for trial, row in rows.items():
        if row.stimulus > len(arrays.labels):
            raise InputError(
                f"{path} has {len(arrays.labels)} rows, but trial {trial} of the ratings file has "
                f"Experiment_id {row.stimulus}.",
                "Use the ratings file and the preprocessed files of one download.",
            )
        label = arrays.labels[row.stimulus - 1]
        rated = np.array(row.ratings)
        wrong = ~np.isnan(rated) & ~(np.abs(label - rated) <= 1e-2)
        if wrong.any():
            raise InputError(
                f"{path}, trial {trial} (Experiment_id {row.stimulus}): the file's labels "
                f"{_numbers(label)} are not the ratings {_numbers(rated)} of {RATINGS_FILE}.",
                "EEG and ratings would be of different trials: use the files of one download.",
            )


def damaged_trials(
    arrays: PreprocessedArrays, rows: Mapping[int, RatedTrial], path: Path
) -> dict[int, str]:
    """Return the trials whose EEG contains NaN or impossible values, with a sentence for each."""
    return {
        trial: f"{path.name}, trial {trial} of {path.stem} (Experiment_id {row.stimulus}): its EEG "
        "contains values that are not finite or no voltages, so the trial has no EEG."
        for trial, row in rows.items()
        if not (np.abs(arrays.data[row.stimulus - 1, : len(GENEVA)]) < _IMPOSSIBLE_UV).all()
    }


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _read_mat(path: Path) -> dict[str, np.ndarray]:
    meta, arrays = read_mat(path, _NAMES)
    if not arrays:
        raise InputError(
            f"{path} is not one of DEAP's MATLAB files: expected the variables data and labels, "
            f"got {shorten(meta['variables']) or 'none'}.",
            "Export other EEG as BDF, EDF, GDF, FIF, BrainVision or EEGLAB, and use a manifest.",
        )
    return arrays


def _read_dat(path: Path) -> dict[str, np.ndarray]:
    try:
        content = read_array_pickle(path)
    except UnsafePickleError as error:
        raise InputError(
            f"{path} refers to {error}, which no DEAP file needs. The file was not loaded and its "
            "code was not executed.",
            "Delete it and get the file from DEAP's server.",
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # a damaged pickle raises any type of exception
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{path} is not a complete DEAP .dat file ({reason}).", _COPY_AGAIN
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dictionary of arrays.", _COPY_AGAIN)
    plain = {k.decode("latin-1") if isinstance(k, bytes) else k: v for k, v in content.items()}
    size = path.stat().st_size
    return {
        name: _as_array(plain[name], size, f"{path}: {name}") for name in _NAMES if name in plain
    }


def _as_array(value: object, size: int, where: str) -> np.ndarray:
    """Convert nested lists of numbers to an array, unless it would be larger than the file."""
    if not isinstance(value, list | tuple):
        return np.asarray(value)
    shape: list[int] = []
    inner: Any = value
    while isinstance(inner, list | tuple) and len(shape) < _MAX_DIMENSIONS:
        shape.append(len(inner))
        inner = inner[0] if inner else None
    n_inner = inner.array.size if isinstance(inner, PickledArray) else 1
    if math.prod(shape) * n_inner > size:
        raise InputError(f"{where} has more values than the file has bytes.", _COPY_AGAIN)
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{where} is not an array of numbers.", _COPY_AGAIN) from error
