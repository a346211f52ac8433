"""Whether a file belongs to a synthetic data set, whose generators write their ground truth.

The ground truth is in a folder above the files, under the name `TRUTH_NAME`. A data set of
recordings can have a file of this name too, so its content is checked.
"""

from __future__ import annotations

from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.json_files import read_json

TRUTH_NAME = "truth.json"
MAX_LEVELS = 8
"""Folders above a file in which the ground truth is looked for."""
_KEYS = ({"spec", "participants"}, {"config", "trials", "traps", "mark_channel"})
"""Keys of the ground truth of a copy of DEAP, and of the other data sets."""


def is_synthetic(path: Path) -> bool:
    """Return whether a file is in the folder of a synthetic data set."""
    folders = list(path.absolute().parents)[:MAX_LEVELS]
    return any(map(_has_truth, folders))


def _has_truth(folder: Path) -> bool:
    if not (folder / TRUTH_NAME).is_file():
        return False
    try:
        document = read_json(folder / TRUTH_NAME)
    except InputError:  # a file of somebody else
        return False
    return isinstance(document, dict) and any(keys <= set(document) for keys in _KEYS)
