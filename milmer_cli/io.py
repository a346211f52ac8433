"""Atomic writes.

Every file of the program is written here or through `atomic_path`: it appears under its final name
only when it is complete and on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from milmer_cli.errors import InputError, MilmerError, first_line
from milmer_cli.partial_files import (
    create_partial_file,
    create_partial_folder,
    flush_file,
    open_partial,
    remove_tree,
)

_FREE_SPACE = "Free some space and run the same command again; finished files are kept."
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quotas


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
