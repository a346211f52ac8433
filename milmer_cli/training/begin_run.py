"""Begin a run in its folder: start it, resume it, or start it again.

A folder never contains parts of two runs. When a run starts again, its checkpoints are removed
first, then the marker gets the new identity, then the other files are removed: after an
interruption at any point, the folder contains either the earlier run or an unfinished one without
checkpoints, which starts again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from milmer_cli.errors import InputError, shorten
from milmer_cli.folder_lock import is_unused
from milmer_cli.json_files import read_json_object, to_json
from milmer_cli.partial_files import remove_tree
from milmer_cli.progress import Progress
from milmer_cli.run_log import LOG_FILE, command_line
from milmer_cli.training.run_dir import CHECKPOINTS, ENVIRONMENT
from milmer_cli.training.run_marker import MARKER, write_marker
from milmer_cli.weights.local_backbones import own_folder

State = Literal["new", "unfinished", "finished"]
DESCRIPTIONS: dict[State, str] = {
    "new": "the run would start from the beginning.",
    "unfinished": "the unfinished run in it would be resumed.",
    "finished": "it already contains this finished run; nothing would be done.",
}

MAX_DIFFERENCES = 8
"""Settings named in the message about a folder that contains another run."""


def begin_run(
    out: Path,
    identity: Mapping[str, Any],
    files: tuple[str, ...],
    restart: bool,
    progress: Progress,
) -> bool:
    """Reserve a folder for a run. Every process of a distributed training calls it.

    Parameters
    ----------
    out
        The run folder; created if it is missing.
    identity
        Settings and fingerprints that determine the result, as JSON values. Two runs with equal
        identities are the same run.
    files
        Names of the files and folders that a run of this command writes.
    restart
        Remove a run in ``out``, finished or not, and start again. Files of others stay.
    progress
        Receives a note if the run has already finished, or is resumed.

    Returns
    -------
    bool
        True if ``out`` already contains this run, finished.

    Raises
    ------
    InputError
        ``out`` contains another run or other files, or a file of the earlier run cannot be removed.
    """
    states: list[State | None] = [None]
    if PartialState().is_main_process:
        states = [check_run(out, identity, restart)]
        if states == ["new"]:
            _start(out, identity, files)
        elif states == ["finished"]:
            remove_tree(out / CHECKPOINTS)
    broadcast_object_list(states)
    if states == ["finished"]:
        progress.note(f"{out} already contains this finished run; nothing to do.", "info")
    elif states == ["unfinished"]:
        progress.note(f"The unfinished run in {out} is resumed.", "info")
    return states == ["finished"]


def check_run(out: Path, identity: Mapping[str, Any], restart: bool) -> State:
    """Check that a folder can be used for a run, and write nothing.

    Parameters and errors are those of `begin_run`.

    Returns
    -------
    State
        ``new`` if the run starts from the beginning, otherwise what ``out`` contains of it.
    """
    marker, environment = out / MARKER, out / ENVIRONMENT
    has_checkpoint = any((out / CHECKPOINTS).glob("checkpoint-*"))
    # a run that failed before its first checkpoint has nothing to resume: it is started again
    if is_unused(out) or (marker.exists() and not has_checkpoint):
        return "new"
    if not out.is_dir() or not (marker.exists() or environment.exists()):
        raise InputError(
            f"{out} exists and is not a run folder.", "Choose another folder with --out."
        )
    unfinished = marker.exists()
    stored = _stored_identity(marker if unfinished else environment)
    if ("store" in stored) != ("store" in identity):
        raise InputError(
            f"{out} contains a run of {'train' if 'store' in stored else 'finetune-swin'}.",
            "Choose another folder with --out.",
        )
    if restart:
        return "new"
    if differences := _differences(stored, to_json(identity)):
        raise InputError(
            f"{out} contains {'an unfinished' if unfinished else 'another'} run with "
            f"{shorten(differences, MAX_DIFFERENCES)}.",
            "Give --restart to remove that run and start again, or choose another folder with "
            "--out.",
        )
    return "unfinished" if unfinished else "finished"


def require_kept(backbone: str, out: Path) -> None:
    """Check that starting again in ``out`` does not remove the backbone.

    Raises
    ------
    InputError
        The backbone is ``out``, or is in it.
    """
    folder = own_folder(backbone)
    if folder is not None and folder.resolve().is_relative_to(out.resolve()):
        raise InputError(
            f"--restart would remove the backbone {backbone}, which is in {out}.",
            "Choose another folder with --out.",
        )


def _stored_identity(file: Path) -> dict[str, Any]:
    hint = "Choose another folder with --out, or remove this one."
    identity = read_json_object(file, ("identity",), hint)["identity"]
    if not isinstance(identity, dict):
        raise InputError(f"{file} is damaged: expected an identity of settings.", hint)
    return identity


def _start(out: Path, identity: Mapping[str, Any], files: tuple[str, ...]) -> None:
    """Remove what is left of an earlier run, in the order of the docstring of this module."""
    _remove(out / CHECKPOINTS)
    write_marker(out, to_json(identity), command_line())
    for name in (LOG_FILE, ENVIRONMENT, *files):
        _remove(out / name)


def _remove(path: Path) -> None:
    """Remove a file or a folder; of a link, only the link.

    Raises
    ------
    InputError
        It cannot be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
        reason = "" if not path.exists() else "a file in it is in use or protected"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise InputError(
            f"{path} of the earlier run cannot be removed: {reason}.",
            "Remove it, or choose another folder with --out.",
        )


def _differences(stored: Any, requested: Any, key: str = "") -> list[str]:
    """Describe the entries in which two identities differ."""
    if isinstance(stored, dict) and isinstance(requested, dict):
        return [
            line
            for name in sorted({*stored, *requested})
            for line in _differences(
                stored.get(name), requested.get(name), f"{key}.{name}" if key else name
            )
        ]
    return [] if stored == requested else [f"{key}={stored} instead of {requested}"]
