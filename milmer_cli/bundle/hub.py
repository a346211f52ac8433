"""Upload a bundle to the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from milmer_cli.errors import InputError, MilmerError, first_line
from milmer_cli.weights.hub import is_repository

_UNAUTHORIZED, _FORBIDDEN = 401, 403


def require_repository(name: str) -> None:
    """Check the name of a repository on the Hub.

    Raises
    ------
    InputError
        It is not ``USER/NAME``.
    """
    if not is_repository(name):
        raise InputError(
            f"--push: expected USER/NAME, got {name[:100]!r}.",
            "Use letters, digits, '-', '_' and '.' in both parts.",
        )


def push_files(repository: str, files: dict[str, Path], public: bool) -> str:
    """Upload files as one commit; the repository is created if there is none.

    Parameters
    ----------
    repository
        ``USER/NAME``.
    files
        Name in the repository -> file.
    public
        Whether a new repository is public. The visibility of an existing one does not change.

    Returns
    -------
    str
        The commit.

    Raises
    ------
    InputError
        The user is not logged in, has no permission, or the repository has another visibility.
    MilmerError
        The Hub cannot be reached or refuses the upload.
    """
    require_repository(repository)
    if not get_token():
        raise InputError(
            "The Hugging Face Hub requires a login for an upload, and no access token was found.",
            "Run `hf auth login`, or set HF_TOKEN to a token with write access.",
        )
    api = HfApi(library_name="milmer")
    with _explained(repository):
        api.create_repo(repository, private=not public, exist_ok=True)
        is_private = bool(api.model_info(repository).private)
        if is_private == public:
            state = "private" if is_private else "public"
            raise InputError(
                f"{repository} on {constants.ENDPOINT} exists and is {state}.",
                "Leave out --public, or change the visibility in the settings of the repository."
                if is_private
                else "Give --public to publish the model, or another name.",
            )
        commit = api.create_commit(
            repository,
            [CommitOperationAdd(name, file) for name, file in sorted(files.items())],
            commit_message="Upload a model with Milmer",
        )
    return commit.oid


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Report the errors of huggingface_hub in one sentence with a next step."""
    endpoint = constants.ENDPOINT
    try:
        yield
    except (MilmerError, KeyboardInterrupt):
        raise
    except OfflineModeIsEnabled as error:
        raise InputError(
            f"{repository} cannot be uploaded: HF_HUB_OFFLINE is set.", "Unset the variable."
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status == _UNAUTHORIZED:
            raise InputError(
                f"{endpoint} does not accept the access token.",
                "Run `hf auth login` with a token that has write access.",
            ) from error
        if status == _FORBIDDEN:
            raise InputError(
                f"The access token has no permission to write {repository} on {endpoint}.",
                "Use your own user name or an organization of yours, and a token with write "
                "access.",
            ) from error
        raise _failed(repository, error) from error
    except Exception as error:  # the HTTP library of huggingface_hub differs between its versions
        raise _failed(repository, error) from error


def _failed(repository: str, error: Exception) -> MilmerError:
    reason = first_line(error).rstrip(".")
    return MilmerError(
        f"{repository} cannot be uploaded to {constants.ENDPOINT}: {reason}.",
        "Check the connection and the variables HTTPS_PROXY and NO_PROXY, then run the same "
        "command again.",
    )
