"""Swin and SwinV2 backbones: found in a folder, on the hub, or made from nothing.

Any checkpoint of one serves, a fine-tuned image classifier too: its head is left behind.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants, try_to_load_from_cache
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    PretrainedConfig,
    PreTrainedModel,
    SwinConfig,
    SwinModel,
    Swinv2Config,
    Swinv2Model,
)
from transformers.utils import logging

from milmer_cli.errors import InputError, SettingsError, WeightsError

MODELS = {"swin": SwinModel, "swinv2": Swinv2Model}
PROBE_TIMEOUT_S = 5.0


class Backbone(NamedTuple):
    """A backbone with weights.

    ``unused`` names the weights of the checkpoint that are no part of it (a classifier's head).
    """

    model: PreTrainedModel
    unused: tuple[str, ...]


def load_backbone(name: str | Path, image_size: int = 0) -> Backbone:
    """Load a Swin or SwinV2 backbone.

    Parameters
    ----------
    name
        A folder written by ``save_pretrained``, a name on the hub, or ``scratch:tiny`` /
        ``scratch:micro`` for random weights.
    image_size
        Side of the square images it will see, in pixels; 0 for the checkpoint's own.

    Raises
    ------
    WeightsError
        The weights are nowhere to be had, or the checkpoint lacks some of the backbone's.
    """
    config = backbone_config(name, image_size)
    if is_scratch(name):
        return Backbone(MODELS[config.model_type](config, add_pooling_layer=False), ())
    model, unused = load_weights(
        MODELS[config.model_type],
        name,
        config=config,
        add_pooling_layer=False,
        local_files_only=_is_cached(name),
    )
    return Backbone(model, unused)


def load_weights(
    model_class: Any, source: str | Path, **options: Any
) -> tuple[Any, tuple[str, ...]]:
    """Load a checkpoint that holds every weight of the model, in evaluation mode.

    Parameters
    ----------
    model_class
        With ``from_pretrained``, which fills in what is missing with random numbers and only warns.
    source
        Folder or name on the hub.
    **options
        For ``from_pretrained``.

    Returns
    -------
    model
    unused : tuple of str
        What else the checkpoint holds.

    Raises
    ------
    WeightsError
        The file is missing or damaged, or lacks some of the weights or has them in another shape.
    """
    try:
        with quiet():
            model, info = model_class.from_pretrained(
                str(source), output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"The weights of {source} cannot be read: {str(error).splitlines()[0]}",
            "Take them from a copy, or make them again.",
        ) from error
    if lost := sorted({*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}):
        shown = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
        raise WeightsError(
            f"The checkpoint {source} lacks {len(lost)} of a {model_class.__name__}'s weights, or "
            f"has them in another shape ({shown}).",
            "Use a whole checkpoint, as this version's finetune-swin (a backbone) or train (a run) "
            "writes it.",
        )
    return model.eval(), tuple(sorted(info["unexpected_keys"]))


def backbone_config(name: str | Path, image_size: int = 0) -> PretrainedConfig:
    """Read the configuration of the backbone that `load_backbone` would load, not its weights."""
    if is_scratch(name):
        config = _scratch_config(str(name))
    else:
        if not Path(name).is_dir() and not _is_cached(name):
            _refuse_if_out_of_reach(name)
        try:
            with quiet():
                config = AutoConfig.from_pretrained(str(name), local_files_only=_is_cached(name))
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"No backbone could be read from {name}: {str(error).splitlines()[0]}",
                "Give a folder that finetune-swin wrote, a model name on the hub, or scratch:tiny.",
            ) from error
    if config.model_type not in MODELS:
        raise InputError(
            f"The backbone {name} is a {config.model_type}, not a Swin or SwinV2.",
            "Choose a Swin or SwinV2 checkpoint with model.backbone (--swin).",
        )
    if image_size:
        config.image_size = image_size
    _refuse_small_images(config)
    return config


def is_scratch(name: str | Path) -> bool:
    """Whether ``name`` asks for random weights."""
    return str(name).startswith("scratch:")


def feature_width(config: PretrainedConfig) -> int:
    """Width of the backbone's last tokens."""
    return int(config.embed_dim) * 2 ** (len(config.depths) - 1)


def normalised(images: Tensor, size: tuple[int, int], mean: Tensor, std: Tensor) -> Tensor:
    """Turn images into what a backbone takes.

    Parameters
    ----------
    images : (n, H, W, 3) uint8
    size
        (height, width) that the backbone wants; others are resized, smoothly.
    mean, std : (3,) float
        Of the values in 0-255.

    Returns
    -------
    Tensor
        (n, 3, height, width), of the type of ``mean``; computed in float32.
    """
    pixels = images.permute(0, 3, 1, 2).float()
    if tuple(pixels.shape[-2:]) != size:
        pixels = nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True)
        pixels = pixels.clamp(0, 255)
    pixels = (pixels - mean.float()[:, None, None]) / std.float()[:, None, None]
    return pixels.to(mean.dtype)


def image_size(config: PretrainedConfig) -> tuple[int, int]:
    """Height and width of the images the backbone sees, in pixels."""
    size = config.image_size
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def face_tokens(config: PretrainedConfig) -> int:
    """Tokens the backbone makes of one image."""
    rows, columns = last_grid(config)
    return rows * columns


def last_grid(config: PretrainedConfig) -> tuple[int, int]:
    """Rows and columns of the tokens that the backbone's last stage makes of one image."""
    pixels_a_token = config.patch_size * 2 ** (len(config.depths) - 1)
    height, width = image_size(config)
    return ceil(height / pixels_a_token), ceil(width / pixels_a_token)


def _refuse_small_images(config: PretrainedConfig) -> None:
    """Refuse what transformers' Swin cannot run; SwinV2 shrinks its windows by itself."""
    sides = last_grid(config)
    if config.model_type == "swin" and min(sides) < config.window_size:
        raise SettingsError(
            f"Images of {config.image_size} pixels end as {sides[0]} x {sides[1]} tokens, too few "
            f"for the backbone's windows of {config.window_size}.",
            f"Use at least {config.image_size * config.window_size // min(sides)} pixels.",
        )


def _scratch_config(name: str) -> PretrainedConfig:
    match name:
        case "scratch:tiny":
            return SwinConfig()
        case "scratch:micro":
            # Merged until few tokens are left, it learns where things are from a thousand pictures
            # within seconds: 64 pixels as 8 x 8, 4 x 4 and at last 2 x 2 tokens.
            return SwinConfig(
                image_size=64,
                patch_size=8,
                embed_dim=24,
                depths=[1, 1, 1],
                num_heads=[3, 6, 12],
                window_size=2,
            )
        case "scratch:tiny-v2":
            return Swinv2Config(image_size=256, window_size=8)
        case _:
            raise SettingsError(
                f"There is no backbone {name!r}.",
                "Use scratch:tiny, scratch:micro or scratch:tiny-v2.",
            )


def _is_cached(name: str | Path) -> bool:
    if Path(name).is_dir():
        return True
    return isinstance(try_to_load_from_cache(str(name), "config.json"), str)


def _refuse_if_out_of_reach(name: str | Path) -> None:
    """Ask the hub once: transformers would try for half a minute before it gives up."""
    hint = (
        "Connect once so that it is kept in the cache, or give a folder (finetune-swin writes "
        "one), or scratch:tiny for random weights."
    )
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(
            f"The backbone {name} is not in the cache and HF_HUB_OFFLINE is set.", hint
        )
    try:
        with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=PROBE_TIMEOUT_S):
            return
    except HTTPError:
        return  # it answered
    except (URLError, TimeoutError) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLError):
            return  # the hub's own client may know the certificate
        raise WeightsError(
            f"The backbone {name} is neither a folder nor in the cache, and {constants.ENDPOINT} "
            "cannot be reached.",
            hint,
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and tables; what matters is returned or raised."""
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
