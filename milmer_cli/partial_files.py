"""Temporary files of atomic writes: random hidden names beside the final file, never links.

In a folder that others can write, a file with a predictable name can be a link to a file of the
user. Temporary files are therefore created exclusively. Their names contain the machine and the
process, so that those of killed processes can be removed and no others.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
from pathlib import Path
from typing import IO, TextIO

from milmer_cli.errors import InputError

PARTIAL_SUFFIX = ".part"
"""Ending of temporary files; they are hidden files beside the final one."""

_NAME = re.compile(r"\..+\.(?:([0-9a-f]{8})-(\d+)-[0-9a-f]{16}|\d+)\.part", re.DOTALL)
"""Machine and process; earlier versions wrote the process only."""
_NAME_BYTES = 120
"""Bytes of the final name that the temporary name repeats; file systems allow 255 in all."""

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags of `os.open` for binary files that are written."""


def _create_exclusively(path: Path) -> int:
    """Create a file and return its descriptor; OSError if the name exists, also as a link."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o666)


def open_partial(temporary: Path, append: bool = False) -> IO[bytes]:
    """Open a temporary file for writing; OSError if it is a link.

    Parameters
    ----------
    temporary
        Path of `io.atomic_path`; with ``append``, any file, which is created if missing.
    append
        Keep the content, and write behind it.
    """
    flags = os.O_APPEND | os.O_CREAT if append else 0
    descriptor = os.open(temporary, os.O_RDWR | flags | _NO_FOLLOW, 0o666)
    return os.fdopen(descriptor, "ab" if append else "r+b")


def new_text_file(path: Path) -> TextIO:
    """Create a text file that grows row by row, in place of an earlier one; no link is followed.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    path.unlink(missing_ok=True)
    return os.fdopen(_create_exclusively(path), "w", encoding="utf-8", newline="")


def flush_file(temporary: Path) -> None:
    """Write the content of a file to the disk now; OSError if it is a link."""
    descriptor = os.open(temporary, os.O_RDWR | _NO_FOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_partial_file(path: Path) -> Path:
    """Create the empty temporary file of a file, and remove those of killed processes."""
    _clean_once(path.parent, os.getpid())
    temporary = path.with_name(_partial_name(path.name))
    os.close(_create_exclusively(temporary))
    return temporary


def create_partial_folder(path: Path) -> Path:
    """Create a temporary folder beside ``path`` that only this user can access."""
    _clean_once(path.parent, os.getpid())
    temporary = path.with_name(_partial_name(path.name))
    temporary.mkdir(mode=0o700)
    return temporary


def remove_partial_files(folder: Path, is_locked: bool = False) -> None:
    """Remove the temporary files and folders of killed writers in a folder.

    An entry is removed if its name is that of a temporary file, if it belongs to this user, if it
    is a regular file or a folder and not a link, and if its process on this machine has ended.

    Parameters
    ----------
    folder
    is_locked
        No other process writes into the folder, so that the temporary files of all processes are
        those of killed ones.
    """
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if _is_own_file(entry) and (is_locked or _is_of_ended_process(entry.name)):
                _remove(Path(entry.path))


def require_no_link(path: Path) -> None:
    """Check that a file or folder inside of an output folder is not a link, or is missing.

    Raises
    ------
    InputError
        It is a link. Writing there would change files outside of the output folder.
    """
    if path.is_symlink():
        raise InputError(
            f"{path} is a link, and what it points to would be changed.",
            "Remove the link, or choose another output folder.",
        )


def remove_tree(folder: Path) -> None:
    """Remove a folder, as far as possible; of a link, only the link itself.

    The folder loses its name first: if the process is killed, no incomplete folder has this name,
    and the next writer removes what is left, as it removes temporary files.
    """
    with contextlib.suppress(OSError):
        if folder.is_symlink():
            folder.unlink()
            return
        renamed = folder.with_name(_partial_name(folder.name))
        folder.rename(renamed)
        shutil.rmtree(renamed)


@functools.cache
def _clean_once(folder: Path, pid: int) -> None:
    remove_partial_files(folder)


def _partial_name(name: str) -> str:
    shown = name.encode(errors="surrogateescape")[:_NAME_BYTES].decode(errors="ignore")
    return f".{shown}.{_host()}-{os.getpid()}-{os.urandom(8).hex()}{PARTIAL_SUFFIX}"


@functools.cache
def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_own_file(entry: os.DirEntry[str]) -> bool:
    if not _NAME.fullmatch(entry.name):
        return False
    state = entry.stat(follow_symlinks=False)
    is_plain = stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)
    return is_plain and (os.name == "nt" or state.st_uid == os.geteuid())


def _is_of_ended_process(name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and match[1] == _host() and _has_ended(int(match[2]))


def _has_ended(pid: int) -> bool:
    if os.name == "nt":  # there, signal 0 is not a test
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
