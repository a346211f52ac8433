"""Opening of images: listed formats, regular files and a limited number of pixels.

Pillow would start Ghostscript for PostScript, whatever the name of the file, and would decode a few
kilobytes into gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from milmer_cli.input_files import open_input

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are opened."""

MAX_PIXELS = 50_000_000
"""Largest image that is decoded: 150 MB as RGB, and the photographs of common cameras."""


@contextmanager
def open_image(source: Path | bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """Open an image; its pixels are decoded when they are first used.

    Parameters
    ----------
    source
        Image file or its content.
    formats
        Pillow's names of the formats that are accepted.

    Raises
    ------
    InputError
        The path is not a regular file.
    OSError, SyntaxError
        The file cannot be read.
    ValueError
        It is not an image in one of the formats, or has too many pixels.
    """
    # From a path, Pillow 13 maps uncompressed gray TIFF files into memory with swapped width and
    # height if they state an orientation.
    with BytesIO(source) if isinstance(source, bytes) else open_input(source) as file:
        try:
            image = Image.open(file, formats=formats)
        except UnidentifiedImageError as error:
            raise ValueError(f"expected an image in {', '.join(formats)}") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ValueError(f"more than {MAX_PIXELS:,} pixels") from error
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(
                    f"{image.width} x {image.height} pixels: expected at most {MAX_PIXELS:,}"
                )
            yield image
