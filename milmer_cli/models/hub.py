"""Names of backbones, and their files in the cache of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import constants, try_to_load_from_cache
from transformers.utils import logging

from milmer_cli.errors import WeightsError


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
    if Path(name).is_dir():
        return Path(name)
    config = try_to_load_from_cache(str(name), "config.json")
    if not isinstance(config, str):
        raise WeightsError(
            f"The backbone {name} is neither a folder nor in the cache of the Hugging Face Hub "
            f"({constants.HF_HUB_CACHE}).",
            f"Run `milmer weights fetch {name}` once with a connection, or give a folder "
            "(finetune-swin writes one), or scratch:tiny for random weights.",
        )
    return Path(config).parent


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
