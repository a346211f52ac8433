"""Write MATLAB files of version 5, 7 and 7.3 with arrays, texts and cells."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from milmer_cli.datasets.synthetic.preprocessed_writer import MAT_HEADER
from milmer_cli.io import atomic_path, atomic_write
from milmer_cli.partial_files import open_partial

Cell = Sequence[np.ndarray | str]
Variables = Mapping[str, np.ndarray | Cell]
COMPRESSED = 15
"""Type of a compressed element of a MATLAB 5 file (miCOMPRESSED)."""
USER_BLOCK = 512
"""Size of the header in front of the HDF5 part of a MATLAB 7.3 file."""


def write_mat5(
    path: Path, variables: Variables, *, compress: bool = False, surplus: bool = False
) -> None:
    """Write a file of version 5, or of version 7 if compressed; the header has no date.

    Parameters
    ----------
    path
        The file.
    variables
        Arrays, and cells as sequences of arrays and texts.
    compress
        Whether the elements are compressed.
    surplus
        Whether compressed elements contain more bytes than MATLAB reads, as in some files of
        AMIGOS; SciPy rejects them unless ``verify_compressed_data_integrity`` is False.
    """
    content = io.BytesIO()
    converted = {
        name: value if isinstance(value, np.ndarray) else _cell(value)
        for name, value in variables.items()
    }
    savemat(content, converted, format="5", do_compression=compress)
    written = MAT_HEADER + content.getvalue()[len(MAT_HEADER) :]
    atomic_write(path, b"".join(_with_surplus(written)) if surplus else written)


def _cell(values: Cell) -> np.ndarray:
    cell = np.empty((1, len(values)), dtype=object)
    for index, value in enumerate(values):
        cell[0, index] = value
    return cell


def _with_surplus(content: bytes) -> Iterator[bytes]:
    """Yield a compressed file with 16 more bytes in each of its elements."""
    position = 128
    yield content[:position]
    while position < len(content):
        kind, size = struct.unpack("<II", content[position : position + 8])
        element = content[position + 8 : position + 8 + size]
        if kind == COMPRESSED:
            element = zlib.compress(zlib.decompress(element) + bytes(16))
        yield struct.pack("<II", kind, len(element)) + element
        position += 8 + size


def write_mat73(path: Path, variables: Variables) -> None:
    """Write a file of version 7.3: HDF5 with reversed axes, and cells as references."""
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", userblock_size=USER_BLOCK) as file:
            for name, value in variables.items():
                if isinstance(value, np.ndarray):
                    _write_value(file, name, value)
                else:
                    _write_cell(file, name, value)
        with open_partial(temporary) as header:
            text = b"MATLAB 7.3 MAT-file, a demo data set of Milmer"
            header.write(text.ljust(124) + struct.pack("<H", 0x0200) + b"IM")


def _write_cell(file: h5py.File, name: str, values: Cell) -> None:
    references = np.empty((len(values), 1), dtype=h5py.ref_dtype)
    members = file.require_group("#refs#")
    for index, value in enumerate(values):
        references[index, 0] = _write_value(members, f"{name}{index}", value).ref
    dataset = file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
    dataset.attrs["MATLAB_class"] = np.bytes_("cell")


def _write_value(group: h5py.Group, name: str, value: np.ndarray | str) -> h5py.Dataset:
    if isinstance(value, str):
        codes = np.array([[ord(letter)] for letter in value], dtype=np.uint16)
        dataset = group.create_dataset(name, data=codes)
        dataset.attrs["MATLAB_class"] = np.bytes_("char")
        dataset.attrs["MATLAB_int_decode"] = np.int32(2)
    elif value.size:
        dataset = group.create_dataset(name, data=value.T)
        dataset.attrs["MATLAB_class"] = np.bytes_("double")
    else:  # an empty array is stored as its shape
        dataset = group.create_dataset(name, data=np.array(value.shape, dtype=np.uint64))
        dataset.attrs["MATLAB_class"] = np.bytes_("double")
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
    return dataset
