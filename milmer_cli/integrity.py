"""Detect damaged files by checksums that are stored beside the files that the program writes.

CRC-32 finds accidental damage and is several times as fast as a cryptographic digest; a file is
read once per process. It gives no protection from manipulation.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input

_BLOCK_BYTES = 2**20
_verified: set[tuple[Path, str, int, int]] = set()
"""Files that this process has read: path, checksum, size and time of modification."""


def checksum(*blocks: bytes) -> str:
    """Checksum of bytes, as in ``crc32:00c0ffee``."""
    return _format(blocks)


def file_checksum(path: Path) -> str:
    """Checksum of a file's content; see `checksum`.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with open_input(path) as file:
            return _format(iter(lambda: file.read(_BLOCK_BYTES), b""))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the file."
        ) from error


def is_intact(path: Path, *expected: str) -> bool:
    """Whether a file has one of the expected checksums. It is read once per process.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the file."
        ) from error
    keys = [(path.absolute(), e, status.st_size, status.st_mtime_ns) for e in expected]
    if not _verified.intersection(keys):
        found = file_checksum(path)
        _verified.update(key for key in keys if key[1] == found)
    return bool(_verified.intersection(keys))


def folder_checksums(folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    """Checksums of the files that match glob patterns, by their path relative to the folder."""
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return {path.relative_to(folder).as_posix(): file_checksum(path) for path in paths}


def damaged_files(folder: Path, checksums: Mapping[str, Any]) -> list[str]:
    """Names of the files that are missing, or do not have the checksums of `folder_checksums`."""
    return [
        name
        for name, expected in checksums.items()
        if not (folder / name).is_file() or not is_intact(folder / name, str(expected))
    ]


def _format(blocks: Iterable[bytes]) -> str:
    value = 0
    for block in blocks:
        value = zlib.crc32(block, value)
    return f"crc32:{value:08x}"
