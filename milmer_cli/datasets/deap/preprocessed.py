"""DEAP's preprocessed arrays, from MATLAB files and from Python 2 pickles.

Both formats contain the same numbers: ``data`` (trials, 40 channels, samples) at 128 Hz, with 3 s
before the stimulus, and ``labels`` (trials, 4). Rows are in the order of Experiment_id, not in the
order of presentation. A pickle can execute code, so the pickles are read by a restricted unpickler.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from milmer_cli.datasets.deap.files import RATINGS_FILE
from milmer_cli.datasets.deap.ratings import RatedTrial
from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input

SFREQ = 128.0
PASS_BAND_HZ = (4.0, 45.0)
"""Pass band of the files (Koelstra et al., 2012)."""
BASELINE_SAMPLES = 384
BASELINE_S = BASELINE_SAMPLES / SFREQ


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
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.ndim != ndim:
            raise InputError(
                f"{path}: expected an array {key} of numbers with {ndim} dimensions.", _COPY_AGAIN
            )
        arrays.append(value.astype(np.float64, copy=False))
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


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _read_mat(path: Path) -> dict[str, object]:
    try:
        with open_input(path) as file:
            return scipy.io.loadmat(file, variable_names=["data", "labels"])
    except (OSError, ValueError, TypeError, NotImplementedError, EOFError, KeyError) as error:
        raise InputError(f"{path} cannot be read as a MATLAB file: {error}", _COPY_AGAIN) from error


def _read_dat(path: Path) -> dict[object, object]:
    try:
        with open_input(path) as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except _UnsafePickleError as error:
        raise InputError(
            f"{path} refers to {error}, which no DEAP file needs. The file was not loaded and its "
            "code was not executed.",
            "Delete it and get the file from DEAP's server.",
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:
        raise InputError(
            f"{path} is not a complete DEAP .dat file ({type(error).__name__}).", _COPY_AGAIN
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dictionary of arrays.", _COPY_AGAIN)
    return content


class _UnsafePickleError(Exception):
    """A pickle refers to a global that arrays do not need; the text names it."""


def _array_type(*arguments: object) -> np.ndarray:
    # stands for numpy.ndarray, which DEAP's files pass to _reconstruct and do not call
    raise _UnsafePickleError("a call of numpy.ndarray")


def _empty_array(subtype: object, shape: object, dtype: object) -> np.ndarray:
    # like numpy's _reconstruct; the pickle then sets the content through ndarray.__setstate__
    return np.ndarray((0,), np.uint8)


def _array_from_buffer(
    buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str
) -> np.ndarray:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding not in {"latin1", "latin-1"}:
        raise _UnsafePickleError(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler of dictionaries, numbers, text and plain arrays only.

    It accepts the names of NumPy 1 and NumPy 2; each maps to a function of this module or to
    ``numpy.dtype``.
    """

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        allowed: dict[tuple[str, str], Callable[..., object]] = {
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("numpy.core.numeric", "_frombuffer"): _array_from_buffer,
            ("numpy._core.numeric", "_frombuffer"): _array_from_buffer,
            ("numpy", "ndarray"): _array_type,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin1,
        }
        if (module, name) not in allowed:
            raise _UnsafePickleError(f"{module}.{name}")
        return allowed[module, name]
