"""The image processors of transformers: the size and the colors of the images that they return.

Their classes differ in their defaults and in their operations, so the colors are measured: a
processor gets uniform images, without changes of their size. Its values in JSON are the only input;
code in a checkpoint is never executed.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers import ImageProcessingMixin
from transformers.models.auto.image_processing_auto import (
    IMAGE_PROCESSOR_MAPPING_NAMES,
    get_image_processor_class_from_name,
)

from milmer_cli.models.library_messages import quiet

GENERIC = "ViTImageProcessor"
"""Resizes, rescales and normalizes, and nothing else."""
MAX_SIDE = 4096
"""Largest side of images, in pixels."""
SPECIAL_STEPS = ("do_flip_channel_order", "rescale_offset", "include_top")
"""Steps of single classes that change the colors."""
_COLOR_STEPS = ("do_rescale", "do_normalize", "do_flip_channel_order")
_VALUES = (
    *("do_resize", "size", "do_center_crop", "crop_size"),
    *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
    *SPECIAL_STEPS,
)
"""Values of a file that are used; others are for other data, or for images that are not square."""
_NOT_NULL = ("do_rescale", "rescale_factor", "do_normalize")
_PROBE_SIDE = 8
_TOLERANCE = 1e-4


def processor_class(values: Mapping[str, Any], model_type: str) -> Any:
    """Return the class of an image processor, as ``AutoImageProcessor`` would choose it.

    Parameters
    ----------
    values
        Content of its file.
    model_type
        Of the model beside it; used if ``values`` do not name a class. May be empty.

    Returns
    -------
    type or None
        None if the installed packages do not provide such a class (some need torchvision).
    """
    name = class_name(values)
    if not name:
        entry = IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type) or ()
        names = entry.values() if isinstance(entry, dict) else entry
        name = next((str(item) for item in names if item), "")
    base = name.removesuffix("Fast").removesuffix("Pil")
    for candidate in (f"{base}Pil", base):
        with quiet():
            found = get_image_processor_class_from_name(candidate) if base else None
        if isinstance(found, type) and issubclass(found, ImageProcessingMixin):
            return found
    return None


def class_name(values: Mapping[str, Any]) -> str:
    """Return the class that the file of an image processor names; may be empty."""
    older = values.get("feature_extractor_type") or ""
    name = values.get("image_processor_type")
    return str(name or str(older).replace("FeatureExtractor", GENERIC.removeprefix("ViT")))


def create_processor(processor_type: Any, values: Mapping[str, Any]) -> Any:
    """Create an image processor from the values that define its size and its colors.

    Parameters
    ----------
    processor_type
        Class of `processor_class`.
    values
        Content of the file.

    Raises
    ------
    ValueError
        A step is null although it has a default, or is not one of the class; other exceptions are
        those of transformers.
    """
    for key in _NOT_NULL:
        if values.get(key, 0) is None and getattr(processor_type, key, None) is not None:
            raise ValueError(f"{key} is null")
    accepted = {*dir(processor_type), *inspect.signature(processor_type.__init__).parameters}
    if ignored := [key for key in SPECIAL_STEPS if values.get(key) and key not in accepted]:
        raise ValueError(f"{ignored[0]} is set, but {processor_type.__name__} has no such step")
    with quiet():
        return processor_type(**{key: values[key] for key in _VALUES if key in values})


def output_size(processor: Any) -> tuple[int, int] | None:
    """Return the height and width of a square image after the processor; None if it keeps its size.

    Raises
    ------
    ValueError
        A side is not a number of pixels.
    """
    if getattr(processor, "do_center_crop", False):
        sides = processor.crop_size
    elif getattr(processor, "do_resize", False):
        sides = processor.size
    else:
        return None
    given = {key: side for key, side in dict(sides).items() if side is not None}
    for key, side in given.items():
        if type(side) is not int or not 1 <= side <= MAX_SIDE:
            raise ValueError(f"{key} is {side!r} instead of 1 to {MAX_SIDE} pixels")
    if "height" in given:
        return given["height"], given["width"]
    side = min(given.values())  # edges, or limits of the height and the width
    return side, side


def normalization(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and SD of RGB values in 0-1 that have the same effect as the processor.

    Raises
    ------
    ValueError
        The colors are not normalized channel by channel; other exceptions are those of
        transformers.
    """
    measured = _measure(processor)
    stated = _stated(processor)  # exact, whereas the processor computes in float32
    exact = (np.abs(stated - measured) <= _TOLERANCE * measured[1]).all()
    mean, std = (stated if exact else measured).tolist()
    return tuple(mean), tuple(std)


def _measure(processor: Any) -> np.ndarray:
    """Return mean and SD, (2, 3), from the processor's values for black, red, green and blue."""
    black, *others = _process_colors(processor)
    with np.errstate(invalid="ignore"):
        gains = np.array(others) - black  # rows: channels of the image; columns: of the result
    scale = np.diag(gains)
    if not np.isfinite(gains).all() or not gains.any():
        raise ValueError("its values are infinite, NaN or the same for all colors")
    if np.abs(gains - np.diag(scale)).max() > _TOLERANCE * np.abs(scale).max():
        raise ValueError("it reorders or mixes the color channels, such as BGR instead of RGB")
    if scale.min() <= 0:
        raise ValueError("it inverts or removes a color channel")
    return np.stack([-black / scale, 1 / scale])


def _process_colors(processor: Any) -> np.ndarray:
    """Return the processor's values, (4, 3), for uniform images in black, red, green and blue."""
    processor = copy.copy(processor)
    for step in [key for key in vars(processor) if key.startswith("do_")]:
        if step not in _COLOR_STEPS:
            setattr(processor, step, False)  # the size stays
    colors = 255 * np.vstack([np.zeros(3), np.eye(3)]).astype(np.uint8)
    images = [np.full((_PROBE_SIDE, _PROBE_SIDE, 3), color) for color in colors]
    with np.errstate(all="ignore"), quiet():
        pixels = processor(images, return_tensors="pt")["pixel_values"].double().numpy()
    if pixels.ndim != 4 or pixels.shape[:2] != (4, 3):
        raise ValueError(f"it returns arrays of the shape {pixels.shape[1:]} for an image")
    center: np.ndarray = pixels[:, :, pixels.shape[2] // 2, pixels.shape[3] // 2]
    return center


def _stated(processor: Any) -> np.ndarray:
    """Convert ``(x * rescale_factor - mean) / std`` to mean and SD, (2, 3), of values in 0-1."""
    scale = 255 * processor.rescale_factor if processor.do_rescale else 255.0
    mean, std = 0.0, 1.0
    if processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
    return np.array([np.broadcast_to(np.divide(value, scale), 3) for value in (mean, std)])
