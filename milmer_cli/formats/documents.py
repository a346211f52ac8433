"""Write JSON documents with the version of their format, and read those of known versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from milmer_cli.errors import InputError
from milmer_cli.formats.catalog import FORMATS, KEY
from milmer_cli.io import atomic_write
from milmer_cli.json_files import json_text, read_json_object, require_keys

_UPDATE = "Update Milmer, or write the file again with this version."


def versioned(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the version of its format as the first entry.

    Parameters
    ----------
    name
        Key of `FORMATS`.
    values
        The document; see `milmer_cli.json_files.to_json` for the values.
    """
    return {KEY: FORMATS[name].version} | {k: v for k, v in values.items() if k != KEY}


def write_document(
    path: Path, name: str, values: Mapping[str, Any], indent: int | None = 2
) -> None:
    """Write a document atomically.

    Parameters
    ----------
    path
        Final name.
    name, values
        As for `versioned`.
    indent
        Spaces of indentation; None for one line.

    Raises
    ------
    InputError, MilmerError
        As for `milmer_cli.io.atomic_write`.
    """
    atomic_write(path, json_text(versioned(name, values), indent) + "\n")


def read_document(
    path: Path, name: str, keys: Sequence[str] = (), hint: str = ""
) -> dict[str, Any]:
    """Read a document, check its version, and return it without the version.

    Parameters
    ----------
    path
        The file.
    name
        Key of `FORMATS`.
    keys, hint
        As for `milmer_cli.json_files.read_json_object`.

    Raises
    ------
    InputError
        The file cannot be read, is not an object with these keys, or has an unknown version.
    """
    document = read_json_object(path, (), hint)
    check_version(path, name, document)
    require_keys(path, document, keys, hint)
    return {key: value for key, value in document.items() if key != KEY}


def check_version(path: Path | str, name: str, document: Mapping[str, Any]) -> None:
    """Reject a document of a version that this program cannot read.

    Parameters
    ----------
    path
        The file, for the message.
    name
        Key of `FORMATS`.
    document
        Its content. Without a version it is read as version 1.

    Raises
    ------
    InputError
        The version is newer or no longer readable, or is not a number.
    """
    known, found = FORMATS[name], document.get(KEY, 1)
    if type(found) is int and known.oldest <= found <= known.version:
        return
    expected = (
        f"{known.oldest} to {known.version}" if known.oldest < known.version else known.version
    )
    raise InputError(f"{path} has format {repr(found)[:60]}, expected format {expected}.", _UPDATE)
