"""Opening of files that the user names: only regular files, so that no read waits forever."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from milmer_cli.errors import InputError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def is_regular_file(path: Path) -> bool:
    """Return whether a path is a file that can be opened: no pipe, device, socket or folder."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def require_regular_file(path: Path) -> Path:
    """Return a path if it is a regular file, or a link to one. Call it before any other reader.

    Raises
    ------
    InputError
        There is no such file, or it is a named pipe, a device, a socket or a folder.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.", "Check the path.") from error
    except (OSError, ValueError) as error:
        raise read_error(error, path, "Check the path.") from error
    _check_mode(mode, path)
    return path


def open_input(path: Path) -> io.BufferedReader:
    """Open a regular file for reading; a pipe or device is refused without waiting for it.

    Raises
    ------
    InputError
        It is a named pipe, a device, a socket or a folder.
    OSError
        There is no such file, or it cannot be read.
    """
    # without O_NONBLOCK, opening a named pipe waits for a writer
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    _check_mode(path.stat().st_mode, path)  # opening some devices has effects
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        _check_mode(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_input(path: Path) -> bytes:
    """Read a regular file; errors are those of `open_input`."""
    with open_input(path) as file:
        return file.read()


def read_error(error: OSError | ValueError, path: Path, hint: str) -> InputError:
    """Return the error for a file that cannot be read, with what the user can do."""
    return InputError(f"{path} cannot be read: {_reason(error)}.", hint)


def _check_mode(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for matches, name in _KINDS if matches(mode)), "not a file")
        raise InputError(f"{path} is {kind}: expected a regular file.", "Give a file.")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
