"""JSON documents: reading, writing, and conversion of plain values."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from milmer_cli.errors import InputError, shorten
from milmer_cli.input_files import open_input, read_error
from milmer_cli.io import atomic_write

MAX_JSON_BYTES = 2**28
"""Largest JSON document that is read; the folds of a million segments have some 10 MB."""


def to_json(value: Any) -> Any:
    """Convert a value to what JSON can represent.

    NaN and infinities become None. Data classes and pydantic models become dicts, keys and paths
    become strings, sequences and sets become lists, NumPy and torch values become numbers or lists.
    Anything else is returned unchanged.
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Set):
        return [to_json(item) for item in sorted(value)]
    if isinstance(value, Sequence):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):  # pydantic, which is slow to import
        return to_json(value.model_dump(mode="json"))
    if hasattr(value, "tolist"):  # NumPy and torch, which are slow to import
        return to_json(value.tolist())
    return value


def json_text(value: Any, indent: int | None = 2) -> str:
    """Return ``value`` as JSON text that every parser accepts; see `to_json`."""
    return json.dumps(to_json(value), indent=indent, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to a JSON file atomically; see `to_json` and `atomic_write`."""
    atomic_write(path, json_text(value) + "\n")


def read_json(path: Path, hint: str = "") -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path
        File with one JSON document.
    hint
        What the user can do if the file is damaged; hint of the error.

    Raises
    ------
    InputError
        The file cannot be read, is not valid JSON, or is too large or too deeply nested.
    """
    try:
        with open_input(path) as file:
            content = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise read_error(error, path, hint) from error
    return parse_json(content, str(path), hint)


def parse_json(content: bytes, where: str, hint: str = "") -> Any:
    """Parse one JSON document.

    Parameters
    ----------
    content
        The document as UTF-8, UTF-16 or UTF-32.
    where
        Where it comes from, for messages.
    hint
        As for `read_json`.

    Raises
    ------
    InputError
        The content is not valid JSON, or is too large or too deeply nested.
    """
    if len(content) > MAX_JSON_BYTES:
        raise InputError(f"{where} has more than {MAX_JSON_BYTES} bytes.", hint)
    try:
        return json.loads(content)
    except RecursionError as error:
        raise InputError(f"{where} is not valid JSON: it is nested too deeply.", hint) from error
    except ValueError as error:
        raise InputError(f"{where} is not valid JSON: {error}.", hint) from error


def read_json_object(path: Path, keys: Sequence[str] = (), hint: str = "") -> dict[str, Any]:
    """Read a JSON file that contains an object.

    Parameters
    ----------
    path, hint
        As for `read_json`.
    keys
        Keys that the object must have.

    Raises
    ------
    InputError
        As for `read_json`, or the document is not an object with these keys.
    """
    return require_object(read_json(path, hint), str(path), keys, hint)


def require_object(
    document: Any, where: str, keys: Sequence[str] = (), hint: str = ""
) -> dict[str, Any]:
    """Return a JSON document that is an object with keys.

    Parameters
    ----------
    document
        Result of `read_json` or `parse_json`.
    where, hint
        As for `parse_json`.
    keys
        Keys that the object must have.

    Raises
    ------
    InputError
        The document is not an object with these keys.
    """
    if not isinstance(document, dict):
        raise InputError(
            f"{where} is damaged: expected an object, got {type(document).__name__}.", hint
        )
    require_keys(where, document, keys, hint)
    return document


def require_keys(
    path: Path | str, document: Mapping[str, Any], keys: Sequence[str], hint: str
) -> None:
    """Check that the object in a JSON file has keys; see `read_json_object`."""
    if missing := [key for key in keys if key not in document]:
        raise InputError(f"{path} is damaged: it has no {shorten(missing)}.", hint)
