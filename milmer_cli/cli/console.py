"""Output for the user: progress and messages on stderr, one result on stdout.

Progress is shown as bars on a terminal and as lines elsewhere; with ``--quiet`` or ``--json`` only
warnings are shown. With ``--json`` stdout contains exactly one JSON document: the result or the
error.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any

import typer

from milmer_cli.cli.progress import BarProgress, LineProgress
from milmer_cli.io import json_text
from milmer_cli.stage_result import StageResult


class Console:
    """Progress sink and printer of results. As a context manager, it removes the bars at the end.

    Parameters
    ----------
    as_json
        Print results as one JSON document, and only warnings on stderr.
    quiet
        Show warnings only, no progress and no other messages.
    verbose
        Also show messages of level ``detail``.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet or as_json
        self.verbose = verbose
        self.progress: LineProgress | BarProgress
        if self.quiet or not sys.stderr.isatty():
            self.progress = LineProgress(self.quiet, verbose)
        else:
            self.progress = BarProgress(verbose)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.close()

    def print_result(self, result: StageResult) -> None:
        """Print the result of a stage to stdout."""
        if self.as_json:
            self.print_json(result.to_json())
        else:
            self.print_rows(result.summary())

    def print_json(self, value: Any) -> None:
        """Print one JSON document to stdout; NaN and infinities become null."""
        typer.echo(json_text(value))

    def print_rows(self, rows: list[tuple[str, str]]) -> None:
        """Print rows of label and value to stdout, unwrapped so that paths can be copied."""
        width = max((len(label) for label, _ in rows), default=0)
        for label, value in rows:
            typer.echo(f"{label:<{width}}  {value}".rstrip())


def silence_libraries() -> None:
    """Suppress warnings, log messages and progress bars of the libraries.

    This works through environment variables, so that worker processes and libraries imported later
    are silent too. Variables that the user has set are kept.
    """
    defaults = {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_VERBOSITY": "error",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MNE_LOGGING_LEVEL": "ERROR",
        "OPENCV_LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if os.environ["PYTHONWARNINGS"] == "ignore":
        warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def print_error(message: str, hint: str, kind: str, exit_code: int, as_json: bool) -> int:
    """Print an error to stderr (with ``as_json`` also to stdout) and return its exit code."""
    typer.echo(f"Error: {message}", err=True)
    if hint:
        typer.echo(f"Hint: {hint}", err=True)
    if as_json:
        error = {"kind": kind, "message": message, "hint": hint, "exit_code": exit_code}
        typer.echo(json_text({"error": error}))
    return exit_code
