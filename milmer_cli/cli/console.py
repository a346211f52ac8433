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
import warnings
from typing import Any, Protocol

import typer

from milmer_cli.cli.lines import LineProgress
from milmer_cli.progress import Progress


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
