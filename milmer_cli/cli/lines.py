"""Progress as sparse lines, where no bar can be drawn."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import typer

from milmer_cli.progress import Level

LINE_EVERY_S = 30.0
"""Seconds between two lines about one task where no bar can be drawn."""


@dataclass
class _Task:
    total: float | None
    unit: str
    began: float
    told: float
    amount: float = 0.0


class LineProgress:
    """Sparse plain lines, for log files; nothing but warnings when ``quiet``."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._tasks: dict[str, _Task] = {}
        self._lock = threading.Lock()

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        """Begin a task and say so."""
        now = time.monotonic()
        with self._lock:
            self._tasks[task] = _Task(total, unit, began=now, told=now)
        size = f": {total:g} {unit}".rstrip() if total is not None else ""
        self._line(f"{task}{size}")

    def advance(self, task: str, by: float = 1.0) -> None:
        """Count, and tell at most every `LINE_EVERY_S` seconds."""
        now = time.monotonic()
        with self._lock:
            state = self._tasks.setdefault(task, _Task(None, "", began=now, told=now))
            state.amount += by
            if now - state.told < LINE_EVERY_S:
                return
            state.told = now
        share = f"{state.amount:g}" + (f"/{state.total:g}" if state.total else "")
        text = f"{task}: {share} {state.unit}".rstrip() + f", {clock(now - state.began)} elapsed"
        if state.total and state.amount:
            left = (now - state.began) * (state.total - state.amount) / state.amount
            text += f", about {clock(left)} left"
        self._line(text)

    def done(self, task: str) -> None:
        """End a task and say how long it took."""
        with self._lock:
            state = self._tasks.pop(task, None)
        if state is not None:
            self._line(f"{task}: done in {clock(time.monotonic() - state.began)}")

    def note(self, message: str, level: Level = "info") -> None:
        """Write one sentence."""
        if level == "warning":
            typer.echo(f"Warning: {message}", err=True)
        elif level == "info" or self._verbose:
            self._line(message)

    def _line(self, text: str) -> None:
        if not self._quiet:
            typer.echo(text, err=True)


def clock(seconds: float) -> str:
    """Write a duration as ``m:ss`` or ``h:mm:ss``; under ten seconds with one decimal."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
