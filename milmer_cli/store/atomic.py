"""A file appears under its name only when it is whole and on the disk."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from milmer_cli.errors import InputError, MilmerError

PART = ".part"


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what was written there then takes its place.

    Parameters
    ----------
    path
        The final name. Missing folders are made.

    Yields
    ------
    Path
        Where to write. Removed when the writing fails.

    Raises
    ------
    InputError
        When the folder cannot be written to.
    MilmerError
        When writing fails on the way, as on a full disk.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _explained(error, path) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Remove what killed writers left behind in ``folder``; only for the holder of its lock."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; its rename is journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(error: OSError, path: Path) -> MilmerError:
    code = error.errno
    if code is None:  # HDF5 words its own error: the number is in the text
        number = re.search(r"errno = (\d+)", str(error))
        code = int(number[1]) if number else None
    if code == errno.ENOSPC:
        return MilmerError(
            f"The disk is full: {path} could not be written.",
            "Make room and run the same command again; what is finished is kept.",
        )
    reason = os.strerror(code) if code is not None else str(error).partition("\n")[0]
    if code in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return InputError(f"{path} cannot be written: {reason}.", "Choose another output folder.")
    return MilmerError(f"Writing {path} failed: {reason}.", "Check the disk and run again.")
