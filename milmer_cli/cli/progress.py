"""Progress on stderr: bars on a terminal, lines in log files and pipes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from milmer_cli.progress import Level

if TYPE_CHECKING:
    from rich.progress import TaskID

LINE_INTERVAL_S = 30.0
"""Minimum time between two lines about the same task."""
KEPT_LEVELS = ("info", "warning")
"""Levels of the messages that are part of the result."""


@dataclass
class _Task:
    """State of a running task; times are those of the monotonic clock, in seconds."""

    total: float | None
    unit: str
    started: float
    last_line: float
    amount: float = 0.0


class LineProgress:
    """Progress as plain lines, at most one per task and `LINE_INTERVAL_S`.

    Parameters
    ----------
    quiet
        Show warnings only, no progress and no other messages.
    verbose
        Also show messages of level ``detail``.

    Attributes
    ----------
    kept_notes
        Messages of the levels ``info`` and ``warning``, also those that are not shown.
    """

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.kept_notes: list[str] = []
        self._quiet = quiet
        self._verbose = verbose
        self._tasks: dict[str, _Task] = {}
        self._lock = threading.Lock()

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Start a task and print its name and total."""
        now = time.monotonic()
        with self._lock:
            self._tasks[task] = _Task(total, unit, started=now, last_line=now)
        size = f": {total:g} {unit}".rstrip() if total is not None else ""
        self._print(f"{task}{size}")

    def advance(self, task: str, by: float = 1.0) -> None:
        """Add to the amount done, and print it if the last line is old enough."""
        now = time.monotonic()
        with self._lock:
            state = self._tasks.setdefault(task, _Task(None, "", started=now, last_line=now))
            state.amount += by
            if now - state.last_line < LINE_INTERVAL_S:
                return
            state.last_line = now
        elapsed = now - state.started
        amount = f"{state.amount:g}" + (f"/{state.total:g}" if state.total else "")
        text = f"{task}: {amount} {state.unit}".rstrip() + f", {format_duration(elapsed)} elapsed"
        if state.total and state.amount:
            left = elapsed * (state.total - state.amount) / state.amount
            text += f", about {format_duration(left)} left"
        self._print(text)

    def done(self, task: str) -> None:
        """End a task and print its duration."""
        with self._lock:
            state = self._tasks.pop(task, None)
        if state is not None:
            self._print(f"{task}: done in {format_duration(time.monotonic() - state.started)}")

    def note(self, message: str, level: Level = "info") -> None:
        """Print a message."""
        if level in KEPT_LEVELS:
            self.kept_notes.append(message)
        if level == "warning":
            typer.echo(f"Warning: {message}", err=True)
        elif level != "detail" or self._verbose:
            self._print(message)

    def close(self) -> None:
        """Do nothing; lines leave nothing to remove."""

    def _print(self, text: str) -> None:
        if not self._quiet:
            typer.echo(text, err=True)


class BarProgress:
    """Progress as bars with elapsed and remaining time; a finished task leaves one line.

    Parameters
    ----------
    verbose
        Also show messages of level ``detail``.

    Attributes
    ----------
    kept_notes
        Messages of the levels ``info`` and ``warning``.
    """

    def __init__(self, verbose: bool) -> None:
        from rich import progress as rich_progress  # here: --help and log files do not need it
        from rich.console import Console

        self.kept_notes: list[str] = []
        self._verbose = verbose
        self._bars = rich_progress.Progress(
            rich_progress.SpinnerColumn(),
            rich_progress.TextColumn("{task.description}", markup=False),
            rich_progress.BarColumn(),
            rich_progress.TextColumn("{task.fields[amount]}", markup=False),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TimeRemainingColumn(compact=True),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._units: dict[str, str] = {}
        self._lock = threading.RLock()

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Add a bar, which pulses if the total is unknown."""
        with self._lock:
            self._remove(task)
            self._bars.start()
            self._units[task] = unit
            self._tasks[task] = self._bars.add_task(task, total=total, amount="")
            self.advance(task, 0.0)

    def advance(self, task: str, by: float = 1.0) -> None:
        """Advance a bar."""
        with self._lock:
            if task not in self._tasks:
                self.start(task)
            bar = self._bars.tasks[self._bars.task_ids.index(self._tasks[task])]
            amount = f"{bar.completed + by:g}" + (f"/{bar.total:g}" if bar.total else "")
            text = f"{amount} {self._units[task]}".rstrip()
            self._bars.update(self._tasks[task], advance=by, amount=text)

    def done(self, task: str) -> None:
        """Replace a bar by a line with its duration."""
        with self._lock:
            seconds = self._remove(task)
            if seconds is not None:
                self._print(f"{task}: done in {format_duration(seconds)}", style="dim")
            if not self._tasks:
                self._bars.stop()  # frees the terminal until the next task starts

    def note(self, message: str, level: Level = "info") -> None:
        """Print a message above the bars."""
        if level in KEPT_LEVELS:
            self.kept_notes.append(message)
        if level == "warning":
            self._print(f"Warning: {message}", style="yellow")
        elif level != "detail" or self._verbose:
            self._print(message)

    def close(self) -> None:
        """Remove all bars from the terminal."""
        self._bars.stop()

    def _remove(self, task: str) -> float | None:
        """Remove a bar and return its elapsed time in seconds."""
        bar = self._tasks.pop(task, None)
        if bar is None:
            return None
        seconds = self._bars.tasks[self._bars.task_ids.index(bar)].elapsed or 0.0
        self._bars.remove_task(bar)
        return seconds

    def _print(self, text: str, style: str = "") -> None:
        from rich.text import Text

        # Text carries the style, because print(style=...) would also style the bars below.
        self._bars.console.print(Text(text, style), soft_wrap=True)


def format_duration(seconds: float) -> str:
    """Format a duration as ``m:ss`` or ``h:mm:ss``, and below ten seconds as ``1.2 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
