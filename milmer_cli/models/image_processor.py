"""Preprocessing of face images: size and normalization, as the backbone was trained with.

transformers stores them beside the weights, in ``preprocessor_config.json`` or
``processor_config.json``. They are read as its own image processors read them. Face images are
square and already cropped, so they are resized and never cropped again; the filter is always
bicubic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from milmer_cli.errors import InputError
from milmer_cli.json_files import read_json, write_json
from milmer_cli.models.transformers_processor import (
    GENERIC,
    class_name,
    create_processor,
    normalization,
    output_size,
    processor_class,
)
from milmer_cli.weights.local_backbones import cached_file, is_scratch, own_folder

FILE = "preprocessor_config.json"
NESTED_FILE = "processor_config.json"
"""Of a processor for images and other data, with the values of `FILE` below ``image_processor``."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC = 3
"""Pillow's number of the filter."""
_HINT = "Restore the file from the model's source, or remove it to use ImageNet's normalization."


class ImageProcessor(NamedTuple):
    """Preprocessing of the images of a backbone.

    Attributes
    ----------
    size
        Height and width in pixels; None if the file does not contain them.
    mean, std
        Of the RGB values in 0-1, (3,).
    note
        One sentence if the normalization is assumed or uncertain; otherwise empty.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    note: str = ""


def load_image_processor(name: str | Path) -> ImageProcessor:
    """Read the preprocessing of a backbone; ImageNet's normalization if it does not define one.

    Parameters
    ----------
    name
        As for `backbones.load_backbone`.

    Raises
    ------
    InputError
        The file is damaged, or its normalization is not one of RGB images.
    """
    if is_scratch(name):
        return ImageProcessor()
    path, values = _read_values(name)
    if path is None:
        return ImageProcessor(note=_assumed(name))
    model_type = _model_type(path.with_name("config.json"))
    try:
        return _parse(values, model_type, name)
    except Exception as error:  # transformers raises any exception for values of another type
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: expected an image processor of transformers for RGB images (3 channels), got "
            f"one that cannot be used: {reason.rstrip('.')}.",
            "Choose another model.backbone, or restore the file from a copy.",
        ) from error


def write_image_processor(folder: Path, processor: ImageProcessor, size: tuple[int, int]) -> None:
    """Write the normalization, and the height and width, in the format of transformers."""
    height, width = size
    write_json(
        folder / FILE,
        {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": height, "width": width},
            "resample": BICUBIC,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(processor.mean),
            "image_std": list(processor.std),
        },
    )


def preprocess_images(images: Tensor, size: tuple[int, int], mean: Tensor, std: Tensor) -> Tensor:
    """Resize and normalize images for a backbone.

    Parameters
    ----------
    images : (n, H, W, 3) uint8
        RGB.
    size
        Height and width of the result; other sizes are resized (bicubic, antialiased).
    mean, std : (3,) float
        Of values in 0-255.

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


def _read_values(name: str | Path) -> tuple[Path | None, dict[str, Any]]:
    """Return the file and the values of the image processor; the nested ones come first."""
    for file, key in ((NESTED_FILE, "image_processor"), (FILE, "")):
        if path := _find_file(name, file):
            document = read_json(path, _HINT)
            if isinstance(document, dict) and key:
                document = document.get(key)
                if document is None:
                    continue  # it is of a tokenizer only
            if not isinstance(document, dict):
                raise InputError(
                    f"{path}: expected a JSON object with the values of an image processor, got "
                    f"{type(document).__name__}.",
                    _HINT,
                )
            return path, document
    return None, {}


def _find_file(name: str | Path, file: str) -> Path | None:
    folder = own_folder(name)
    if folder is None:
        return cached_file(name, file)
    return folder / file if (folder / file).exists() else None


def _model_type(config: Path) -> str:
    values = read_json(config) if config.is_file() else {}
    return str(values.get("model_type", "")) if isinstance(values, dict) else ""


def _parse(values: dict[str, Any], model_type: str, name: str | Path) -> ImageProcessor:
    processor_type, note = processor_class(values, model_type), ""
    if processor_type is None:
        processor_type = processor_class({"image_processor_type": GENERIC}, "")
        values, note = _explicit_values(values, name)
    processor = create_processor(processor_type, values)
    has_size = any(values.get(key) is not None for key in ("size", "crop_size"))
    size = output_size(processor) if has_size else None
    return ImageProcessor(size, *normalization(processor), note)


def _explicit_values(values: dict[str, Any], name: str | Path) -> tuple[dict[str, Any], str]:
    """Return the values of a class that transformers lacks, without its defaults, and the note."""
    given = [key for key in ("image_mean", "image_std") if key in values]
    if values.get("do_normalize", True) and not given:
        return {**values, "image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}, _assumed(name)
    if len(given) == 1:
        raise ValueError(f"it contains {given[0]} only, expected image_mean and image_std")
    written = class_name(values)
    note = (
        f"{name} has the image processor {written}, which the installed transformers cannot "
        "create: its size and normalization are used as they are written."
    )
    return values, note if written else ""


def _assumed(name: str | Path) -> str:
    return (
        f"{name} does not define the normalization of its images ({FILE}): ImageNet's mean and "
        "standard deviation are used."
    )
