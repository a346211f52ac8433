"""Whether a downloaded file of weights is complete, for files without a published checksum."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch

from milmer_cli.errors import WeightsError
from milmer_cli.input_files import open_input, read_input

_GRAPH_FIELD = 7
"""Number of the field ``graph`` of an ONNX model."""
_LENGTH_DELIMITED = 2


def require_complete(path: Path, name: str, url: str) -> None:
    """Read a file of weights once.

    Parameters
    ----------
    path
        The file.
    name
        Its final name, whose ending is the format: ``.pth``, ``.npy`` or ``.onnx``.
    url
        Where it comes from; named in the message.

    Raises
    ------
    WeightsError
        The file is not of this format, or only the beginning of one.
    """
    suffix = Path(name).suffix
    try:
        _READERS[suffix](path)
    except (
        UnpicklingError, zipfile.BadZipFile, RuntimeError, ValueError, KeyError, EOFError,
        IndexError, AttributeError, TypeError, OSError,
    ) as error:  # fmt: skip
        raise WeightsError(
            f"{url}: expected a complete {suffix} file, got {path.stat().st_size} bytes that "
            "cannot be read as one; the file was removed.",
            "Run the same command again; if it fails again, give another source with --mirror.",
        ) from error


def _read_tensors(path: Path) -> None:
    torch.load(path, map_location="cpu", weights_only=True)


def _read_array(path: Path) -> None:
    with open_input(path) as file:
        np.load(file, allow_pickle=False)


def _read_onnx(path: Path) -> None:
    """Walk over the fields of the protobuf message; no installed package needs to read them."""
    content = read_input(path)
    position, fields = 0, set()
    while position < len(content):
        tag, position = _varint(content, position)
        length = {1: 8, 5: 4}.get(tag & 7, 0)
        if tag & 7 == _LENGTH_DELIMITED or tag & 7 == 0:
            value, position = _varint(content, position)
            length = value if tag & 7 else 0
        elif not length:
            raise ValueError("unknown type of a field")
        fields.add(tag >> 3)
        position += length
    if position != len(content) or _GRAPH_FIELD not in fields:
        raise ValueError("the message is incomplete")


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return a number with 7 bits per byte, and the position after it."""
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


_READERS: dict[str, Callable[[Path], None]] = {
    ".pth": _read_tensors,
    ".npy": _read_array,
    ".onnx": _read_onnx,
}
