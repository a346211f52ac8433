"""Names in a run folder that are needed to find its bundle."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.io import read_json_object

MODEL, UNFINISHED = "model", "unfinished.json"
"""The bundle, and the marker of a run that has not finished."""


def require_finished(folder: Path) -> None:
    """Check that a folder does not contain a run that has not finished.

    Raises
    ------
    InputError
        It does.
    """
    if (folder / UNFINISHED).exists():
        command = starting_command(folder) or "train() in Python"
        raise InputError(
            f"The run in {folder} has not finished.",
            f"Finish it with the command that started it: {command}.",
        )


def starting_command(folder: Path) -> str:
    """Return the command line that started an unfinished run; empty if it is unknown."""
    try:
        return str(read_json_object(folder / UNFINISHED, ("command",))["command"])
    except InputError:  # it has finished, or its marker is damaged
        return ""
