"""The tokens of an image from any image model of transformers.

A backbone is the class that ``AutoModel`` would create, without a pooling layer. Its tokens are its
last hidden state: all tokens of a transformer, also its CLS and register tokens (the CLS token is
what a fine-tuned classifier of the ViT family reads), and the positions of a feature map. Width and
number of tokens are derived from a forward pass without data.

Only classes of the installed transformers are created; code in a checkpoint is never executed.
"""

from __future__ import annotations

import functools
import inspect
import json
from typing import Any

import torch
from torch import Tensor
from transformers import MODEL_MAPPING, AutoConfig, PretrainedConfig

from milmer_cli.errors import InputError

DEFAULT_IMAGE_SIZE = 224


def backbone_class(config: PretrainedConfig) -> Any:
    """Return the model class of a configuration.

    Raises
    ------
    InputError
        If it is not a model of single images.
    """
    model_class = MODEL_MAPPING.get(type(config), None)
    if getattr(model_class, "main_input_name", "") != "pixel_values":
        raise _unsupported(model_class, config, "its input is not an image")
    if getattr(config, "mask_ratio", 0):
        raise _unsupported(model_class, config, "it masks parts of the image at random")
    return model_class


def backbone_options(model_class: Any) -> dict[str, Any]:
    """Return the arguments with which a class creates no pooling layer, which is not used."""
    accepted = inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in accepted else {}


def create_backbone(config: PretrainedConfig) -> Any:
    """Create a backbone with random weights."""
    model_class = backbone_class(config)
    return model_class(config, **backbone_options(model_class))


def image_tokens(backbone: Any, pixels: Tensor) -> Tensor:
    """Run a backbone.

    Parameters
    ----------
    backbone
        A model of `create_backbone`.
    pixels : (n, 3, height, width) float

    Returns
    -------
    Tensor
        (n, N, d). The positions of a feature map, (n, d, rows, columns), are its tokens.
    """
    states: Tensor = backbone(pixels).last_hidden_state
    return states.flatten(2).transpose(1, 2) if states.ndim == 4 else states


def feature_shape(config: PretrainedConfig, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the number of tokens of an image, and their width.

    Parameters
    ----------
    config
        Configuration of the backbone.
    size
        Height and width of the images; None for those of ``config``.

    Raises
    ------
    InputError
        If the model cannot process such images, or does not return tokens.
    """
    backbone_class(config)
    text = config.to_json_string(use_diff=False)
    return _feature_shape(text, size or image_size(config))


@functools.cache
def _feature_shape(config_json: str, size: tuple[int, int]) -> tuple[int, int]:
    config = AutoConfig.for_model(**json.loads(config_json))
    try:
        with torch.device("meta"), torch.no_grad():
            tokens = image_tokens(create_backbone(config).eval(), torch.empty(1, 3, *size))
        _, n_tokens, width = tokens.shape
    except Exception as error:  # each model has errors of its own for sizes that do not fit
        reason = " ".join(str(error).split())[:200]
        images = f"a forward pass with images of {size[0]} x {size[1]} pixels fails: {reason}"
        raise _unsupported(backbone_class(config), config, images) from error
    return n_tokens, width


def image_size(config: PretrainedConfig) -> tuple[int, int]:
    """Return the height and width of the images of a configuration, in pixels."""
    size = getattr(config, "image_size", DEFAULT_IMAGE_SIZE)
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _unsupported(model_class: Any, config: PretrainedConfig, reason: str) -> InputError:
    name = getattr(model_class, "__name__", config.model_type)
    return InputError(
        f"{name} cannot be the backbone: {reason}.",
        "Choose an image model of transformers, such as Swin, SwinV2, ViT, DINOv2 or ConvNeXt, and "
        "the size of its images.",
    )
