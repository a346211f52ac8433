"""Load backbones from a folder or the cache of the Hugging Face Hub, or with random weights.

Nothing is downloaded here; ``milmer weights fetch`` fills the cache.

A backbone is any image model of transformers (see `image_features`). The checkpoint of an image
classifier can be used as well; its classification head is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel, SwinConfig, Swinv2Config

from milmer_cli.errors import InputError, MilmerError, WeightsError, first_line, shorten
from milmer_cli.integrity import damaged_files
from milmer_cli.json_files import read_json
from milmer_cli.models.image_features import (
    backbone_class,
    backbone_options,
    create_backbone,
    feature_shape,
    image_size,
)
from milmer_cli.models.image_processor import load_image_processor
from milmer_cli.models.library_messages import quiet
from milmer_cli.models.pretrained_files import read_config, read_weights
from milmer_cli.weights.local_backbones import (
    CONFIG,
    CONFIG_HINT,
    is_scratch,
    local_folder,
    require_windows,
    scratch_config,
)

DIGESTS = "digests"
"""Entry of environment.json: checksums of the files of a model (`milmer_cli.integrity`)."""
MODEL_FILES = ("*.safetensors", "config.json", "preprocessor_config.json")
"""Glob patterns of the files of a backbone in a folder of finetune-swin."""

WINDOWED = ("swin", "swinv2")
"""Model types whose windows are built for the image size of the configuration, and whose weights do
not depend on it."""


_TOLERATED_NUMBERS = 100_000_000
"""Missing weights for which memory may be allocated before they are reported by name."""


def load_backbone(name: str | Path, image_size: int = 0) -> PreTrainedModel:
    """Load a backbone, in evaluation mode.

    Parameters
    ----------
    name
        A folder written by ``save_pretrained``, a name on the hub, or ``scratch:tiny``,
        ``scratch:micro`` or ``scratch:tiny-v2`` for random weights.
    image_size
        Side of the square input images, in pixels; 0 for that of the checkpoint.

    Raises
    ------
    WeightsError
        If the weights cannot be found or are incomplete.
    InputError
        If the checkpoint is not an image model, or is one for images of another size.
    SettingsError
        If the images are too small for the backbone.
    """
    config = backbone_config(name, image_size)
    if is_scratch(name):
        return create_backbone(config)
    model_class = backbone_class(config)
    model: PreTrainedModel = load_weights(
        model_class, local_folder(name), config=config, **backbone_options(model_class)
    )
    return model


def load_weights(
    model_class: Any, source: str | Path, config: PretrainedConfig | None = None, **options: Any
) -> Any:
    """Load a model in evaluation mode, and refuse incomplete weights.

    Parameters
    ----------
    model_class
        A class with ``from_pretrained``, which only warns about missing weights and initializes
        them at random.
    source
        Folder of the model.
    config
        Configuration of the model; None for that of the folder.
    **options
        Arguments of ``from_pretrained``.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or lacks weights or has them in another shape.
    """
    folder = Path(source)
    config = read_config(folder) if config is None else config
    model = model_of_weights(model_class, config, read_weights(folder), str(source), **options)
    _require_intact(folder)
    return model


def model_of_weights(
    model_class: Any,
    config: PretrainedConfig,
    weights: Mapping[str, torch.Tensor],
    origin: str,
    **options: Any,
) -> Any:
    """Create a model in evaluation mode from its weights, and refuse incomplete ones.

    Parameters
    ----------
    model_class, options
        As for `load_weights`.
    config
        Configuration of the model.
    weights
        Tensors by name.
    origin
        Where both come from, for messages.

    Raises
    ------
    WeightsError
        Weights are missing, or have another shape than in the configuration.
    """
    _check_class(model_class, config, origin)
    with quiet():
        _check_memory(model_class, config, options, weights, origin)
        model, info = model_class.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
    if lacking := incompatible_keys(info):
        raise WeightsError(
            f"The checkpoint {origin} lacks {len(lacking)} of the weights of "
            f"{model_class.__name__}, or has them in another shape ({shorten(lacking, 3)}).",
            "Give a complete checkpoint, written by this version of `milmer finetune-swin` (a "
            "backbone) or `milmer train` (a run).",
        )
    return model.eval()


def _check_memory(
    model_class: Any,
    config: PretrainedConfig,
    options: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    origin: str,
) -> None:
    """Refuse a model for which transformers would allocate much more than its weights."""
    try:
        with torch.device("meta"):
            model = model_class(config, **options)
    except (MilmerError, MemoryError):
        raise
    except Exception as error:  # torch and each architecture have errors of their own
        raise WeightsError(
            f"{origin} is damaged: {model_class.__name__} cannot be created with its {CONFIG} "
            f"({first_line(error)}).",
            CONFIG_HINT,
        ) from error
    expected = sum(parameter.numel() for parameter in model.parameters())
    stored = sum(tensor.numel() for tensor in weights.values())
    if expected > 2 * stored + _TOLERATED_NUMBERS:
        raise WeightsError(
            f"The checkpoint {origin} contains {stored:,} numbers, expected about {expected:,} by "
            "its config.json.",
            "Give a complete checkpoint, or restore config.json from a copy.",
        )


def _require_intact(folder: Path) -> None:
    """Compare the files of a backbone with the digests in environment.json, if there are any.

    Raises
    ------
    WeightsError
        A file has changed since it was written.
    """
    try:
        environment = read_json(folder / "environment.json")
    except InputError:  # none, or of another program
        return
    digests = environment.get(DIGESTS) if isinstance(environment, dict) else None
    own = {
        name: value
        for name, value in (digests if isinstance(digests, dict) else {}).items()
        if (folder / name).parent == folder
    }
    if damaged := damaged_files(folder, own):
        raise WeightsError(
            f"{folder} is damaged: {shorten(damaged)} changed since the training.",
            "Restore it from a copy, or train again.",
        )


def incompatible_keys(loading_info: dict[str, Any]) -> list[str]:
    """List the keys that ``from_pretrained`` did not find, or found in another shape."""
    mismatched = (key for key, *_ in loading_info["mismatched_keys"])
    return sorted({*loading_info["missing_keys"], *mismatched})


def backbone_config(name: str | Path, image_size: int = 0) -> PretrainedConfig:
    """Load the configuration of the backbone that `load_backbone` loads, without its weights.

    Parameters and errors are those of `load_backbone`.
    """
    config = _scratch_config(str(name)) if is_scratch(name) else read_config(local_folder(name))
    try:
        size = input_size(name, config, image_size)
        if config.model_type in WINDOWED:
            config.image_size = size[0] if size[0] == size[1] else size
        _check_image_size(config)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise WeightsError(
            f"The configuration of the backbone {name} is invalid: {first_line(error)}.",
            "Choose another backbone, or restore its config.json from a copy.",
        ) from error
    feature_shape(config, size)
    return config


def input_size(name: str | Path, config: PretrainedConfig, requested: int = 0) -> tuple[int, int]:
    """Return the height and width of the input images of a backbone.

    Parameters
    ----------
    name
        As for `load_backbone`.
    config
        Its configuration.
    requested
        Side in pixels; 0 for the size in ``preprocessor_config.json``, or else in ``config``.
    """
    if requested:
        return requested, requested
    return load_image_processor(name).size or image_size(config)


def _check_class(model_class: Any, config: PretrainedConfig, origin: str) -> None:
    expected = model_class.config_class
    if not isinstance(config, expected):
        raise WeightsError(
            f"{origin} contains a model of the type {config.model_type}: expected "
            f"{expected.model_type}.",
            "Give a folder that `milmer train` wrote.",
        )


def _check_image_size(config: PretrainedConfig) -> None:
    """Refuse images for which transformers' Swin fails; SwinV2 reduces its windows itself."""
    if config.model_type == "swin":
        require_windows(
            image_size(config), config.patch_size, len(config.depths), config.window_size
        )


def _scratch_config(name: str) -> PretrainedConfig:
    """Return the configuration of a backbone with random weights."""
    values = {**scratch_config(name)}
    return (SwinConfig if values.pop("model_type") == "swin" else Swinv2Config)(**values)
