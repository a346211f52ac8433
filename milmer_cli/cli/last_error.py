"""Remember the last error for ``milmer info --report``, without messages, names, paths or data."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

import milmer_cli
from milmer_cli.errors import MilmerError
from milmer_cli.formats import read_document, write_document

_PACKAGE = Path(milmer_cli.__file__).parent


def _file() -> Path:
    return Path(typer.get_app_dir("milmer")) / "last-error.json"


def record_error(error: BaseException, arguments: Sequence[str], commands: Sequence[str]) -> None:
    """Record the type of an error and the lines of Milmer that raised it, if that is possible.

    Parameters
    ----------
    error
        The error.
    arguments
        The command line; only the name of the command is recorded.
    commands
        Names of all commands.
    """
    chain = [type(error).__name__]
    while error.__cause__ is not None:
        error = error.__cause__
        chain.append(type(error).__name__)
    frames = [
        f"{Path(frame.filename).relative_to(_PACKAGE).as_posix()}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_PACKAGE)
    ]
    command = next((argument for argument in arguments if argument in commands), "")
    record = {"command": command, "type": " from ".join(chain), "lines": frames[-5:]}
    try:
        write_document(_file(), "last-error", record)
    except (MilmerError, OSError):  # the error itself matters more
        return


def describe_last_error() -> str:
    """Describe what `record_error` recorded; ``none`` if there is nothing."""
    try:
        record: Any = read_document(_file(), "last-error")
        command, kind, lines = record["command"], record["type"], record["lines"]
        return f"{kind} in {command or 'the command line'} ({', '.join(map(str, lines))})"
    except (MilmerError, KeyError, TypeError):
        return "none"
