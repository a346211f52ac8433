"""Configuration and weights of a model folder, read without running code that a file selects.

A folder may come from anybody. Its ``config.json`` can name code to run (``auto_map``), kernels to
download (``attn_implementation``) and other files to load, so only the keys that the class of its
model type defines are used. Weights are read as tensors only.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # only to catch it: nothing is unpickled here
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoConfig, PretrainedConfig

from milmer_cli.errors import InputError, WeightsError, first_line
from milmer_cli.input_files import require_regular_file
from milmer_cli.json_files import read_json
from milmer_cli.weights.local_backbones import CONFIG, CONFIG_HINT, require_config

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of the weights by preference; each can be split into files that NAME.index.json lists."""

COMMON_KEYS = frozenset(
    {"dtype", "id2label", "label2id", "num_labels", "problem_type", "rope_theta", "torch_dtype"}
)
"""Keys that every model type accepts, also where they are not arguments of its class."""

SELECTING_KEYS = frozenset(
    {
        "architectures", "attn_implementation", "auto_map", "backbone", "backbone_kwargs",
        "experts_implementation", "kwargs", "name_or_path", "quantization_config", "self",
        "transformers_version", "use_pretrained_backbone", "use_timm_backbone",
    }
)  # fmt: skip
"""Keys that select code or other files, and keys without any use here."""

DTYPES = ("float16", "bfloat16", "float32", "float64")
MAX_LAYERS = 1000
"""Layers of a model at most; real ones have some hundred. Modules are created one by one."""
_LAYER_COUNTS = re.compile(r"depth|repeats|num_.*(?:layer|block|stage)|layers$")
"""Part of the keys that contain numbers of layers."""
UNSUPPORTED_LIBRARY = "timm"
"""Model types of this library load files by names in the configuration."""

_WEIGHTS_HINT = (
    "Restore the file from a copy, or train again; for a model on the Hugging Face Hub, run "
    "`milmer weights fetch`."
)


def read_config(folder: Path) -> PretrainedConfig:
    """Read the configuration of a model folder.

    Raises
    ------
    WeightsError
        There is no configuration, or it is not one of an unquantized model that the installed
        transformers contains.
    """
    path = require_config(folder)
    return known_config(read_json(path, CONFIG_HINT), str(path))


def known_config(values: Any, origin: str) -> PretrainedConfig:
    """Create a configuration from JSON values; keys that its class does not define are ignored.

    Parameters
    ----------
    values
        Contents of a ``config.json``, or of a configuration inside it.
    origin
        Where the values come from, for messages.

    Raises
    ------
    WeightsError
        The values are not the configuration of a model that transformers contains.
    """
    model_type = values.get("model_type") if isinstance(values, dict) else None
    config_class = _config_class(model_type)
    if config_class is None:
        raise WeightsError(
            f"{origin}: expected a model type of the installed transformers, got {model_type!r}.",
            f"{CONFIG_HINT} Code in a model folder is never run.",
        )
    if _names_key(values, "quantization_config"):
        raise WeightsError(
            f"{origin} describes quantized weights, which are not supported.",
            "Give the model before its quantization.",
        )
    if too_many := _key_of_too_many_layers(values):
        raise WeightsError(
            f"{origin}: expected at most {MAX_LAYERS:,} layers, got more in {too_many}.",
            CONFIG_HINT,
        )
    try:
        return AutoConfig.for_model(model_type, **_known_values(config_class, values))
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each configuration class has errors of its own
        raise WeightsError(
            f"{origin} is not a valid configuration of the model type {model_type}: "
            f"{first_line(error)}",
            CONFIG_HINT,
        ) from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the weights of a model folder: safetensors, or the tensors of a ``torch.save`` file.

    Raises
    ------
    WeightsError
        A file is missing or damaged, or contains anything but tensors.
    """
    for name in WEIGHTS:
        if (folder / name).exists():
            return read_tensors(folder / name)
        index = folder / f"{name}.index.json"
        if index.exists():
            weights: dict[str, Tensor] = {}
            for part in _indexed_files(index, Path(name).suffix):
                weights |= read_tensors(part)
            return weights
    raise WeightsError(
        f"The weights of {folder} cannot be read: it has neither {' nor '.join(WEIGHTS)}.",
        _WEIGHTS_HINT,
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors. A pickle is read without creating any other object.

    Raises
    ------
    InputError
        The file does not exist or is not a regular file.
    WeightsError
        The file is damaged or contains anything but named tensors.
    """
    require_regular_file(path)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load_pickle(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"The weights {path} cannot be read: {first_line(error)}", _WEIGHTS_HINT
        ) from error
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError,
            AttributeError, IndexError, AssertionError) as error:  # fmt: skip
        raise WeightsError(
            f"{path} is not a state dict of tensors, and other pickled objects are never loaded.",
            "Give the file that torch.save(model.state_dict(), FILE) wrote, or safetensors.",
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise WeightsError(
            f"{path} is not a state dict: expected a dictionary of named tensors.",
            "Give the file that torch.save(model.state_dict(), FILE) wrote.",
        )
    return dict(state)


def parse_tensors(content: bytes, origin: str) -> dict[str, Tensor]:
    """Read the content of a safetensors file.

    Raises
    ------
    WeightsError
        The content is damaged; ``origin`` is where it comes from.
    """
    try:
        return dict(load(content))
    except (
        SafetensorError,
        ValueError,
        KeyError,
        RuntimeError,
        TypeError,
        AttributeError,
    ) as error:
        raise WeightsError(
            f"The weights {origin} cannot be read: {first_line(error)}", _WEIGHTS_HINT
        ) from error


def _load_pickle(path: Path) -> Any:
    mapped = False  # before version 1.6, torch.save did not write zip files
    with contextlib.suppress(zipfile.BadZipFile):  # is_zipfile raises it for some damaged files
        mapped = zipfile.is_zipfile(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how the file was pickled
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _indexed_files(index: Path, suffix: str) -> list[Path]:
    """List the files of split weights; only files of the same folder and format."""
    content = read_json(index, _WEIGHTS_HINT)
    names = content.get("weight_map") if isinstance(content, dict) else None
    files = set(names.values()) if isinstance(names, dict) and _all_text(names.values()) else set()
    if not files or any(Path(name).name != name or Path(name).suffix != suffix for name in files):
        raise WeightsError(
            f"{index} is damaged: expected weight_map with {suffix} files of the same folder.",
            _WEIGHTS_HINT,
        )
    return [index.parent / name for name in sorted(files)]


def _all_text(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _config_class(model_type: Any) -> Any:
    if not isinstance(model_type, str) or model_type.startswith(UNSUPPORTED_LIBRARY):
        return None
    try:
        return CONFIG_MAPPING[model_type]
    except KeyError:
        return None


def _known_values(config_class: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the values whose keys the class defines, also in the configurations inside it."""
    sub_configs = getattr(config_class, "sub_configs", {})
    known: dict[str, Any] = {}
    for key in _known_keys(config_class) & set(values):
        value = values[key]
        if key in ("dtype", "torch_dtype") and value not in DTYPES:
            continue
        if isinstance(value, Mapping) and key in sub_configs:
            value = _known_sub_config(sub_configs[key], value)
        known[key] = value
    return known


def _known_sub_config(sub_class: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    model_type = values.get("model_type")
    config_class = _config_class(model_type) if sub_class is AutoConfig else sub_class
    if config_class is None:
        raise WeightsError(
            f"A configuration inside {CONFIG}: expected a model type of the installed "
            f"transformers, got {model_type!r}.",
            CONFIG_HINT,
        )
    known = _known_values(config_class, values)
    return {**known, "model_type": model_type} if sub_class is AutoConfig else known


def _known_keys(config_class: Any) -> set[str]:
    """Return the arguments of a configuration class and its parents, without unsafe ones."""
    keys = {*COMMON_KEYS, *getattr(config_class, "attribute_map", {})}
    for parent in config_class.__mro__:
        if issubclass(parent, PretrainedConfig):
            keys.update(inspect.signature(parent.__init__).parameters)
    return {key for key in keys - SELECTING_KEYS if not key.startswith("_")}


def _names_key(values: Any, key: str) -> bool:
    """Return whether a key with a value occurs in JSON values, at any depth."""
    if isinstance(values, Mapping):
        return bool(values.get(key)) or any(_names_key(item, key) for item in values.values())
    return isinstance(values, list) and any(_names_key(item, key) for item in values)


def _key_of_too_many_layers(values: Any) -> str:
    """Return the first key with more than `MAX_LAYERS` layers, at any depth; empty if none."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if _LAYER_COUNTS.search(str(key)) and _sum_of_integers(value) > MAX_LAYERS:
                return str(key)
        values = list(values.values())
    if not isinstance(values, list):
        return ""
    return next(filter(None, map(_key_of_too_many_layers, values)), "")


def _sum_of_integers(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_sum_of_integers, value))
    return max(0, value) if isinstance(value, int) else 0
