"""Files and plain values: atomic writes, JSON, digests, and lists in messages.

Every file of the program is written here or through `atomic_path`: it appears under its final name
only when it is complete and on the disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import IO, Any

from milmer_cli.errors import InputError, MilmerError
from milmer_cli.input_files import open_input
from milmer_cli.partial_files import (
    create_partial_file,
    create_partial_folder,
    flush_file,
    open_partial,
    remove_tree,
)

_FREE_SPACE = "Free some space and run the same command again; finished files are kept."
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quotas

# Atomic writes ----------------------------------------------------------------------------------


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path`` and rename it to ``path`` at the end.

    For writers that need a file name. The temporary file exists and is empty; it is flushed to the
    disk before the rename, and removed if the body raises. A link at ``path`` is replaced and never
    followed.

    Parameters
    ----------
    path
        Final name. Missing folders are created.

    Yields
    ------
    Path
        Temporary path, which ends in ``.part``.

    Raises
    ------
    InputError
        The folder is not writable.
    MilmerError
        Writing failed, for example because the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = create_partial_file(path)
        yield temporary
        flush_file(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        _discard(temporary)
        raise _write_error(error, path) from error
    except BaseException:
        _discard(temporary)
        raise


def atomic_write(path: Path, content: str | bytes | Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically.

    Parameters
    ----------
    path
        Final name. Missing folders are created.
    content
        Text (written as UTF-8, line ends unchanged), bytes, or a function that writes to an open
        binary file.

    Raises
    ------
    InputError
        The folder is not writable.
    MilmerError
        Writing failed, for example because the disk is full.
    """
    with atomic_path(path) as temporary, open_partial(temporary) as file:
        if callable(content):
            content(file)
        else:
            file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def atomic_files(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, and move its files to ``folder`` one by one at the end.

    For writers of several files, such as ``save_pretrained``. Parameters and errors are those of
    `atomic_path`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staged = create_partial_folder(folder / "files")
    except OSError as error:
        raise _write_error(error, folder) from error
    try:
        yield staged
        for file in sorted(staged.iterdir()):
            with atomic_path(folder / file.name) as temporary:
                shutil.copymode(temporary, file)  # safetensors gives them to their owner only
                file.replace(temporary)
    except OSError as error:
        raise _write_error(error, folder) from error
    finally:
        remove_tree(staged)


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that gets the name of ``folder`` at the end.

    ``folder`` must not exist. If an exception is raised, it does not appear. Errors are those of
    `atomic_path`.
    """
    private: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        private = create_partial_folder(folder)
        content = private / "content"  # with the usual permissions, unlike `private`
        content.mkdir()
        yield content
        content.rename(folder)
        _sync_folder(folder.parent)
    except OSError as error:
        raise _write_error(error, folder) from error
    finally:
        if private is not None:
            remove_tree(private)


@contextlib.contextmanager
def explained_write_errors(path: Path) -> Iterator[None]:
    """Convert the errors of a file that is written piece by piece, as `atomic_write` does.

    Raises
    ------
    InputError, MilmerError
        As for `atomic_write`.
    """
    try:
        yield
    except OSError as error:
        raise _write_error(error, path) from error


def require_writable(folder: Path) -> Path:
    """Return ``folder`` if it can be created and written, without creating it.

    Raises
    ------
    InputError
        The folder, or the nearest parent that exists, is not a writable folder.
    """
    existing = folder.absolute()
    while not existing.exists() and not existing.is_symlink():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(
            f"The output folder {folder} cannot be created: {existing} is not a folder.",
            "Choose another output folder.",
        )
    import tempfile  # here: it is slow to import and --help does not need it

    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise InputError(
            f"The output folder {folder} cannot be written: {error.strerror or error}.",
            "Choose another output folder.",
        ) from error
    return folder


def require_space(path: Path, n_bytes: int) -> None:
    """Check that a file of ``n_bytes`` can be written; the folder of ``path`` exists.

    Raises
    ------
    MilmerError
        The disk has less free space.
    """
    free = shutil.disk_usage(path.parent).free
    if free < n_bytes:
        raise MilmerError(
            f"The disk is full: {path} needs {n_bytes / 2**20:.1f} MiB, and {free / 2**20:.1f} MiB "
            "are free.",
            _FREE_SPACE,
        )


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders; its renames are journaled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard(temporary: Path | None) -> None:
    with contextlib.suppress(OSError):  # the folder itself is unusable; the first error says why
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _write_error(error: OSError, path: Path) -> MilmerError:
    code = error.errno
    if code is None:  # HDF5 raises OSError without a number and puts it into the text
        number = re.search(r"errno = (\d+)", str(error))
        code = int(number[1]) if number else None
    if code in _FULL:
        return MilmerError(f"The disk is full: {path} cannot be written.", _FREE_SPACE)
    reason = os.strerror(code) if code is not None else first_line(error)
    if code in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return InputError(f"{path} cannot be written: {reason}.", "Choose another output folder.")
    return MilmerError(f"{path} cannot be written: {reason}.", "Check the disk and run again.")


# JSON -------------------------------------------------------------------------------------------

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
        raise _read_error(error, path, hint) from error
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


def _read_error(error: OSError, path: Path, hint: str) -> InputError:
    return InputError(f"{path} cannot be read: {error.strerror or error}.", hint)


# Digests ----------------------------------------------------------------------------------------

DIGEST_LENGTH = 16
"""Hexadecimal digits of a digest unless asked otherwise: 64 bits."""


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
        raise _read_error(error, path, "Check the file.") from error


_PROBED_BYTES = 2**16


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
        raise _read_error(error, path, "Check the file.") from error
    return size, head, tail


# Messages ---------------------------------------------------------------------------------------


def first_line(error: Exception) -> str:
    """Return the first line of an exception's text for a message, or its type if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def shorten(names: Sequence[object], most: int = 8, separator: str = ", ") -> str:
    """List names for a message: ``a, b, c and 4 more``.

    Parameters
    ----------
    names
        What to list; an empty name is shown as ``(no name)``.
    most
        Names shown before the rest is counted.
    separator
        Text between two names.
    """
    shown = separator.join(str(name) or "(no name)" for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
