"""Output for the user: progress and messages on stderr, one result on stdout.

Progress is shown as bars on a terminal and as lines elsewhere; with ``--quiet`` only warnings are
shown. With ``--json`` stdout contains exactly one JSON document, the result or the error, and the
messages are also in its list ``notes``.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import typer

from milmer_cli.cli.progress import BarProgress, LineProgress
from milmer_cli.formats import versioned
from milmer_cli.json_files import json_text
from milmer_cli.stage_result import StageResult


class Console:
    """Progress sink and printer of results. As a context manager, it removes the bars at the end.

    Parameters
    ----------
    as_json
        Print results as one JSON document.
    quiet
        Show warnings only, no progress and no other messages.
    verbose
        Also show messages of level ``detail``.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.progress: LineProgress | BarProgress
        if self.quiet or not sys.stderr.isatty():
            self.progress = LineProgress(self.quiet, verbose)
        else:
            self.progress = BarProgress(verbose)

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.close()
        if error is not None:
            for note in self.progress.kept_notes:
                error.add_note(note)

    def print_result(self, result: StageResult) -> None:
        """Print the result of a stage to stdout."""
        if self.as_json:
            self.print_document(result.format_name, result.to_json())
        else:
            self.print_rows(result.summary())

    def print_document(self, format_name: str, values: Mapping[str, Any]) -> None:
        """Print values and ``notes`` as one JSON document; NaN and infinities become null.

        Parameters
        ----------
        format_name
            Format of the document, a key of `milmer_cli.formats.FORMATS`.
        values
            The document.
        """
        notes = dict.fromkeys([*values.get("notes", ()), *self.progress.kept_notes])
        typer.echo(json_text(versioned(format_name, {**values, "notes": list(notes)})))

    def print_rows(self, rows: list[tuple[str, str]]) -> None:
        """Print rows of label and value to stdout, unwrapped so that paths can be copied."""
        width = max((len(label) for label, _ in rows), default=0)
        for label, value in rows:
            typer.echo(printable(f"{label:<{width}}  {value}".rstrip()))


def printable(text: str) -> str:
    """Replace control characters and surrogates: text from files must not control the terminal."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "?", text)


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


def print_error(
    description: tuple[str, str, str, int], as_json: bool, notes: Sequence[str] = ()
) -> int:
    """Print an error to stderr (with ``as_json`` also to stdout) and return its exit code.

    Parameters
    ----------
    description
        Message, hint, kind and exit code.
    as_json
        Also print a JSON document to stdout.
    notes
        Messages of the command before the error, for the document.
    """
    message, hint, kind, exit_code = description
    typer.echo(printable(f"Error: {message}"), err=True)
    if hint:
        typer.echo(printable(f"Hint: {hint}"), err=True)
    if as_json:
        error = {"kind": kind, "message": message, "hint": hint, "exit_code": exit_code}
        typer.echo(json_text(versioned("error", {"error": error, "notes": list(notes)})))
    return exit_code
