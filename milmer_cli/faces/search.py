"""Search for faces in an image: at the usual size first, then in changed copies of the image.

Every detector misses faces that are much smaller or larger than those of its training, dark, or
tilted. A frame counts as one without a face only after all copies have been searched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from milmer_cli.faces.boxes import Box
from milmer_cli.faces.detector import FaceDetector

_MIN_SIDE, _MAX_ENLARGED_SIDE = 64, 640
"""Copies are not smaller than the first, and only small images are enlarged, up to the second."""
_MAX_ASPECT_RATIO = 100
"""A face in a longer and thinner image is too small for any detector at any resolution."""
_MIN_SHORTER_SIDE = 32
"""Thinner copies get a black border: networks halve the resolution five times."""
_CONTRAST_LIMIT, _CONTRAST_TILES = 4.0, (4, 4)


class Attempt(NamedTuple):
    """A changed copy of the image.

    Attributes
    ----------
    scale
        Its size relative to the usual one.
    angle
        Rotation in degrees, counter-clockwise.
    equalized
        Whether the local contrast is equalized (CLAHE).
    """

    scale: float = 1.0
    angle: float = 0.0
    equalized: bool = False


USUAL = (Attempt(),)
FURTHER = (
    Attempt(scale=2.0),
    Attempt(scale=0.5),
    Attempt(equalized=True),
    Attempt(angle=35.0),
    Attempt(angle=-35.0),
    Attempt(scale=4.0),
)
"""In order; the first one that contains a face ends the search."""
ALL = USUAL + FURTHER


def find_faces(
    detector: FaceDetector,
    image: np.ndarray,
    side: int = 0,
    attempts: Sequence[Attempt] = ALL,
) -> list[Box]:
    """Search for faces until an attempt finds one.

    Parameters
    ----------
    detector
        The detector.
    image
        (height, width, 3) uint8 RGB.
    side
        Usual length of the longer side, in pixels; 0 for that of the image.
    attempts
        The copies to search, in order.

    Returns
    -------
    list of Box
        In pixels of ``image``, the largest first; empty if no attempt finds a face.
    """
    resolutions = _resolutions(attempts, image.shape, side, detector.fixed_input_size)
    for attempt, factor in resolutions:
        if boxes := _detect_in_copy(detector, image, attempt, factor):
            return boxes
    return []


def find_faces_in_batch(
    detector: FaceDetector, images: Sequence[np.ndarray], side: int = 0
) -> list[list[Box]]:
    """Search images of one size as `find_faces` does with ``attempts=USUAL``, in one pass.

    Parameters
    ----------
    detector
        One that is ``batched``.
    images, side
        As in `find_faces`.
    """
    if not images:
        return []
    for _, factor in _resolutions(USUAL, images[0].shape, side, detector.fixed_input_size):
        found = detector.detect_batch([_resize(image, factor) for image in images])
        return [[box.scaled(1 / factor) for box in boxes] for boxes in found]
    return [[] for _ in images]


def _resolutions(
    attempts: Sequence[Attempt], shape: tuple[int, ...], side: int, fixed_input_size: bool
) -> Iterator[tuple[Attempt, float]]:
    """Yield each attempt that makes sense for an image, with the factor of its size."""
    shorter, longer = sorted(shape[:2])
    if longer > _MAX_ASPECT_RATIO * shorter:
        return
    largest = max(longer, _MAX_ENLARGED_SIDE)
    usual = min(side, largest) if side else longer
    for attempt in attempts:
        target = usual * attempt.scale
        if attempt.scale == 1 or (_MIN_SIDE <= target <= largest and not fixed_input_size):
            yield attempt, target / longer


def _detect_in_copy(
    detector: FaceDetector, image: np.ndarray, attempt: Attempt, factor: float
) -> list[Box]:
    import cv2

    image = _resize(image, factor)
    if attempt.equalized:
        image = _equalize(image)
    if not attempt.angle:
        return [box.scaled(1 / factor) for box in detector.detect(image)]
    height, width = image.shape[:2]
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), attempt.angle, 1.0)
    back = cv2.invertAffineTransform(rotation)
    boxes = detector.detect(cv2.warpAffine(image, rotation, (width, height)))
    return [_transformed(box, back).scaled(1 / factor) for box in boxes]


def _resize(image: np.ndarray, factor: float) -> np.ndarray:
    import cv2  # imported late: the detector reports it if OpenCV lacks a system library

    if factor != 1:
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)
    below, beside = (max(0, _MIN_SHORTER_SIDE - side) for side in image.shape[:2])
    return np.pad(image, ((0, below), (0, beside), (0, 0))) if below or beside else image


def _equalize(image: np.ndarray) -> np.ndarray:
    import cv2

    luma, *chroma = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
    luma = cv2.normalize(luma, None, 0, 255, cv2.NORM_MINMAX)
    luma = cv2.createCLAHE(_CONTRAST_LIMIT, _CONTRAST_TILES).apply(luma)
    equalized: np.ndarray = cv2.cvtColor(cv2.merge([luma, *chroma]), cv2.COLOR_YCrCb2RGB)
    return equalized


def _transformed(box: Box, matrix: np.ndarray) -> Box:
    """Move the center and the landmarks of a box, (2, 3) affine; its size stays."""
    points = np.array([box.center, *box.landmarks]) @ matrix[:, :2].T + matrix[:, 2]
    (x, y), *landmarks = points.tolist()
    moved = box.shifted(x - box.center[0], y - box.center[1])
    return Box(
        moved.left, moved.top, moved.right, moved.bottom, box.score, tuple(map(tuple, landmarks))
    )
