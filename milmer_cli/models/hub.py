"""Names of backbones, and their files in the cache of the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import constants, try_to_load_from_cache
from transformers.utils import logging

from milmer_cli.errors import WeightsError

_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?", re.ASCII)
_WEIGHT_SUFFIXES = (".bin", ".ckpt", ".h5", ".onnx", ".pkl", ".pt", ".pth", ".safetensors")
_FOLDER_HINT = (
    "Give a folder that finetune-swin or save_pretrained wrote, a model name on the Hub as "
    "OWNER/NAME, or scratch:tiny for random weights."
)


def is_scratch(name: str | Path) -> bool:
    """Return whether ``name`` stands for a backbone with random weights."""
    return str(name).startswith("scratch:")


def local_folder(name: str | Path) -> Path:
    """Return the folder of a backbone, in the cache of the Hugging Face Hub if need be.

    transformers gets the folder and not the name, for which it would ask the Hub for other formats
    of the weights even if the files are in the cache.

    Raises
    ------
    WeightsError
        There is no such folder, and the cache lacks the model.
    """
    folder = own_folder(name)
    if folder is not None:
        return folder
    config = cached_file(name, "config.json")
    if config is not None:
        return config.parent
    if not _is_hub_name(name):
        raise WeightsError(_no_folder(name), _FOLDER_HINT)
    raise WeightsError(
        f"The backbone {name} is neither a folder nor in the cache of the Hugging Face Hub "
        f"({constants.HF_HUB_CACHE}).",
        f"Run `milmer weights fetch {name}` once with a connection, or give a folder "
        "(finetune-swin writes one), or scratch:tiny for random weights.",
    )


def own_folder(name: str | Path) -> Path | None:
    """Return ``name`` as a folder, with ``~`` expanded; None if there is no such folder."""
    try:
        folder = Path(name).expanduser()
        return folder if str(name) and folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # no file can have this name; no such user
        return None


def cached_file(name: str | Path, file_name: str) -> Path | None:
    """Return a file of a model in the cache of the Hugging Face Hub; None if it is not there."""
    if not _is_hub_name(name):
        return None
    cached = try_to_load_from_cache(str(name), file_name)
    return Path(cached) if isinstance(cached, str) else None


def _is_hub_name(name: str | Path) -> bool:
    """Return whether the Hub could have a model of this name."""
    if not _HUB_NAME.fullmatch(str(name)):
        return False
    return Path(str(name)).suffix.lower() not in _WEIGHT_SUFFIXES and not _is_file(name)


def _is_file(name: str | Path) -> bool:
    try:
        return bool(str(name)) and Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _no_folder(name: str | Path) -> str:
    if _is_file(name):
        return f"The backbone {name} is a file: expected a folder with config.json and weights."
    shown = f"{str(name)[:200]!r}"
    return f"The backbone {shown} does not exist: expected a folder or a model name on the Hub."


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the messages and progress bars of transformers."""
    verbosity = logging.get_verbosity()
    bars: Any = logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def offline() -> Iterator[None]:
    """Prevent downloads from the Hugging Face Hub by the code of other packages."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
