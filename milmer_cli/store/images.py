"""Face images to bytes and back. Pillow, so that training needs no OpenCV."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from milmer_cli.store.layout import JPEG_QUALITY


@dataclass(frozen=True)
class EncodedFaces:
    """Faces of consecutive segments as they are stored; arrays are (n, instances[, ...]).

    Attributes
    ----------
    images
        n * instances image files in (segment, instance) order; empty bytes for none.
    found
        bool.
    time
        float32, real time stamp in seconds from the start of the stimulus; NaN without a frame.
    box
        (n, instances, 4) float32, left, top, right, bottom in pixels; NaN without a face.
    score
        float32, the detector's; NaN where it gives none.
    reason
        str, why there is no image; empty where there is one.
    """

    images: list[bytes]
    found: np.ndarray
    time: np.ndarray
    box: np.ndarray
    score: np.ndarray
    reason: np.ndarray

    def __post_init__(self) -> None:
        shape = self.found.shape
        same = {self.time.shape, self.box.shape[:-1], self.score.shape, self.reason.shape}
        if same != {shape} or self.box.shape[-1] != 4 or len(self.images) != self.found.size:
            raise ValueError(f"The parts of EncodedFaces do not fit each other: {same | {shape}}")
        if [bool(image) for image in self.images] != self.found.ravel().tolist():
            raise ValueError("An image must be there exactly where a face was found")

    def first(self, n: int) -> EncodedFaces:
        """Give the faces of the first ``n`` segments."""
        return EncodedFaces(
            self.images[: n * self.found.shape[1]],
            *(getattr(self, name)[:n] for name in ("found", "time", "box", "score", "reason")),
        )


def encode_face(rgb: np.ndarray) -> bytes:
    """Encode one face as JPEG.

    Parameters
    ----------
    rgb
        (size, size, 3) uint8.
    """
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def decode_face(encoded: bytes) -> np.ndarray:
    """Decode one face.

    Returns
    -------
    ndarray
        (size, size, 3) uint8, RGB.
    """
    return np.asarray(Image.open(io.BytesIO(encoded), formats=("JPEG",)))
