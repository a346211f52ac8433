"""One process at a time in an output folder: stores, runs, evaluations, predictions, demos.

The lock itself is filelock's: the operating system releases it when the process ends. Workers,
however, can outlive a process that was killed, and must not write while another process uses the
folder. Every holder of the lock therefore writes a random token to `HOLDER_FILE`, and its workers
check the token before they write (`is_holder`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from milmer_cli.errors import InputError
from milmer_cli.json_files import read_json, write_json
from milmer_cli.partial_files import remove_partial_files, require_no_link

LOCK_FILE, HOLDER_FILE = ".milmer.lock", ".milmer.json"


class FolderLock:
    """Context manager that locks an output folder for this process.

    It leaves no file in the folder, and no new folder that would otherwise be empty.

    Parameters
    ----------
    folder
        The output folder; it is created if missing.
    activity
        What the holder does, to be followed by "by process ...".

    Attributes
    ----------
    token
        Identifies this holder; see `is_holder`.

    Raises
    ------
    InputError
        On entering: another process uses the folder, the folder is not writable, or a link has the
        name of the lock file.
    """

    def __init__(self, folder: Path, activity: str = "") -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex
        self._activity = activity or f"The output folder {folder} is being written"
        self._lock = FileLock(folder / LOCK_FILE)
        self._is_new = False

    def __enter__(self) -> Self:
        self._is_new = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            require_no_link(self.folder / LOCK_FILE)
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise self._already_locked() from error
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be written: {error.strerror or error}.",
                "Choose another --out.",
            ) from error
        try:
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "token": self.token}
            write_json(self.folder / HOLDER_FILE, holder)
            remove_partial_files(self.folder, is_locked=True)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def _release(self) -> None:
        with contextlib.suppress(OSError):  # the folder may have become read-only
            (self.folder / HOLDER_FILE).unlink(missing_ok=True)
        if os.name == "nt":  # an open file cannot be removed there
            self._lock.release()
        with contextlib.suppress(OSError):  # on Windows, another process may have locked it
            (self.folder / LOCK_FILE).unlink(missing_ok=True)
        self._lock.release()
        if self._is_new:
            with contextlib.suppress(OSError):  # the folder is not empty
                self.folder.rmdir()

    def _already_locked(self) -> InputError:
        holder = _read_holder(self.folder)
        process = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        return InputError(
            f"{self._activity} by {process}.",
            "Wait until it has finished, or choose another --out.",
        )


def is_holder(folder: Path, token: str) -> bool:
    """Whether the process with this token still holds the lock of a folder."""
    return _read_holder(folder).get("token") == token


def is_unused(folder: Path) -> bool:
    """Whether a folder is missing or empty, apart from the files of its lock."""
    if not folder.exists():
        return True
    own = {LOCK_FILE, HOLDER_FILE}
    return folder.is_dir() and all(path.name in own for path in folder.iterdir())


def _read_holder(folder: Path) -> dict[str, Any]:
    """Return the content of `HOLDER_FILE`; {} if it is missing or unreadable."""
    try:
        holder = read_json(folder / HOLDER_FILE)
    except InputError:
        return {}
    return holder if isinstance(holder, dict) and {"pid", "host", "token"} <= set(holder) else {}
