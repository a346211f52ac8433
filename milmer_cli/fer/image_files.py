"""Image files of any bit depth, sample type and orientation as 8-bit RGB.

Pillow's own conversion clips 16-bit and floating-point samples to 255, drops transparency, and
ignores the orientation in the EXIF data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from milmer_cli.images import open_image

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
"""Tags of TIFF 6.0; a photometric interpretation of 0 means that 0 is white."""
_UNUSED_BITS = 4
_CONVERTIBLE = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


def read_rgb(path: Path) -> Image.Image:
    """Decode an image as 8-bit RGB, upright.

    Integer samples are scaled by the range of their bit depth, floating-point samples from 0-1 or
    0-255. Transparent pixels become white. CMYK is converted without its color profile.

    Raises
    ------
    OSError, SyntaxError
        Pillow cannot decode the file completely.
    ValueError
        The format is not accepted (see `open_image`), the range of the samples is unknown, or the
        mode cannot be converted.
    """
    with open_image(path) as opened:
        opened.load()
        upright = ImageOps.exif_transpose(opened)
        if opened.mode.startswith("I;16"):
            return _gray(_scaled_integers(opened, np.asarray(upright)))
        if opened.mode == "F":
            return _gray(_scaled_floats(np.asarray(upright)))
        if opened.mode not in _CONVERTIBLE:
            raise ValueError(f"samples of Pillow's mode {opened.mode} have no defined range")
        return _opaque(upright).convert("RGB")


def _gray(values: np.ndarray) -> Image.Image:
    """Return (height, width) values from 0 to 255 as an image."""
    return Image.fromarray(values.round().astype(np.uint8)).convert("RGB")


def _scaled_integers(image: Image.Image, values: np.ndarray) -> np.ndarray:
    """Scale 12- or 16-bit samples to 255.

    Raises
    ------
    ValueError
        The upper bits are unused, as when a 12-bit sensor stores 16-bit samples.
    """
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    if bits == 16 and values.max() < 2 ** (16 - _UNUSED_BITS):
        raise ValueError(f"16-bit samples up to {values.max()} only: their range is unknown")
    scaled = values * (255 / (2**bits - 1))
    return 255 - scaled if tags.get(_PHOTOMETRIC) == 0 else scaled


def _scaled_floats(values: np.ndarray) -> np.ndarray:
    """Scale floating-point samples to 255.

    Raises
    ------
    ValueError
        The samples are neither in 0-1 nor in 0-255.
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also if a sample is NaN
        raise ValueError(
            f"floating-point samples from {low:g} to {high:g}: expected 0 to 1, or 0 to 255"
        )
    return values * 255 if high <= 1 else values


def _opaque(image: Image.Image) -> Image.Image:
    """Put an image with transparency on a white background."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
