"""Words to the user: progress and messages on stderr, one result on stdout.

Two sinks for progress: bars on a terminal, sparse lines anywhere else; with ``--quiet`` or
``--json`` only warnings. With ``--json`` stdout carries exactly one JSON document, the result or
the error.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import typer

from milmer_cli.progress import Level, Progress

LINE_EVERY_S = 30.0
"""Seconds between two lines about one task where no bar can be drawn."""


class Result(Protocol):
    """What every stage returns."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value, paths last."""


class Console:
    """The one way to the user; leaving it as a context ends the bars.

    Parameters
    ----------
    as_json
        Results as one JSON document; on stderr warnings only.
    quiet, verbose
        Warnings only; details as well.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet or as_json
        self.verbose = verbose
        self.progress: Progress
        self._close = contextlib.ExitStack()
        if self.quiet or not sys.stderr.isatty():
            self.progress = LineProgress(self.quiet, verbose)
        else:
            from milmer_cli.cli.bars import BarProgress  # here, so that --help need not load it

            self.progress = bars = BarProgress(verbose)
            self._close.callback(bars.close)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self._close.close()

    def show(self, result: Result) -> None:
        """Write a stage's result to stdout."""
        if self.as_json:
            self.document(result.to_json())
        else:
            self.table(result.summary())

    def document(self, value: Any) -> None:
        """Write one JSON document to stdout."""
        typer.echo(json_text(value))

    def table(self, rows: list[tuple[str, str]]) -> None:
        """Write label and value rows to stdout, unwrapped, so that paths can be copied."""
        width = max((len(label) for label, _ in rows), default=0)
        for label, value in rows:
            typer.echo(f"{label:<{width}}  {value}".rstrip())


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


def json_text(value: Any) -> str:
    """Write JSON that every parser reads: NaN and infinities become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


def silence_libraries() -> None:
    """Keep the warnings and bars of the libraries we stand on away from the user.

    Through the environment, so that worker processes and libraries loaded later are silent too;
    what the user has set there wins.
    """
    quiet = {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_VERBOSITY": "error",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MNE_LOGGING_LEVEL": "ERROR",
        "OPENCV_LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    if os.environ["PYTHONWARNINGS"] == "ignore":
        warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def tell_error(message: str, hint: str, kind: str, exit_code: int, as_json: bool) -> int:
    """Tell what went wrong on stderr (with ``--json`` also on stdout) and return the exit code."""
    typer.echo(f"Error: {message}", err=True)
    if hint:
        typer.echo(f"Hint: {hint}", err=True)
    if as_json:
        error = {"kind": kind, "message": message, "hint": hint, "exit_code": exit_code}
        typer.echo(json_text({"error": error}))
    return exit_code
