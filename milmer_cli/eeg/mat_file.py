"""MATLAB files (.mat, and .set of EEGLAB) of any version, read in a process of its own.

SciPy's and HDF5's readers can crash, or allocate any amount of memory, on a file with one wrong
byte. The process that reads the file (`mat_process`) sends plain arrays to this one: one line of
JSON, then arrays in NumPy's format.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.parallel import IsolatedError, run_isolated

_MEMORY_BYTES, _MEMORY_PER_BYTE = 3 * 2**29, 12
_TIMEOUT_S, _TIMEOUT_S_PER_BYTE = 25.0, 2e-7
_HEADER_BYTES = 4096
"""More than the header of an array in NumPy's format has."""

Meta = dict[str, Any]


@dataclass(frozen=True)
class ArrayInfo:
    """Properties of an array of a MATLAB file.

    Attributes
    ----------
    shape
        In MATLAB's order of dimensions.
    not_finite
        Number of values that are not finite, for each index of the shorter axis. Only of the
        arrays in a cell, which are read anyway; empty for others.
    deviations
        Standard deviation of the finite values, for each index of the shorter axis; as above.
    """

    shape: tuple[int, ...]
    not_finite: tuple[int, ...] = ()
    deviations: tuple[float, ...] = ()


def read_mat(
    path: Path, names: Sequence[str], *, unverified: bool = False
) -> tuple[Meta, dict[str, np.ndarray]]:
    """Read arrays of a MATLAB file of version 4 to 7.3.

    Parameters
    ----------
    path
        The file.
    names
        Variables to read, if the file has them. Of an ``EEG`` structure of EEGLAB, or its fields
        as variables: ``EEG``.
    unverified
        Whether compressed variables that contain more bytes than they should are read too (a part
        of AMIGOS); ``meta["unverified"]`` states that this was necessary.

    Returns
    -------
    meta, arrays
        Names of all variables (``variables``), and the fields of the ``EEG`` structure that are not
        arrays; the arrays of numbers. Arrays in a cell are named by their linear index from 1, such
        as ``joined_data{5}``; texts in a cell are in ``meta["texts"]``, by such names.

    Raises
    ------
    InputError
        The file is damaged, or asks for more memory than a file of its size can contain.
    """
    output = _run(path, {"names": list(names), "unverified": unverified})
    start = output.index(b"\n") + 1
    meta: Meta = json.loads(output[:start])
    arrays = {}
    for name in meta.pop("arrays"):
        array, start = _parse_array(output, start)
        arrays[name] = array.copy("K")  # writable, and `output` is freed
    return meta, arrays


def read_mat_signals(path: Path, name: str) -> dict[str, np.ndarray]:
    """Read one variable as float32, also from a file of `read_mat`'s ``unverified``.

    Returns
    -------
    dict
        As the arrays of `read_mat`; read-only.

    Raises
    ------
    InputError
        See `read_mat`.
    """
    request = {"names": [name], "unverified": True, "type": "float32"}
    output = _run(path, request)
    start = output.index(b"\n") + 1
    arrays = {}
    for own in json.loads(output[:start])["arrays"]:
        arrays[own], start = _parse_array(output, start)
    return arrays


def describe_mat(path: Path, names: Sequence[str]) -> tuple[Meta, dict[str, ArrayInfo]]:
    """Return the properties of arrays, with the names of `read_mat`, and its ``meta``.

    Only the arrays in cells are read for it.

    Raises
    ------
    InputError
        See `read_mat`.
    """
    output = _run(path, {"names": list(names), "unverified": True, "describe": True})
    meta: Meta = json.loads(output)
    described = meta.pop("described")
    return meta, {name: ArrayInfo(*map(tuple, values)) for name, values in described.items()}


def _run(path: Path, request: Mapping[str, Any]) -> bytes:
    """Run `main` in a process of its own, and return its output."""
    size = path.stat().st_size
    arguments = [str(path.absolute()), json.dumps(request)]
    memory_bytes = _MEMORY_BYTES + _MEMORY_PER_BYTE * size
    timeout_s = _TIMEOUT_S + _TIMEOUT_S_PER_BYTE * size
    try:
        return run_isolated("milmer_cli.eeg.mat_process:main", arguments, memory_bytes, timeout_s)
    except IsolatedError as error:
        raise InputError(
            f"{path} cannot be read as a MATLAB file: {error}.", "Copy or unpack the file again."
        ) from error


def _parse_array(output: bytes, start: int) -> tuple[np.ndarray, int]:
    """Return an array in NumPy's format without copying it, and the position of its end."""
    stream = io.BytesIO(output[start : start + _HEADER_BYTES])
    np.lib.format.read_magic(stream)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    first, count = start + stream.tell(), math.prod(shape)
    values = np.frombuffer(output, dtype, count, first) if count else np.empty(0, dtype)
    array = values.reshape(shape, order="F" if fortran_order else "C")
    return array, first + count * dtype.itemsize
