"""What a user can name as a model, checked without importing torch; the bundle of a run."""

from __future__ import annotations

import contextlib
from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.json_files import read_json_object

MODEL, UNFINISHED = "model", "unfinished.json"
"""In a run folder: the bundle, and the marker of a run that has not finished."""
HUB, DEMO = "hf:", "demo"
"""Beginning of the name of a model on the Hugging Face Hub; the model that is part of Milmer."""
EXPECTED = (
    "Give a run folder of `milmer train`, a bundle (folder or .zip) of `milmer export`, "
    "hf:USER/NAME[@REVISION] or demo."
)


def require_model(source: Path | str) -> Path:
    """Check that a model exists, unless it is on the Hugging Face Hub or part of Milmer.

    Returns
    -------
    Path
        The file or folder, with ``~`` expanded.

    Raises
    ------
    InputError
        There is no such file or folder.
    """
    path = Path(source)
    if str(source) == DEMO or str(source).startswith(HUB):
        return path
    exists = False
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # a name that no file can have
        path = path.expanduser()
        exists = path.exists()
    if not str(source) or not exists:
        shown = str(source)[:300] or "(no name)"
        raise InputError(f"The model {shown} does not exist.", EXPECTED)
    return path


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
