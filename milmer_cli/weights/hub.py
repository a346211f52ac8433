"""Backbones in the cache of the Hugging Face Hub.

huggingface_hub starts an interrupted download from the beginning. Large files are therefore
downloaded by `download` into the place where the cache expects them, and checked there: the Hub
gives the SHA-256 of every file in Git LFS, and the cache names the file by it. huggingface_hub then
adds the small files and links all of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import (
    HfApi,
    constants,
    get_token,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from milmer_cli.errors import InputError, MilmerError, WeightsError
from milmer_cli.input_files import read_input
from milmer_cli.json_files import read_json
from milmer_cli.progress import SILENT, Progress
from milmer_cli.weights.checksums import Checksum
from milmer_cli.weights.download import RECIPE, TIMEOUT_S, download
from milmer_cli.weights.result import State, WeightFile

_CONFIGS = ("config.json", "preprocessor_config.json", "processor_config.json")
_WEIGHTS = (
    ("model*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model*.bin", "pytorch_model.bin.index.json"),
)
_INDEX_SUFFIX = ".index.json"
"""Patterns of the files of a model; the second line if there is no file of the first."""
_SHA256_LENGTH = 64


def hub_cache() -> Path:
    """Return the folder of the cache."""
    return Path(constants.HF_HUB_CACHE)


def cached_files(repository: str, verify: bool) -> tuple[WeightFile, ...]:
    """Return the files of a backbone in the cache; none if there is none or it has no weights.

    Parameters
    ----------
    repository
        Name on the Hub, such as ``microsoft/swin-tiny-patch4-window7-224``.
    verify
        Compute the checksums.
    """
    config = try_to_load_from_cache(repository, _CONFIGS[0])
    if not isinstance(config, str):
        return ()
    paths = {path.name: path for path in Path(config).parent.iterdir()}
    names = model_files(list(paths))
    if set(names) <= set(_CONFIGS):
        return ()
    folder = Path(config).parent
    lacking = _missing_shards(folder, names)
    return tuple(_weight_file(repository, folder / name, verify) for name in [*names, *lacking])


def is_repository(name: str) -> bool:
    """Return whether ``name`` can be one on the Hub, ``OWNER/NAME``."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def _missing_shards(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the weight files that an index or the number of another one requires."""
    required = set()
    for name in names:
        if numbers := re.fullmatch(r"(.*-)(\d{5})-of-(\d{5})(\..*)", name):
            stem, _, count, suffix = numbers.groups()
            required |= {f"{stem}{i:05}-of-{count}{suffix}" for i in range(1, int(count) + 1)}
        if name.endswith(_INDEX_SUFFIX) and (folder / name).is_file():
            required |= _indexed_files(folder / name)
    return sorted(required - set(names))


def _indexed_files(index: Path) -> set[str]:
    try:
        weight_map = read_json(index)["weight_map"]
        return {Path(file).name for file in weight_map.values()}
    except (InputError, KeyError, TypeError, AttributeError):
        return set()  # a damaged index is found by its checksum


def model_files(names: Sequence[str]) -> list[str]:
    """Return those of the files of a repository that a backbone needs."""
    for patterns in _WEIGHTS:
        if weights := [name for name in names if any(fnmatch(name, p) for p in patterns)]:
            break
    return [name for name in _CONFIGS if name in names] + sorted(weights)


def fetch_backbone(repository: str, mirror: str = "", progress: Progress = SILENT) -> None:
    """Download a backbone into the cache, as far as it is not there yet.

    Parameters
    ----------
    repository
        Name on the Hub.
    mirror
        Address of a mirror of the Hub; it gets no access token. Empty for the Hub, or for that of
        the variable ``HF_ENDPOINT``.
    progress
        Advanced by megabytes, one task per file.

    Raises
    ------
    WeightsError
        The Hub cannot be reached, lacks the backbone, or sent a file with another checksum.
    """
    api = HfApi(endpoint=mirror or constants.ENDPOINT, token=False if mirror else None)
    with _hub_errors(repository, api.endpoint):
        info = api.model_info(repository, files_metadata=True, timeout=TIMEOUT_S)
        siblings = {item.rfilename: item for item in info.siblings or ()}
        names = model_files(list(siblings))
        if _CONFIGS[0] not in names or set(names) <= set(_CONFIGS):
            raise WeightsError(f"{repository} on {api.endpoint} is no model of transformers.")
        for name in names:
            _fetch_large_file(api, repository, siblings[name], progress)
            hf_hub_download(
                repository, name, endpoint=api.endpoint, etag_timeout=TIMEOUT_S, token=api.token
            )


def _fetch_large_file(
    api: HfApi, repository: str, sibling: RepoSibling, progress: Progress
) -> None:
    """Download a file in Git LFS into the cache, unless it is there."""
    if sibling.lfs is None:
        return
    folder = hub_cache() / repo_folder_name(repo_id=repository, repo_type="model")
    blob = folder / "blobs" / sibling.lfs.sha256
    checksum = Checksum(sibling.lfs.sha256, "given by the Hugging Face Hub")
    if not (blob.is_file() and checksum.matches(blob)):
        url = hf_hub_url(repository, sibling.rfilename, endpoint=api.endpoint)
        token = get_token() if api.token is None else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        download(url, blob, checksum, headers, progress)


def _weight_file(repository: str, path: Path, verify: bool) -> WeightFile:
    digest = path.resolve().name  # the cache names files by their SHA-256, or by their git hash
    checksum = None
    if len(digest) == _SHA256_LENGTH:
        checksum = Checksum(digest, "given by the Hugging Face Hub")
    state: State = "present"
    if not path.is_file():  # also a link in the cache to a file that was removed
        state = "missing"
    elif verify and path.is_symlink():
        intact = checksum.matches(path) if checksum else _git_hash(path) == digest
        state = "verified" if intact else "damaged"
    elif verify:
        state = "unverified"  # caches without links do not contain the hashes
    return WeightFile(path, hf_hub_url(repository, path.name), state, checksum)


def _git_hash(path: Path) -> str:
    content = read_input(path)
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def _hub_errors(repository: str, endpoint: str) -> Iterator[None]:
    """Report the errors of huggingface_hub in one sentence."""
    hint = (
        "Check the name, the connection and the variables HTTPS_PROXY and NO_PROXY; give another "
        f"source with --mirror, {RECIPE}."
    )
    try:
        yield
    except (MilmerError, KeyboardInterrupt):
        raise
    except OfflineModeIsEnabled as error:
        raise WeightsError(
            f"{repository} cannot be downloaded: HF_HUB_OFFLINE is set.",
            f"Unset the variable, {RECIPE}.",
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(f"{endpoint} has no model {repository}.", hint) from error
    except Exception as error:  # the HTTP library of huggingface_hub differs between its versions
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"{repository} cannot be downloaded from {endpoint}: {reason.rstrip('.')}.", hint
        ) from error
