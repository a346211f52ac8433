"""Names of backbones, and their files on this machine, without importing torch or transformers.

The command line checks a backbone with `require_backbone` before anything slow is imported.
"""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path
from typing import Any

from huggingface_hub import constants, try_to_load_from_cache

from milmer_cli.errors import InputError, SettingsError, WeightsError
from milmer_cli.json_files import read_json

_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?", re.ASCII)
_WEIGHT_SUFFIXES = (".bin", ".ckpt", ".h5", ".onnx", ".pkl", ".pt", ".pth", ".safetensors")
CONFIG = "config.json"
SWIN = {"patch_size": 4, "depths": [2, 2, 6, 2], "window_size": 7}
"""Defaults of transformers' SwinConfig that `require_windows` needs."""
SCRATCH: dict[str, dict[str, Any]] = {
    "scratch:tiny": {"model_type": "swin"},
    # Patches are merged until 2 x 2 tokens are left (8 x 8, 4 x 4, 2 x 2 for 64 pixels).
    # Such a network learns positions from a thousand images within seconds.
    "scratch:micro": {
        "model_type": "swin",
        "image_size": 64,
        "patch_size": 8,
        "embed_dim": 24,
        "depths": [1, 1, 1],
        "num_heads": [3, 6, 12],
        "window_size": 2,
    },
    "scratch:tiny-v2": {"model_type": "swinv2", "image_size": 256, "window_size": 8},
}
"""Backbones with random weights, and their configurations."""

CONFIG_HINT = (
    "Give a folder that finetune-swin or save_pretrained wrote, a model name on the Hub, or "
    "scratch:tiny."
)
_FOLDER_HINT = (
    "Give a folder that finetune-swin or save_pretrained wrote, a model name on the Hub as "
    "OWNER/NAME, or scratch:tiny for random weights."
)


def require_backbone(name: str, image_size: int = 0) -> None:
    """Check that a backbone is on this machine, and accepts images of a size.

    Whether its files are valid is checked when they are loaded.

    Parameters
    ----------
    name
        A folder, a name on the Hub, or a key of `SCRATCH`.
    image_size
        Side of the square input images, in pixels; 0 for that of the checkpoint.

    Raises
    ------
    WeightsError
        There is no such backbone, or its folder has no configuration.
    SettingsError
        There is no such random backbone, or the images are too small.
    """
    values = scratch_config(name) if is_scratch(name) else _read_config(local_folder(name))
    if image_size and values.get("model_type") == "swin":
        swin = {**SWIN, **values}
        try:
            require_windows(
                (image_size, image_size),
                int(swin["patch_size"]),
                len(swin["depths"]),
                int(swin["window_size"]),
            )
        except (TypeError, ValueError):  # an invalid configuration, which loading describes
            return


def scratch_config(name: str) -> dict[str, Any]:
    """Return the configuration of a backbone with random weights.

    Raises
    ------
    SettingsError
        There is no such backbone.
    """
    if name not in SCRATCH:
        raise SettingsError(
            f"model.backbone: expected scratch:tiny, scratch:micro or scratch:tiny-v2, got "
            f"{name!r}.",
            "Use one of them, a folder or a model name on the hub.",
        )
    return SCRATCH[name]


def require_windows(
    size: tuple[int, int], patch_size: int, n_stages: int, window_size: int
) -> None:
    """Check that images have enough tokens for the windows of a Swin.

    Parameters
    ----------
    size
        Height and width of the images, in pixels.
    patch_size
        Pixels of a token before the first stage.
    n_stages
        Stages; the tokens are halved between two of them.
    window_size
        Tokens of a window.

    Raises
    ------
    SettingsError
        The images are too small.
    """
    height, width = size
    pixels_per_token = patch_size * 2 ** (n_stages - 1)
    grid = ceil(height / pixels_per_token), ceil(width / pixels_per_token)
    if min(grid) < window_size:
        smallest = min(size) * window_size // min(grid)
        raise SettingsError(
            f"Images of {height} x {width} pixels have {grid[0]} x {grid[1]} tokens after the "
            f"last stage: expected at least the backbone's windows of {window_size}.",
            f"Use images of at least {smallest} x {smallest} pixels.",
        )


def require_config(folder: Path) -> Path:
    """Return the configuration file of a model folder.

    Raises
    ------
    WeightsError
        There is none.
    """
    path = folder / CONFIG
    if not path.exists():
        raise WeightsError(f"{folder} is not a model folder: it has no {CONFIG}.", CONFIG_HINT)
    return path


def _read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration; {} if it is damaged, which loading describes."""
    path = require_config(folder)
    try:
        values = read_json(path)
    except InputError:
        return {}
    return values if isinstance(values, dict) else {}


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
    config = cached_file(name, CONFIG)
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
