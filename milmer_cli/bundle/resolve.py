"""From what a user names to a bundle: a run, a folder, a zip file, ``hf:USER/NAME`` or ``demo``."""

from __future__ import annotations

import re
from pathlib import Path

from milmer_cli.bundle.contents import Bundle
from milmer_cli.bundle.document import CONFIG, DOCUMENT, FILES
from milmer_cli.bundle.model_names import (
    DEMO,
    EXPECTED,
    HUB,
    MODEL,
    require_finished,
    require_model,
)
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.weights.hub_models import fetch_model

DEMO_FILE = "demo.zip"
_REVISION = re.compile(r"[\w][\w./-]{0,250}", re.ASCII)


def open_bundle(source: Path | str, progress: Progress = SILENT) -> Bundle:
    """Open the model that a user names.

    Parameters
    ----------
    source
        A run folder, a bundle (folder or zip file), ``hf:USER/NAME[@REVISION]`` of the Hugging Face
        Hub, or ``demo`` for the model that is part of Milmer.
    progress
        Receives a note if a model is downloaded, and a warning if ``demo`` is also a model here.

    Raises
    ------
    InputError
        There is no such model, it cannot be downloaded, or it is damaged.
    """
    text = str(source)
    if text.startswith(HUB):
        return _from_hub(text.removeprefix(HUB), progress)
    if text == DEMO:
        if any((Path(DEMO) / own).is_file() for own in (DOCUMENT, f"{MODEL}/{DOCUMENT}")):
            progress.note(
                f"{DEMO} is the model that is part of Milmer: give ./{DEMO} for the folder.",
                "warning",
            )
        return _demo()
    path = require_model(source)
    if path.is_dir() and not (path / DOCUMENT).is_file():
        return open_run_bundle(path)
    return Bundle.open(path)


def open_run_bundle(folder: Path) -> Bundle:
    """Open the bundle of a finished run.

    Raises
    ------
    InputError
        The folder is not a run folder, is damaged, or contains a run that has not finished.
    """
    require_finished(folder)
    model = folder / MODEL
    if (model / DOCUMENT).is_file():
        return Bundle.open(model)
    if (model / CONFIG).is_file() or (folder / CONFIG).is_file():
        raise InputError(
            f"{folder} was written by an earlier version of Milmer, or is not the model of a run: "
            f"it has no {DOCUMENT}.",
            "Train again, or give a folder that `milmer train` or `milmer export` wrote.",
        )
    raise InputError(f"{folder} is not a run folder: it has no {MODEL}/{DOCUMENT}.", EXPECTED)


def _from_hub(name: str, progress: Progress) -> Bundle:
    """Open a bundle of the Hugging Face Hub; its name states the commit."""
    repository, at, revision = name.partition("@")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise InputError(f"{HUB}{name}: expected a branch, a tag or a commit after @.", EXPECTED)
    folder, commit = fetch_model(repository, revision or None, FILES, progress)
    return Bundle.open(folder, f"{HUB}{repository}@{commit}")


def _demo() -> Bundle:
    path = Path(__file__).with_name(DEMO_FILE)
    if not path.is_file():
        raise InputError(
            "This installation of Milmer contains no demo model.",
            "Install the package from the package index, or run `milmer demo` and give "
            "--model demo/run.",
        )
    return Bundle.open(path, DEMO)
