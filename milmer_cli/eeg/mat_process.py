"""The process that reads a MATLAB file for `mat_file`.

`main` is its code, so this module imports little.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.input_files import open_input
from milmer_cli.parallel import FAILED

_MAX_EXPANSION = 1100
"""Largest ratio of the size of an array to that of its compressed form (deflate reaches 1032)."""
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NUMBERS = (
    "double",
    "single",
    "logical",
    *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)),
)
"""MATLAB's classes of numbers."""

Meta = dict[str, Any]


def main() -> None:
    """Read the file that the command line names, and write its arrays to stdout."""
    path, request = Path(sys.argv[1]), json.loads(sys.argv[2])
    try:
        meta, arrays = _read(path, request)
        output = sys.stdout.buffer
        if request.get("describe"):
            output.write(json.dumps(meta | {"described": arrays}).encode())
            return
        output.write(json.dumps(meta | {"arrays": list(arrays)}).encode() + b"\n")
        for array in arrays.values():
            np.lib.format.write_array(output, array, (1, 0), allow_pickle=False)
    except MemoryError:
        _fail("it needs more memory than a file of its size can contain")
    except Exception as error:  # readers raise any type of exception on a damaged file
        _fail(" ".join(str(error).split()).rstrip(".") or type(error).__name__)


def _fail(reason: str) -> None:
    sys.stderr.write(f"\n{reason}\n")
    sys.exit(FAILED)


def _read(path: Path, request: Meta) -> tuple[Meta, dict[str, Any]]:
    with open_input(path) as file:
        start = file.read(520)
    if _HDF5_SIGNATURE in (start[:8], start[512:520]):
        return _read_hdf5(path, request)
    return _read_mat5(path, request)


def _finish(array: np.ndarray, request: Meta) -> Any:
    """Return what is requested of an array of numbers: its values, or those of `ArrayInfo`."""
    if not request.get("describe"):
        return array.astype(request.get("type", array.dtype), copy=False)
    if array.ndim != 2 or not array.size:
        return [list(array.shape)]
    values = array if array.shape[0] >= array.shape[1] else array.T
    finite = np.isfinite(values)
    counts = [int(count) for count in (~finite).sum(axis=0)]
    columns = [column[known] for column, known in zip(values.T, finite.T, strict=True)]
    deviations = [float(np.std(column)) if len(column) else 0.0 for column in columns]
    return [list(array.shape), counts, deviations]


# Versions 4 to 7, by SciPy ----------------------------------------------------------------------


def _read_mat5(path: Path, request: Meta) -> tuple[Meta, dict[str, Any]]:
    import scipy.io

    names = request["names"]
    _require_whole(path)
    variables = scipy.io.whosmat(path)
    for name, shape, _ in variables:
        _require_possible(math.prod(shape), path.stat().st_size, name)
    present = [name for name, _, _ in variables]
    if "EEG" not in names:
        described = {}
        if request.get("describe"):  # the shape of a cell is not that of its arrays
            described = {
                name: [list(shape)]
                for name, shape, kind in variables
                if name in names and kind in _NUMBERS
            }
        wanted = [name for name in names if name not in described]
        content, meta = _load_mat5(path, wanted, request)
        arrays, texts = _numbers(content, wanted, request)
        return {"variables": present, "texts": texts, **meta}, {**described, **arrays}
    content = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    fields = vars(content["EEG"]) if "EEG" in content else content
    data = fields.get("data")
    meta = {"variables": present, "fields": _scalars(fields)}
    if isinstance(data, str):
        meta["data_file"] = data
    return meta, {}


def _require_whole(path: Path) -> None:
    """Raise an error if a file of version 5 or 7 ends within a variable, even if it is not read."""
    size, position = path.stat().st_size, 128
    with open_input(path) as file:
        byte_order = {b"IM": "little", b"MI": "big"}.get(file.read(128)[126:])
        while byte_order and position < size:
            file.seek(position + 4)
            n_bytes = int.from_bytes(file.read(4), "little" if byte_order == "little" else "big")
            position += 8 + n_bytes
    if byte_order and position > size:
        raise ValueError(f"it is truncated: expected {position:,} bytes, got {size:,}")


def _load_mat5(path: Path, names: Sequence[str], request: Meta) -> tuple[dict[str, Any], Meta]:
    """Load variables; with more bytes than they should have only if the request allows it."""
    import scipy.io

    if not names:
        return {}, {}
    try:
        return scipy.io.loadmat(path, variable_names=list(names)), {}
    except ValueError as error:
        if not request.get("unverified") or "miCOMPRESSED" not in str(error):
            raise
    content = scipy.io.loadmat(
        path, variable_names=list(names), verify_compressed_data_integrity=False
    )
    return content, {"unverified": True}


def _numbers(
    content: Mapping[str, Any], names: Sequence[str], request: Meta
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arrays of numbers, and the texts in cells."""
    arrays: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for name in names:
        value = content.get(name)
        if not isinstance(value, np.ndarray):
            continue
        elements = {name: value}
        if value.dtype.kind == "O":  # a cell
            elements = {f"{name}{{{i}}}": own for i, own in enumerate(value.flatten(order="F"), 1)}
        for own, element in elements.items():
            if not isinstance(element, np.ndarray):
                continue
            if element.dtype.kind in "biuf":
                arrays[own] = _finish(element, request)
            elif element.dtype.kind == "U" and own != name:
                texts[own] = str(element.flat[0]) if element.size else ""
    return arrays, texts


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


def _read_hdf5(path: Path, request: Meta) -> tuple[Meta, dict[str, Any]]:
    import h5py

    names = request["names"]
    with h5py.File(path, "r") as file:
        present = [name for name in file if not name.startswith("#")]
        if "EEG" in names:
            group = _member(file, "EEG") if _has(file, "EEG") else file
            return _read_eeglab(file, group, present)
        arrays: dict[str, Any] = {}
        texts: dict[str, str] = {}
        for name in names:
            if _has(file, name):
                _read_variable(file, name, request, arrays, texts)
        return {"variables": present, "texts": texts}, arrays


def _read_variable(
    file: Any, name: str, request: Meta, arrays: dict[str, Any], texts: dict[str, str]
) -> None:
    """Add a variable of numbers, or those in a cell, to ``arrays``, and texts to ``texts``."""
    stored = _member(file, name)
    kind = stored.dtype.kind if hasattr(stored, "dtype") else ""
    if kind == "O":
        references = _checked(stored, name).T.flatten(order="F")
        for index, reference in enumerate(references, start=1):
            own, element = f"{name}{{{index}}}", file[reference]
            if getattr(element.dtype, "kind", "") not in ("b", "i", "u", "f"):
                continue
            value = _values(element, own)
            if element.attrs.get("MATLAB_class") == b"char":
                texts[own] = _text(value.T) if value.size else ""
            else:
                arrays[own] = _finish(value, request)
    elif kind in "biuf" and kind:
        if request.get("describe"):
            arrays[name] = [list(stored.shape[::-1])]
        else:
            arrays[name] = _finish(_array(file, name), request)


def _values(element: Any, name: str) -> np.ndarray:
    """Read an array in a cell, in MATLAB's order of dimensions; an empty one stores its shape."""
    array = _checked(element, name)
    if "MATLAB_empty" in element.attrs:
        return np.zeros((0, 0))
    return array.T


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
