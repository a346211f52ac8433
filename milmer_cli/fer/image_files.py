"""Image files of any bit depth, sample type and orientation as 8-bit RGB.

Pillow's own conversion clips 16-bit and floating-point samples to 255, drops transparency, and
ignores the orientation in the EXIF data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from milmer_cli.images import open_image

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""Tags of TIFF 6.0; a photometric interpretation of 0 means that 0 is white."""
_SIGNED = 2
_MIN_USED_BITS = 15
"""Sensors of 10, 12 and 14 bits store their samples in 16 bits without stating their range."""
_SCALED_8_BITS = 257
"""Factor of samples that were converted from 8 to 16 bits."""
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
        tags = getattr(opened, "tag_v2", {})
        has_16_bits = ";16" in str(
            getattr(opened, "tile", "")
        )  # Pillow keeps the upper 8 bits of a color
        opened.load()
        upright = ImageOps.exif_transpose(opened)
        zero_is_white = tags.get(_PHOTOMETRIC) == 0
        if opened.mode.startswith("I;16"):
            bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
            return _gray(_scaled_integers(np.asarray(upright), bits), zero_is_white)
        if opened.mode == "F":
            return _gray(_scaled_floats(np.asarray(upright)), zero_is_white)
        if opened.mode not in _CONVERTIBLE:
            raise ValueError(f"samples of Pillow's mode {opened.mode} have no defined range")
        if _SIGNED in tags.get(_SAMPLE_FORMAT, ()):
            raise ValueError("signed samples have no defined range")
        if has_16_bits:
            _require_used_bits(int(np.asarray(opened)[..., :3].max()) << 8)
        return _opaque(upright).convert("RGB")


def _gray(values: np.ndarray, zero_is_white: bool) -> Image.Image:
    """Return (height, width) values from 0 to 255 as an image."""
    values = 255 - values if zero_is_white else values
    return Image.fromarray(values.round().astype(np.uint8)).convert("RGB")


def _scaled_integers(values: np.ndarray, bits: int) -> np.ndarray:
    """Scale 12- or 16-bit samples to 255.

    Raises
    ------
    ValueError
        See `_require_used_bits`.
    """
    if bits == 16 and np.any(values % _SCALED_8_BITS):
        _require_used_bits(int(values.max()))
    return values * (255 / (2**bits - 1))


def _require_used_bits(highest: int) -> None:
    """Reject 16-bit samples whose upper bits are unused, given the highest one.

    Raises
    ------
    ValueError
        The samples may come from a sensor with fewer bits.
    """
    if highest < 2 ** (_MIN_USED_BITS - 1):
        raise ValueError(f"16-bit samples up to {highest} only: their range is unknown")


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
