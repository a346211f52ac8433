"""JPEG encoding of face images, with Pillow, so that training does not need OpenCV."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from milmer_cli.images import open_image

ENCODING = "jpeg"
QUALITY, SUBSAMPLING = 95, "4:2:0"  # the chroma subsampling of the video; see bench/README.md


def encode_face(rgb: np.ndarray) -> bytes:
    """Encode a face image.

    Parameters
    ----------
    rgb
        (size, size, 3) uint8.
    """
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=QUALITY, subsampling=SUBSAMPLING)
    return buffer.getvalue()


def decode_face(encoded: bytes) -> np.ndarray:
    """Decode a face image.

    Returns
    -------
    ndarray
        (size, size, 3) uint8 RGB.
    """
    with open_image(encoded, ("JPEG",)) as image:
        return np.array(image)
