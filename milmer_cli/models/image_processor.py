"""Preprocessing of face images: size and normalization, as the backbone was trained with.

transformers stores them beside the weights, in ``preprocessor_config.json``. Face images are square
and already cropped, so they are resized and never cropped again; the filter is always bicubic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from milmer_cli.errors import InputError
from milmer_cli.io import read_json_object, write_json
from milmer_cli.models.hub import cached_file, is_scratch, own_folder

FILE = "preprocessor_config.json"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC = 3
"""Pillow's number of the filter."""
_HINT = f"Restore {FILE} from the model's source, or remove it to use ImageNet's normalization."


class ImageProcessor(NamedTuple):
    """Preprocessing of the images of a backbone.

    Attributes
    ----------
    size
        Height and width in pixels; None if the file does not define them.
    mean, std
        Of the RGB values in 0-1, (3,).
    note
        One sentence if the normalization is assumed; otherwise empty.
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
        The file is damaged, or its images do not have three channels.
    """
    if is_scratch(name):
        return ImageProcessor()
    path = _find_file(name)
    values = read_json_object(path, hint=_HINT) if path else {}
    try:
        if "image_mean" in values or not values.get("do_normalize", True):
            return _parse(values, name)
        size = _size(values)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a configuration of an image processor.", _HINT) from error
    return ImageProcessor(
        size=size,
        note=f"{name} does not define the normalization of its images ({FILE}): ImageNet's mean "
        "and standard deviation are used.",
    )


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


def _find_file(name: str | Path) -> Path | None:
    folder = own_folder(name)
    if folder is None:
        return cached_file(name, FILE)
    return folder / FILE if (folder / FILE).exists() else None


def _parse(values: dict[str, Any], name: str | Path) -> ImageProcessor:
    """Convert ``(x * rescale_factor - mean) / std`` to a mean and SD of values in 0-1."""
    mean, std = [0.0] * 3, [1.0] * 3
    if values.get("do_normalize", True):
        mean, std = values["image_mean"], values.get("image_std", [])
    if len(mean) != 3 or len(std) != 3:
        raise InputError(
            f"{name}: expected image_mean and image_std of 3 channels in {FILE}, got {mean} and "
            f"{std}.",
            "Choose a backbone for RGB images with model.backbone.",
        )
    factor = values.get("rescale_factor", 1 / 255) if values.get("do_rescale", True) else 1.0
    scale = 255 * factor
    return ImageProcessor(
        _size(values), tuple(m / scale for m in mean), tuple(s / scale for s in std)
    )


def _size(values: dict[str, Any]) -> tuple[int, int] | None:
    """Return the size of the images after the crop, as which older files write a number."""
    size = values.get("crop_size") if values.get("do_center_crop") else None
    size = size or values.get("size")
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and (height := size.get("height", size.get("shortest_edge"))):
        return int(height), int(size.get("width") or height)
    return None
