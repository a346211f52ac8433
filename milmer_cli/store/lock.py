"""One prepare at a time on a store folder."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from milmer_cli.errors import InputError
from milmer_cli.store.atomic import sweep
from milmer_cli.store.layout import LOCK

_GRACE_S = 10.0  # a lock without content is one being written, or one whose writer was killed


class StoreLock:
    """Context manager: while it is held, a second one on the folder is refused.

    The lock is a file with the holder's process and host. One left behind by a process of this host
    that is gone is taken over; one of another host is believed.

    Parameters
    ----------
    folder
        The store; made when missing.

    Attributes
    ----------
    token
        What tells this holder from any other, while it holds the lock; see `is_held`.

    Raises
    ------
    InputError
        On entering, when somebody else prepares there, or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK
        self.token = ""

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._take():
                self._remove_stale()
                if not self._take():
                    raise self._refusal(_read(self.path))
            sweep(self.folder)
        except OSError as error:
            raise InputError(
                f"The folder {self.folder} cannot be written to: {error.strerror}.",
                "Choose another --out.",
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.path.unlink(missing_ok=True)

    def _take(self) -> bool:
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        pid = os.getpid()
        self.token = json.dumps(
            {"pid": pid, "host": socket.gethostname(), "started": _started(pid)}
        )
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self.token)
        return True

    def _remove_stale(self) -> None:
        holder = _read(self.path)
        if holder is None:
            return
        if not _stale(holder, self.path):
            raise self._refusal(holder)
        grave = self.path.with_name(f"{LOCK}.{os.getpid()}.part")
        try:
            self.path.rename(grave)
        except FileNotFoundError:
            return  # somebody else took it over; _take will tell
        if _read(grave) != holder:  # ... and was already working: give it back
            grave.replace(self.path)
            raise self._refusal(_read(self.path))
        grave.unlink(missing_ok=True)

    def _refusal(self, holder: dict[str, Any] | None) -> InputError:
        who = f"process {holder.get('pid')} on {holder.get('host')}" if holder else "a process"
        return InputError(
            f"{self.folder} is being prepared by {who}.",
            f"Wait for it, or choose another --out; if it no longer runs, delete {self.path}.",
        )


def is_held(folder: Path, token: str) -> bool:
    """Whether the holder of ``token`` still has the lock of a store.

    Workers outlive a holder that was killed: they must not write once another has taken over.
    """
    return _read(folder / LOCK) == json.loads(token)


def _read(path: Path) -> dict[str, Any] | None:
    """Content of a lock file; {} when it has none (yet), None when there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _stale(holder: dict[str, Any], path: Path) -> bool:
    if not holder:
        return time.time() - path.stat().st_mtime > _GRACE_S
    if holder.get("host") != socket.gethostname():
        return False
    pid = int(holder.get("pid", -1))
    # The same number can be another process by now: on Linux its start tells.
    return not _alive(pid) or _started(pid) != holder.get("started")


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    if os.name == "nt":
        import ctypes  # Windows only: there, os.kill(pid, 0) would interrupt the process

        kernel = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
        handle = kernel.OpenProcess(0x1000, False, pid)
        if handle:
            kernel.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks since boot; empty where /proc does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
