"""DEAP's preprocessed arrays, from Matlab files and from Python 2 pickles that are not trusted.

Both hold the same numbers: ``data`` (trials, 40 channels, samples) at 128 Hz, the first 3 s before
the stimulus, and ``labels`` (trials, 4). Rows follow Experiment_id, not the order of presentation.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from milmer_cli.errors import InputError
from milmer_cli.recordings.ratings import Rated

SFREQ = 128.0
BASELINE_SAMPLES = 384
BASELINE_S = BASELINE_SAMPLES / SFREQ

_RATINGS_FILE = "participant_ratings.csv"
_COPY_AGAIN = "Copy or unpack the file again."


@dataclass(frozen=True)
class Preprocessed:
    """One participant's arrays.

    Attributes
    ----------
    data
        (n_trials, n_channels, n_samples) float64; rows 0-31 EEG in microvolts, 32 and 33 the eyes.
    labels
        (n_trials, 4) float64, in the order of `RATINGS`.
    """

    data: np.ndarray
    labels: np.ndarray

    @property
    def duration_s(self) -> float:
        """Length of every stimulus, in seconds."""
        return (self.data.shape[2] - BASELINE_SAMPLES) / SFREQ


def read_preprocessed(path: Path) -> Preprocessed:
    """Read a ``.dat`` or ``.mat`` file.

    Raises
    ------
    InputError
        The file is broken, hostile, or holds arrays of other shapes.
    """
    content = _read_dat(path) if path.suffix.lower() == ".dat" else _read_mat(path)
    arrays = []
    for key, ndim in (("data", 3), ("labels", 2)):
        value = content.get(key)
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.ndim != ndim:
            raise InputError(
                f"{path} holds no {key} array of numbers with {ndim} axes.", _COPY_AGAIN
            )
        arrays.append(value.astype(np.float64, copy=False))
    data, labels = arrays
    if data.shape[1] < 34 or data.shape[2] <= BASELINE_SAMPLES or labels.shape != (len(data), 4):
        raise InputError(
            f"{path} holds data {data.shape} and labels {labels.shape}; DEAP's are "
            "(40, 40, 8064) and (40, 4).",
            _COPY_AGAIN,
        )
    return Preprocessed(data, labels)


def check_labels(arrays: Preprocessed, rows: Mapping[int, Rated], path: Path) -> None:
    """Prove that row ``Experiment_id - 1`` is the trial that the ratings file says it is.

    Raises
    ------
    InputError
        A label differs from the rating of its trial by more than 0.01, or a row is missing.
    """
    for trial, row in rows.items():
        if row.stimulus > len(arrays.labels):
            raise InputError(
                f"{path} has {len(arrays.labels)} rows, and trial {trial} of the ratings file is "
                f"Experiment_id {row.stimulus}.",
                "Use the ratings file and the preprocessed files of one download.",
            )
        label = arrays.labels[row.stimulus - 1]
        rated = np.array(row.ratings)
        wrong = ~np.isnan(rated) & ~(np.abs(label - rated) <= 1e-2)
        if wrong.any():
            raise InputError(
                f"{path}, trial {trial} (Experiment_id {row.stimulus}): the file's labels "
                f"{_numbers(label)} are not the ratings {_numbers(rated)} of {_RATINGS_FILE}.",
                "EEG and ratings would be mispaired; use the files of one download, unchanged.",
            )


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _read_mat(path: Path) -> dict[str, object]:
    try:
        return scipy.io.loadmat(path, variable_names=["data", "labels"])
    except (OSError, ValueError, TypeError, NotImplementedError, EOFError, KeyError) as error:
        raise InputError(f"{path} cannot be read as a Matlab file: {error}", _COPY_AGAIN) from error


def _read_dat(path: Path) -> dict[object, object]:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except _HostileError as error:
        raise InputError(
            f"{path} asks to load {error}, which no DEAP file needs: it was refused and nothing "
            "of it was run.",
            "Get the file from DEAP's own server; delete this one.",
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
            f"{path} is not a whole DEAP .dat file ({type(error).__name__}).", _COPY_AGAIN
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no dictionary of arrays.", _COPY_AGAIN)
    return content


class _HostileError(Exception):
    """A pickle names something that no array needs; the text is its name."""


def _array_type(*arguments: object) -> np.ndarray:
    # stands for numpy.ndarray, which honest files only hand to _reconstruct and never call
    raise _HostileError("a call of numpy.ndarray")


def _empty_array(subtype: object, shape: object, dtype: object) -> np.ndarray:
    # what _reconstruct does; the content follows from the pickle through ndarray.__setstate__
    return np.ndarray((0,), np.uint8)


def _array_from_buffer(
    buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str
) -> np.ndarray:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding not in {"latin1", "latin-1"}:
        raise _HostileError(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


class _ArraysOnly(pickle.Unpickler):
    """Builds dictionaries, numbers, text and plain arrays, and nothing else.

    The names are those of numpy 1 and numpy 2; every callable behind them is ours or a numpy type.
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
            raise _HostileError(f"{module}.{name}")
        return allowed[module, name]
