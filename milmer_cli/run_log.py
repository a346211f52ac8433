"""log.txt of an output folder: the command, its start, messages, result and duration.

Output folders are shared: the log contains no home folder and no absolute path. Paths in the
working directory are relative to it; of others, only the last name is written.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from milmer_cli.errors import MilmerError
from milmer_cli.partial_files import open_partial
from milmer_cli.progress import Level, Progress
from milmer_cli.stage_result import StageResult

Result = TypeVar("Result", bound=StageResult)

LOG_FILE = "log.txt"
VARIABLE = "MILMER_COMMAND_LINE"
"""Environment variable with the command line for the processes of a distributed training."""
OUTPUT_FLAGS = ("--json", "--quiet", "--verbose", "--resume")
"""Flags that do not change the work; they are not part of the recorded command line."""

_CHARACTER = r"[^\s'\"/\\:,;]"
_FOLDER = rf"(?:(?:(?!\.){_CHARACTER})+(?: (?:(?!\.){_CHARACTER})+){{1,3}}|{_CHARACTER}+)[/\\]"
_ABSOLUTE = re.compile(rf"(?<![\w.~:/\\>])(?:[A-Za-z]:\\|/)(?:{_FOLDER})+")
"""An absolute path up to its last name; the name of a folder without a dot may be four words."""
_COMMAND: ContextVar[str] = ContextVar("command line", default="")


@contextlib.contextmanager
def recorded_command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Record the command line of this process, given without the name of the program.

    A process that `launch_processes` started has that of its launcher.
    """
    kept = [shareable(argument) for argument in arguments if argument not in OUTPUT_FLAGS]
    token = _COMMAND.set(os.environ.get(VARIABLE) or shlex.join(["milmer", *kept]))
    try:
        yield
    finally:
        _COMMAND.reset(token)


def command_line() -> str:
    """Return the command line of this process; empty if Milmer was called in Python."""
    return _COMMAND.get()


def shareable(text: str) -> str:
    """Shorten the absolute paths in a text: no home folder, no folders above the working one."""
    for folder, name in ((Path.cwd, "."), (Path.home, "~")):
        with contextlib.suppress(OSError, RuntimeError):  # the folder was removed; no home folder
            text = _replace_folder(text, folder(), name)
    return _ABSOLUTE.sub(".../", text)


def _replace_folder(text: str, folder: Path, name: str) -> str:
    if folder == Path(folder.anchor):
        return text
    inside = "" if name == "." else f"{name}/"
    pattern = rf"(?<![\w.~-]){re.escape(str(folder))}(?:[/\\]|(?![\w~-]|\.\w))"
    return re.sub(pattern, lambda match: inside if match[0] != str(folder) else name, text)


class RunLog:
    """A progress sink that also writes the messages to ``log.txt``.

    As a context manager, it writes the start, and the error or the duration at the end; `record`
    writes the result. Nothing is written before `open`: a command that is refused leaves no file.

    Parameters
    ----------
    progress
        Receives everything as well. If it is a console, with messages that it showed before in
        ``kept_notes``, these are written too.
    command
        The command line; by default that of this process.
    """

    def __init__(self, progress: Progress, command: str | None = None) -> None:
        self._progress = progress
        self._command = command_line() if command is None else command
        self._started = time.time()
        self._file: Path | None = None
        self._waiting = [
            f"{_clock(self._started)} $ {self._command or 'called in Python'}",
            *map(shareable, getattr(progress, "kept_notes", ())),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        duration = f"after {self.facts()['duration_s']} s"
        if error is None:
            self._write(f"Finished {duration}.")
        elif isinstance(error, MilmerError):
            self._write(f"Failed {duration}: {error}")
        elif isinstance(error, KeyboardInterrupt):
            self._write(f"Interrupted {duration}.")
        else:
            self._write(f"Failed {duration}: {type(error).__name__}: {error}")

    def open(self, out: Path) -> None:
        """Write the log to a folder from now on, behind those of earlier calls.

        Parameters
        ----------
        out
            An existing folder that the command may write to.
        """
        self._file = out / LOG_FILE
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            self._write(line)

    def record(self, result: Result) -> Result:
        """Write the rows of a result, which the command line prints, and return the result."""
        for label, value in result.summary():
            self._write(f"{label}: {value}" if label else value)
        return result

    def facts(self) -> dict[str, Any]:
        """Return command line, start and duration so far, as entries of a JSON document."""
        return {
            "command": self._command,
            "started": _clock(self._started),
            "duration_s": round(time.time() - self._started, 1),
        }

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Start a task."""
        self._progress.start(task, total, unit)

    def advance(self, task: str, by: float = 1.0) -> None:
        """Report units of a task."""
        self._progress.advance(task, by)

    def done(self, task: str) -> None:
        """End a task."""
        self._progress.done(task)

    def note(self, message: str, level: Level = "info") -> None:
        """Show and write a message; details are only shown."""
        self._progress.note(message, level)
        if level != "detail":
            self._write(f"Warning: {message}" if level == "warning" else message)

    def _write(self, line: str) -> None:
        line = shareable(line)
        if self._file is None:
            self._waiting.append(line)
            return
        # a full disk is reported by the files of the results; without a log, the work continues
        with contextlib.suppress(OSError), open_partial(self._file, append=True) as file:
            file.write(f"{line}\n".encode(errors="replace"))


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))
