"""A photograph of a face, warped into an expression: scikit-image's astronaut.

Only the upper part of the photograph (NASA's portrait of Eileen Collins, public domain) is used,
because face detectors report the mission patch below it as a second face. All coordinates of the
module's constants are pixels (x, y) of the photograph.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from skimage import data

from milmer_cli.datasets.synthetic.effects import Expression

LEFT, TOP, RIGHT, BOTTOM = 30, 0, 366, 338
"""The region of the photograph in use."""
FACE_CENTER = (222.5, 126.5)
"""Center of the face; the box that dlib finds is 87 pixels wide."""
EYES = np.array([(202.5, 101.0), (247.0, 104.0)])
"""Pupils."""
_GRID = 4
_XS = np.arange(150.0, 304.0, _GRID)
_YS = np.arange(60.0, 208.0, _GRID)
"""Grid on which movements are interpolated, with a point every ``_GRID`` pixels."""

_OUTLINE = (
    "155,96 154,84 158,66 166,52 178,44 184,36 190,24 204,19 222,16 242,18 258,24 276,35 288,46 "
    "296,58 300,72 301,88 297,104 289,116 281,127 273,133 268,137 262,152 258,163 257,172 272,180 "
    "288,195 300,212 304,232 308,240 326,246 342,258 352,276 360,310 366,338 30,338 36,302 46,266 "
    "62,236 84,222 108,212 114,196 120,178 132,163 150,152 172,148 186,150 185,140 178,135 171,124 "
    "163,116"
)
"""Polygon around hair, neck, collar and shoulders."""

# Control points of the movements, and points that stay fixed.
_MOUTH_CORNERS = np.array([(203.0, 140.5), (244.0, 141.5)])
_LIPS = np.array([(223.7, 139.5), (223.7, 154.0), (213.5, 140.0), (234.0, 140.5)])
_LOWER_LIP = np.array([(212.0, 151.0), (235.5, 151.5)])
_CHIN = np.array([(212.0, 174.0), (223.0, 178.0), (235.0, 174.0)])
_UPPER_LIDS = np.array([(203.5, 96.5), (247.0, 98.5)])
_LOWER_LIDS = np.array([(204.0, 105.0), (247.0, 107.5)])
_INNER_BROWS = np.array([(213.0, 92.0), (240.0, 93.5)])
_OUTER_BROWS = np.array([(192.0, 90.0), (261.5, 95.0)])
_EYE_CORNERS = np.array([(193.0, 100.5), (213.0, 102.5), (237.0, 104.5), (258.5, 103.5)])
_HAIRLINE = np.array([(192.0, 79.0), (210.0, 77.0), (230.0, 79.0), (250.0, 82.0), (264.0, 88.0)])
_JAW = np.array([(181.0, 118.0), (184.0, 140.0), (192.0, 162.0), (269.0, 120.0), (266.0, 142.0)])
_STILL = np.array([(225.0, 112.0), (214.0, 126.0), (236.0, 126.0), (225.0, 129.0), (256.0, 164.0)])
_NECK = np.array([(205.0, 186.0), (224.0, 190.0), (245.0, 187.0)])


def _control_points(e: Expression) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that an expression moves, (n, 2), and their displacements, (n, 2) pixels.

    The photograph shows a smile with an open mouth, which is the zero point of the displacements.
    """
    sides = np.array([(-1.0, 0.0), (1.0, 0.0)])
    down = np.array([0.0, 1.0])
    smile = e.smile - 0.75
    opening = e.mouth - 0.35
    moved = (
        (_MOUTH_CORNERS, 2.6 * smile * sides - 3.8 * smile * down),
        (_LIPS[:1], -0.6 * max(opening, 0.0) * down + 1.2 * smile * down),
        (_LIPS[2:], -0.6 * max(opening, 0.0) * down - 0.6 * smile * down),
        (_LIPS[1:2], 6.0 * opening * down + 0.6 * smile * down),
        (_LOWER_LIP, 5.0 * opening * down - 0.8 * smile * down),
        (_CHIN, 4.0 * max(opening, 0.0) * np.ones((3, 1)) * down),
        (_UPPER_LIDS, -2.6 * e.eyes * down),
        (_LOWER_LIDS, 1.6 * e.eyes * down),
        (_INNER_BROWS, -4.2 * e.inner_brow * down - 2.2 * min(e.inner_brow, 0.0) * -sides),
        (_OUTER_BROWS, -4.2 * e.outer_brow * down),
    )
    fixed = np.vstack((_EYE_CORNERS, _HAIRLINE, _JAW, _STILL, _NECK))
    points = np.vstack([group for group, _ in moved] + [fixed])
    displacements = np.vstack(
        [np.broadcast_to(shift, group.shape) for group, shift in moved] + [np.zeros_like(fixed)]
    )
    return points, displacements


@lru_cache(maxsize=4)
def load_portrait(scale: float) -> np.ndarray:
    """Return head and shoulders without the background, enlarged by ``scale``.

    Returns
    -------
    (height, width, 4) uint8
        RGB and opacity.
    """
    photograph = data.astronaut()[TOP:BOTTOM, LEFT:RIGHT]
    outline = np.array([point.split(",") for point in _OUTLINE.split()], dtype=np.float64)
    size = (round(photograph.shape[1] * scale), round(photograph.shape[0] * scale))
    enlarged = cv2.resize(photograph, size, interpolation=cv2.INTER_CUBIC)
    opacity = np.zeros(size[::-1], dtype=np.uint8)
    polygon = np.round((outline - (LEFT, TOP)) * scale).astype(np.int32)
    cv2.fillPoly(opacity, [polygon], 255)
    opacity = cv2.erode(opacity, np.ones((3, 3), np.uint8), iterations=round(1.2 * scale))
    opacity = cv2.GaussianBlur(opacity, (0, 0), scale)
    return np.dstack((enlarged, opacity))


def render_face(scale: float, expression: Expression) -> np.ndarray:
    """Return `load_portrait` with an expression, (height, width, 4) uint8.

    A thin-plate spline through the control points gives the displacement of each point of a coarse
    grid over the face. The displacement is interpolated to pixels, and the pixels are resampled.
    """
    portrait = load_portrait(scale)
    points, displacements = _control_points(expression)
    # The inverse mapping: for each point of the result, its source in the photograph.
    inverse = RBFInterpolator(
        points + displacements, -displacements, kernel="thin_plate_spline", smoothing=0.0
    )
    grid = np.stack(np.meshgrid(_XS, _YS), axis=-1)
    field = inverse(grid.reshape(-1, 2)).reshape(grid.shape) * _face_weight(grid)[..., None]
    # Only the pixels under the grid move; their positions are expressed in steps of the grid.
    columns = _pixels_between((_XS[[0, -1]] - LEFT) * scale, portrait.shape[1])
    rows = _pixels_between((_YS[[0, -1]] - TOP) * scale, portrait.shape[0])
    grid_x = np.tile((columns / scale + LEFT - _XS[0]) / _GRID, (rows.size, 1))
    grid_y = np.tile(((rows / scale + TOP - _YS[0]) / _GRID)[:, None], (1, columns.size))
    shift = cv2.remap(
        field.astype(np.float32), _float32(grid_x), _float32(grid_y), cv2.INTER_LINEAR
    )
    source_x = columns + shift[..., 0] * scale
    source_y = rows[:, None] + shift[..., 1] * scale
    warped = portrait.copy()
    warped[np.ix_(rows, columns)] = cv2.remap(
        portrait, _float32(source_x), _float32(source_y), cv2.INTER_LINEAR
    )
    return warped


def _pixels_between(ends: np.ndarray, size: int) -> np.ndarray:
    """Return the integers between two ends that are valid indices of ``size`` pixels."""
    return np.arange(max(0, int(np.ceil(ends[0]))), min(size, int(ends[1]) + 1))


def _float32(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def _face_weight(grid: np.ndarray) -> np.ndarray:
    """Return 1 on the face, falling to 0 at hair and neck, which do not move."""
    radius = np.hypot((grid[..., 0] - 224.0) / 58.0, (grid[..., 1] - 128.0) / 64.0)
    weight: np.ndarray = np.clip((1.0 - radius) / 0.2, 0.0, 1.0)
    return weight
