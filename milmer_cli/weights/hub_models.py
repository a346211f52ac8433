"""Download models of Milmer from the Hugging Face Hub, through its cache.

Only files of listed names are downloaded, at one commit. Without a connection, the files in the
cache are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

from milmer_cli.errors import InputError, MilmerError, WeightsError, first_line
from milmer_cli.progress import SILENT, Progress
from milmer_cli.weights.download import TIMEOUT_S
from milmer_cli.weights.hub import is_repository

_TOKEN = "For a private model, run `hf auth login` first, or set HF_TOKEN."


class _NoProgressBar(tqdm):
    """Shows nothing: progress is shown by the command line only."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": True})


def fetch_model(
    repository: str, revision: str | None, names: Sequence[str], progress: Progress = SILENT
) -> tuple[Path, str]:
    """Return the folder of a model in the cache; it is downloaded if it is not there.

    Parameters
    ----------
    repository
        ``USER/NAME``.
    revision
        Branch, tag or commit; None for the main branch.
    names
        Names of the files to download.
    progress
        Receives a note before a download.

    Returns
    -------
    folder
        Contains the files as far as the repository has them, and possibly others.
    commit
        The commit of the files.

    Raises
    ------
    InputError
        There is no such model or revision, or it can neither be downloaded nor is in the cache.
    """
    if not is_repository(repository):
        raise InputError(
            f"hf:{repository[:100]}: expected hf:USER/NAME[@REVISION].",
            "Give the name of a model on the Hugging Face Hub.",
        )
    progress.note(f"Looking up {repository} on {constants.ENDPOINT}.")
    try:
        folder = Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(names),
                etag_timeout=TIMEOUT_S,
                tqdm_class=_NoProgressBar,
            )
        )
    except KeyboardInterrupt:
        raise
    except Exception as error:  # the HTTP library of huggingface_hub differs between its versions
        raise _explained(error, repository, revision) from error
    return folder, folder.name


def _explained(error: Exception, repository: str, revision: str | None) -> MilmerError:
    """Return the error as one sentence with a next step."""
    cause = error
    while isinstance(cause, LocalEntryNotFoundError) and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    endpoint = constants.ENDPOINT
    if isinstance(cause, OfflineModeIsEnabled):
        return WeightsError(
            f"{repository} is not in the cache ({constants.HF_HUB_CACHE}) and cannot be "
            "downloaded: HF_HUB_OFFLINE is set.",
            "Unset the variable, or give a folder or a zip file.",
        )
    if isinstance(cause, RevisionNotFoundError):
        return WeightsError(
            f"{repository} on {endpoint} has no revision {revision}.",
            "Give a branch, a tag or a commit of the repository after @.",
        )
    if isinstance(cause, GatedRepoError):
        return WeightsError(
            f"{repository} on {endpoint} requires its authors' permission.",
            f"Request access on its page. {_TOKEN}",
        )
    if isinstance(cause, RepositoryNotFoundError):
        return WeightsError(
            f"{endpoint} has no model {repository}, or it is private.",
            f"Check the name. {_TOKEN}",
        )
    return WeightsError(
        f"{repository} is not in the cache and cannot be downloaded from {endpoint}: "
        f"{first_line(cause).rstrip('.')}.",
        "Check the connection and the variables HTTPS_PROXY and NO_PROXY; with the files on "
        "another machine, give a folder or a zip file.",
    )
