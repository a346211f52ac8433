"""MATLAB files (.mat, and .set of EEGLAB) of any version, read in a process of its own.

SciPy's and HDF5's readers can crash, or allocate any amount of memory, on a file with one wrong
byte. The process that reads the file sends plain arrays to this one: one line of JSON, then arrays
in NumPy's format. `main` is the code of that process, so this module imports little.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input
from milmer_cli.parallel import FAILED, IsolatedError, run_isolated

_MEMORY_BYTES, _MEMORY_PER_BYTE = 3 * 2**29, 12
_TIMEOUT_S, _TIMEOUT_S_PER_BYTE = 25.0, 2e-7
_MAX_EXPANSION = 1100
"""Largest ratio of the size of an array to that of its compressed form (deflate reaches 1032)."""
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

Meta = dict[str, Any]


def read_mat(path: Path, names: Sequence[str]) -> tuple[Meta, dict[str, np.ndarray]]:
    """Read arrays of a MATLAB file of version 4 to 7.3.

    Parameters
    ----------
    path
        The file.
    names
        Variables to read, if the file has them. Of an ``EEG`` structure of EEGLAB, or its fields
        as variables: ``EEG``.

    Returns
    -------
    meta, arrays
        Names of all variables (``variables``), and the fields of the ``EEG`` structure that are not
        arrays; the arrays of numbers.

    Raises
    ------
    InputError
        The file is damaged, or asks for more memory than a file of its size can contain.
    """
    size = path.stat().st_size
    arguments = [str(path.absolute()), *names]
    memory_bytes = _MEMORY_BYTES + _MEMORY_PER_BYTE * size
    timeout_s = _TIMEOUT_S + _TIMEOUT_S_PER_BYTE * size
    try:
        output = run_isolated("milmer_cli.eeg.mat_file:main", arguments, memory_bytes, timeout_s)
    except IsolatedError as error:
        raise InputError(
            f"{path} cannot be read as a MATLAB file: {error}.", "Copy or unpack the file again."
        ) from error
    stream = io.BytesIO(output)
    meta: Meta = json.loads(stream.readline())
    arrays = {
        name: np.lib.format.read_array(stream, allow_pickle=False) for name in meta.pop("arrays")
    }
    return meta, arrays


def main() -> None:
    """Read the file that the command line names, and write its arrays to stdout."""
    path, *names = sys.argv[1:]
    try:
        meta, arrays = _read(Path(path), names)
        output = sys.stdout.buffer
        output.write(json.dumps(meta | {"arrays": list(arrays)}).encode() + b"\n")
        for array in arrays.values():
            np.lib.format.write_array(output, array, allow_pickle=False)
    except MemoryError:
        _fail("it needs more memory than a file of its size can contain")
    except Exception as error:  # readers raise any type of exception on a damaged file
        _fail(" ".join(str(error).split()).rstrip(".") or type(error).__name__)


def _fail(reason: str) -> None:
    sys.stderr.write(f"\n{reason}\n")
    sys.exit(FAILED)


def _read(path: Path, names: Sequence[str]) -> tuple[Meta, dict[str, np.ndarray]]:
    with open_input(path) as file:
        start = file.read(520)
    if _HDF5_SIGNATURE in (start[:8], start[512:520]):
        return _read_hdf5(path, names)
    return _read_mat5(path, names)


# Versions 4 to 7, by SciPy ----------------------------------------------------------------------


def _read_mat5(path: Path, names: Sequence[str]) -> tuple[Meta, dict[str, np.ndarray]]:
    import scipy.io

    variables = scipy.io.whosmat(path)
    for name, shape, _ in variables:
        _require_possible(math.prod(shape), path.stat().st_size, name)
    present = [name for name, _, _ in variables]
    if "EEG" not in names:
        content = scipy.io.loadmat(path, variable_names=list(names))
        return {"variables": present}, _numbers(content, names)
    content = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    fields = vars(content["EEG"]) if "EEG" in content else content
    data = fields.get("data")
    meta = {"variables": present, "fields": _scalars(fields)}
    if isinstance(data, str):
        meta["data_file"] = data
    return meta, {}


def _numbers(content: Mapping[str, Any], names: Sequence[str]) -> dict[str, np.ndarray]:
    arrays = {name: content[name] for name in names if isinstance(content.get(name), np.ndarray)}
    return {name: array for name, array in arrays.items() if array.dtype.kind in "biuf"}


def _scalars(fields: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: fields.get(name) for name in ("nbchan", "pnts", "trials", "srate")}
    return {
        name: float(value)
        for name, value in numbers.items()
        if isinstance(value, int | float | np.number)
    }


def _require_possible(n_values: int, stored_bytes: int, name: str) -> None:
    """Raise an error if an array cannot have been stored in this number of bytes."""
    if n_values > _MAX_EXPANSION * stored_bytes:
        raise ValueError(
            f"{name} has {n_values:,} values according to its header, which cannot be in "
            f"{stored_bytes:,} bytes"
        )


# Version 7.3, by h5py ---------------------------------------------------------------------------


def _read_hdf5(path: Path, names: Sequence[str]) -> tuple[Meta, dict[str, np.ndarray]]:
    import h5py

    with h5py.File(path, "r") as file:
        present = [name for name in file if not name.startswith("#")]
        if "EEG" not in names:
            arrays = {name: _array(file, name) for name in names if _has(file, name)}
            return {"variables": present}, _numbers(arrays, names)
        group = _member(file, "EEG") if _has(file, "EEG") else file
        return _read_eeglab(file, group, present)


def _read_eeglab(
    file: Any, group: Any, present: Sequence[str]
) -> tuple[Meta, dict[str, np.ndarray]]:
    """Read the fields of EEGLAB's structure that a recording needs."""
    fields = {name: float(_array(group, name).flat[0]) for name in ("nbchan", "pnts", "srate")}
    fields["trials"] = float(_array(group, "trials").flat[0]) if _has(group, "trials") else 1.0
    meta: Meta = {"variables": list(present), "fields": fields}
    meta["labels"] = [str(label) for label in _members(file, group, "chanlocs", "labels")]
    events = (_members(file, group, "event", name) for name in ("type", "latency", "duration"))
    types, latencies, durations = ([*values] for values in events)
    durations += [0.0] * (len(latencies) - len(durations))
    meta["events"] = [
        (_name(kind), float(latency), float(duration or 0.0))
        for kind, latency, duration in zip(types, latencies, durations, strict=False)
        if isinstance(latency, float)
    ]
    data = _array(group, "data")
    if data.dtype.kind == "u":  # text: the name of the file with the data
        return meta | {"data_file": _text(data)}, {}
    return meta, {"data": np.ascontiguousarray(data, dtype=np.float32)}


def _members(file: Any, group: Any, structure: str, name: str) -> Iterator[str | float]:
    """Yield a field of each element of a structure array; of one element it is stored itself."""
    if not _has(group, structure):
        return
    elements = _member(group, structure)
    if not hasattr(elements, "keys") or not _has(elements, name):
        return
    stored = _member(elements, name)
    references = _checked(stored, name).T.flat if stored.dtype.kind == "O" else None
    datasets = [stored] if references is None else [file[reference] for reference in references]
    for dataset in datasets:
        array = _checked(dataset, name)
        if not array.size or "MATLAB_empty" in dataset.attrs:
            yield ""
        elif array.dtype.kind == "u":
            yield _text(array)
        else:
            yield float(array.flat[0])


def _name(kind: str | float) -> str:
    return f"{kind:g}" if isinstance(kind, float) else kind


def _text(array: np.ndarray) -> str:
    return "".join(map(chr, array.T.flat if array.ndim == 1 else array.flatten().tolist()))


def _array(group: Any, name: str) -> np.ndarray:
    """Read an array in MATLAB's order of dimensions, which is the reverse of HDF5's."""
    return _checked(_member(group, name), name).T


def _member(group: Any, name: str) -> Any:
    """Return a group or dataset, unless it is a link."""
    if not _has(group, name):
        raise ValueError(f"{name} is missing")
    if not _is_internal(group, name):
        raise ValueError(f"{name} is a link to another file")
    return group[name]


def _checked(dataset: Any, name: str) -> np.ndarray:
    """Read a dataset whose values are in the file itself."""
    if not hasattr(dataset, "dtype"):
        raise ValueError(f"{name} is not an array")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name} is stored in another file")
    _require_possible(dataset.size, dataset.id.get_storage_size(), name)
    return np.asarray(dataset[()])


def _has(group: Any, name: str) -> bool:
    """Return whether a group has a member, without following links."""
    return bool(group.id.links.exists(name.encode()))


def _is_internal(group: Any, name: str) -> bool:
    import h5py

    link = group.id.links.get_info(name.encode())
    return bool(link.type == h5py.h5l.TYPE_HARD)
