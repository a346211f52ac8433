"""Digests of values and files, equal on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from milmer_cli.input_files import open_input, read_error
from milmer_cli.json_files import to_json

DIGEST_LENGTH = 16
"""Hexadecimal digits of a digest unless asked otherwise: 64 bits."""
_PROBED_BYTES = 2**16


def digest(*values: Any, length: int = DIGEST_LENGTH) -> str:
    """SHA-256 of values: equal values have equal digests on every machine and in every process.

    Parameters
    ----------
    values
        Bytes, NumPy arrays and torch tensors (hashed by type, shape and content), and anything that
        `to_json` converts. The order and the limits of the values count.
    length
        Hexadecimal digits to return, at most 64.

    Raises
    ------
    TypeError
        A value cannot be represented in JSON.
    """
    hasher = hashlib.sha256()
    for value in values:
        header, content = _digest_input(value)
        hasher.update(f"{header} {len(content)}\n".encode())
        hasher.update(content)
    return hasher.hexdigest()[:length]


def _digest_input(value: Any) -> tuple[str, bytes | memoryview]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes", memoryview(value).cast("B")
    if hasattr(value, "detach"):  # torch: bfloat16 has no NumPy type, so hash the raw bytes
        import torch

        raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return f"{value.dtype} {tuple(value.shape)}", memoryview(raw)
    if hasattr(value, "dtype") and value.dtype.kind in "biufc":
        return f"{value.dtype.str} {value.shape}", value.tobytes()
    text = json.dumps(to_json(value), sort_keys=True, ensure_ascii=True, allow_nan=False)
    return "json", text.encode()


def file_digest(path: Path, length: int = 64) -> str:
    """SHA-256 of a file's content.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with open_input(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:length]
    except OSError as error:
        raise read_error(error, path, "Check the file.") from error


def quick_file_digest(path: Path) -> str:
    """Digest of a file's name, size and first and last 64 KiB: detects replaced large files.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return digest(path.name, *_size_and_ends(path))


def content_digest(path: Path) -> str:
    """Digest of a file's size and first and last 64 KiB: equal for a copy under another name.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return digest(*_size_and_ends(path))


def _size_and_ends(path: Path) -> tuple[int, bytes, bytes]:
    try:
        size = path.stat().st_size
        with open_input(path) as file:
            head = file.read(_PROBED_BYTES)
            file.seek(max(0, size - _PROBED_BYTES))
            tail = file.read()
    except OSError as error:
        raise read_error(error, path, "Check the file.") from error
    return size, head, tail
