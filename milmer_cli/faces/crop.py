"""Square face images, cut out of a frame. No pixels beyond the edge of the frame are invented."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
from PIL import Image

from milmer_cli.faces.boxes import Box
from milmer_cli.settings.schema import FacesSettings

_FILTER_PIXELS = 8
"""Pixels around the square that the resampling filter may read; the rest is not converted."""
_ROTATION_PIXELS = 4
_TEMPLATE = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)
"""Landmarks of an upright face in a square of 112 pixels (ArcFace, Deng et al. 2019)."""
_TEMPLATE_CENTER, _TEMPLATE_BOX = 56.0 + 68.0j, 103.0
"""Center and longer side of CenterFace's box in that square: mean of 16 views of two faces."""


def face_image(frame: np.ndarray, box: Box, settings: FacesSettings) -> np.ndarray:
    """Cut a face out as ``settings`` define (``margin``, ``image_size`` and ``align``).

    `prepare`, `predict` and `finetune-swin` all cut faces out with this function.

    Parameters
    ----------
    frame
        (height, width, 3) uint8 RGB.
    box
        The face.
    settings
        Section ``faces``.

    Returns
    -------
    ndarray
        (image_size, image_size, 3) uint8.
    """
    return crop_face(frame, box, settings.margin, settings.image_size, settings.align)


def crop_face(
    frame: np.ndarray, box: Box, margin: float, size: int, align: bool = False
) -> np.ndarray:
    """Cut a face out as a square image.

    The box is widened on each side by ``margin`` of its width or height and extended to a square
    around its center with the length of its longer side. A square that extends beyond the frame is
    moved into it, and shrunk if it is larger than the frame. Pillow's bicubic filter is widened by
    the shrink factor, so the result is free of aliasing, and it accepts fractional edges.

    Parameters
    ----------
    frame
        (height, width, 3) uint8 RGB.
    box
        The face.
    margin
        Share of the box to add on each side.
    size
        Side of the result, in pixels.
    align
        Whether to use `crop_aligned_face` where it is possible.

    Returns
    -------
    ndarray
        (size, size, 3) uint8.
    """
    if align and (aligned := crop_aligned_face(frame, box, margin, size)) is not None:
        return aligned
    height, width = frame.shape[:2]
    side = min(max(box.width, box.height) * (1 + 2 * margin), height, width)
    x, y = box.center
    left = min(max(x - side / 2, 0.0), width - side)
    top = min(max(y - side / 2, 0.0), height - side)
    x0, y0 = max(0, int(left) - _FILTER_PIXELS), max(0, int(top) - _FILTER_PIXELS)
    x1 = min(width, int(left + side) + _FILTER_PIXELS + 1)
    y1 = min(height, int(top + side) + _FILTER_PIXELS + 1)
    part = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
    square = (left - x0, top - y0, left - x0 + side, top - y0 + side)
    return np.asarray(part.resize((size, size), Image.Resampling.BICUBIC, box=square))


def crop_aligned_face(frame: np.ndarray, box: Box, margin: float, size: int) -> np.ndarray | None:
    """Cut a face out as in `crop_face`, transformed so that its landmarks are in place.

    Parameters
    ----------
    frame, box, margin, size
        As in `crop_face`.

    Returns
    -------
    ndarray or None
        (size, size, 3) uint8; None if the box has no landmarks or the square extends beyond the
        frame.
    """
    if not box.landmarks:
        return None
    height, width = frame.shape[:2]
    x, y, box_side, tilt = _aligned_square(box)
    side = box_side * (1 + 2 * margin)
    angle = radians(tilt)
    half_extent = side / 2 * (abs(cos(angle)) + abs(sin(angle)))
    if min(x, y, width - x, height - y) < half_extent:
        return None
    x0 = max(0, int(x - half_extent) - _ROTATION_PIXELS)
    y0 = max(0, int(y - half_extent) - _ROTATION_PIXELS)
    x1 = min(width, int(x + half_extent) + _ROTATION_PIXELS + 1)
    y1 = min(height, int(y + half_extent) + _ROTATION_PIXELS + 1)
    part = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
    center_x, center_y = x - x0, y - y0
    level = part.rotate(tilt, Image.Resampling.BICUBIC, center=(center_x, center_y))
    square = (
        max(0.0, center_x - side / 2),
        max(0.0, center_y - side / 2),
        center_x + side / 2,
        center_y + side / 2,
    )
    return np.asarray(level.resize((size, size), Image.Resampling.BICUBIC, box=square))


def _aligned_square(box: Box) -> tuple[float, float, float, float]:
    """Return the square of the template in the frame: center x and y, side, and tilt in degrees.

    The similarity transform from the template to the landmarks is fitted by least squares. In the
    complex plane it is linear.
    """
    source = _TEMPLATE @ (1, 1j)
    target = np.array(box.landmarks) @ (1, 1j)
    centered = source - source.mean()
    factor = np.vdot(centered, target - target.mean()) / np.vdot(centered, centered)
    center = target.mean() + factor * (_TEMPLATE_CENTER - source.mean())
    tilt = float(np.degrees(np.angle(factor)))
    return float(center.real), float(center.imag), float(abs(factor)) * _TEMPLATE_BOX, tilt
