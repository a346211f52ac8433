"""The marker of a run that has not finished: its identity, and the command that started it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from milmer_cli.bundle.model_names import UNFINISHED as MARKER
from milmer_cli.bundle.model_names import starting_command
from milmer_cli.json_files import write_json

__all__ = ["MARKER", "default_run_folder", "starting_command", "write_marker"]

RUNS = Path("runs")
"""Folder of the runs that are named by their start time."""
_START_TIME = re.compile(r"\d{8}-\d{6}")


def write_marker(out: Path, identity: Mapping[str, Any], command: str) -> None:
    """Mark a folder as a run that has not finished.

    Parameters
    ----------
    out
        The run folder; created if it is missing.
    identity
        What determines the result, as JSON values.
    command
        The command line; empty if the run was started in Python.
    """
    write_json(out / MARKER, {"command": command, "identity": identity})


def default_run_folder(command: str) -> Path:
    """Return the newest unfinished run in `RUNS` that ``command`` started, or a new folder."""
    for folder in sorted(RUNS.glob("*"), reverse=True):
        if command and _START_TIME.fullmatch(folder.name) and starting_command(folder) == command:
            return folder
    return RUNS / time.strftime("%Y%m%d-%H%M%S")
