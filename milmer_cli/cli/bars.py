"""Progress as bars on a terminal."""

from __future__ import annotations

import threading

from rich import progress as bars
from rich.console import Console as RichConsole
from rich.text import Text

from milmer_cli.cli.lines import clock
from milmer_cli.progress import Level


class BarProgress:
    """Bars with time elapsed and left; a finished task leaves one line behind."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._bars = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TextColumn("{task.fields[amount]}", markup=False),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(compact=True),
            console=RichConsole(stderr=True, highlight=False),
            transient=True,
        )
        self._tasks: dict[str, bars.TaskID] = {}
        self._units: dict[str, str] = {}
        self._lock = threading.RLock()

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Draw a bar, which pulses where the total is unknown."""
        with self._lock:
            self._drop(task)
            self._bars.start()
            self._units[task] = unit
            self._tasks[task] = self._bars.add_task(task, total=total, amount="")
            self.advance(task, 0.0)

    def advance(self, task: str, by: float = 1.0) -> None:
        """Move a bar."""
        with self._lock:
            if task not in self._tasks:
                self.start(task)
            bar = self._bars.tasks[self._bars.task_ids.index(self._tasks[task])]
            share = f"{bar.completed + by:g}" + (f"/{bar.total:g}" if bar.total else "")
            amount = f"{share} {self._units[task]}".rstrip()
            self._bars.update(self._tasks[task], advance=by, amount=amount)

    def done(self, task: str) -> None:
        """Replace a bar by a line with its time."""
        with self._lock:
            seconds = self._drop(task)
            if seconds is not None:
                self._print(f"{task}: done in {clock(seconds)}", style="dim")
            if not self._tasks:
                self._bars.stop()  # the terminal is free for others until the next task

    def note(self, message: str, level: Level = "info") -> None:
        """Write one sentence above the bars."""
        if level == "warning":
            self._print(f"Warning: {message}", style="yellow")
        elif level == "info" or self._verbose:
            self._print(message)

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()

    def _drop(self, task: str) -> float | None:
        bar = self._tasks.pop(task, None)
        if bar is None:
            return None
        seconds = self._bars.tasks[self._bars.task_ids.index(bar)].elapsed or 0.0
        self._bars.remove_task(bar)
        return seconds

    def _print(self, text: str, style: str = "") -> None:
        # A styled Text, for print(style=...) would colour the bars below as well.
        self._bars.console.print(Text(text, style), soft_wrap=True)
