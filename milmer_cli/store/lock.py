"""One `prepare` at a time in a store folder.

The lock itself is filelock's: the operating system releases it when the process ends. Workers,
however, can outlive a process that was killed, and must not write while another process prepares
the store. Every holder of the lock therefore writes a random token to `HOLDER_FILE`, and its
workers check the token before they write (`is_holder`).
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from milmer_cli.errors import InputError
from milmer_cli.io import read_json, write_json
from milmer_cli.partial_files import remove_partial_files
from milmer_cli.store.schema import HOLDER_FILE, LOCK_FILE


class StoreLock:
    """Context manager that locks a store folder for this process.

    Parameters
    ----------
    folder
        The store; it is created if missing.

    Attributes
    ----------
    token
        Identifies this holder; see `is_holder`.

    Raises
    ------
    InputError
        On entering: another process prepares the store, or the folder is not writable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex
        self._lock = FileLock(folder / LOCK_FILE)

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise self._already_locked() from error
        except OSError as error:
            raise InputError(
                f"The store {self.folder} cannot be written: {error.strerror or error}.",
                "Choose another --out.",
            ) from error
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "token": self.token}
        write_json(self.folder / HOLDER_FILE, holder)
        remove_partial_files(self.folder, is_locked=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        (self.folder / HOLDER_FILE).unlink(missing_ok=True)
        self._lock.release()

    def _already_locked(self) -> InputError:
        holder = _read_holder(self.folder)
        process = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        return InputError(
            f"The store {self.folder} is being prepared by {process}.",
            "Wait until it has finished, or choose another --out.",
        )


def is_holder(folder: Path, token: str) -> bool:
    """Whether the process with this token still holds the lock of a store."""
    return _read_holder(folder).get("token") == token


def _read_holder(folder: Path) -> dict[str, Any]:
    """Return the content of `HOLDER_FILE`; {} if it is missing or unreadable."""
    try:
        holder = read_json(folder / HOLDER_FILE)
    except InputError:
        return {}
    return holder if isinstance(holder, dict) and {"pid", "host", "token"} <= set(holder) else {}
