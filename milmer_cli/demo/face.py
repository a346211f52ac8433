"""A photograph of a face that can change its expression: scikit-image's astronaut, warped.

The picture (NASA's portrait of Eileen Collins, in the public domain) also shows a mission patch
that face detectors take for a face; only what is above it is used.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from skimage import data

from milmer_cli.demo.patterns import Expression

LEFT, TOP, RIGHT, BOTTOM = 30, 0, 366, 338
"""The part of the picture in use, in its pixels."""
FACE_BOX = (179, 83, 266, 170)
"""Left, top, right and bottom of the face as dlib finds it, in pixels of the picture."""
FACE_CENTRE = (222.5, 126.5)
_GRID = 4
_XS = np.arange(150.0, 304.0, _GRID)
_YS = np.arange(60.0, 208.0, _GRID)
"""What a movement can reach, in pixels of the picture: a point every ``_GRID``."""

_OUTLINE = (
    "155,96 154,84 158,66 166,52 178,44 184,36 190,24 204,19 222,16 242,18 258,24 276,35 288,46 "
    "296,58 300,72 301,88 297,104 289,116 281,127 273,133 268,137 262,152 258,163 257,172 272,180 "
    "288,195 300,212 304,232 308,240 326,246 342,258 352,276 360,310 366,338 30,338 36,302 46,266 "
    "62,236 84,222 108,212 114,196 120,178 132,163 150,152 172,148 186,150 185,140 178,135 171,124 "
    "163,116"
)
"""Around hair, neck, collar and shoulders, in pixels of the picture."""

# Where the movements act, in pixels of the picture, and how far a movement of 1 goes.
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


def _movements(e: Expression) -> tuple[np.ndarray, np.ndarray]:
    """Return points of the photograph, which smiles, and how they move to make an expression."""
    sides = np.array([(-1.0, 0.0), (1.0, 0.0)])
    down = np.array([0.0, 1.0])
    smile = e.smile - 0.75
    opening = e.mouth - 0.35
    parts = (
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
    points = np.vstack([where for where, _ in parts] + [fixed])
    moves = np.vstack(
        [np.broadcast_to(move, where.shape) for where, move in parts] + [np.zeros_like(fixed)]
    )
    return points, moves


@lru_cache(maxsize=4)
def portrait(scale: float) -> np.ndarray:
    """Return head and shoulders, ``scale`` times as large as in the picture.

    Returns
    -------
    (height, width, 4) uint8
        RGB and opacity.
    """
    picture = data.astronaut()[TOP:BOTTOM, LEFT:RIGHT]
    outline = np.array([point.split(",") for point in _OUTLINE.split()], dtype=np.float64)
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    opacity = np.zeros(size[::-1], dtype=np.uint8)
    corners = np.round((outline - (LEFT, TOP)) * scale).astype(np.int32)
    cv2.fillPoly(opacity, [corners], 255)
    opacity = cv2.erode(opacity, np.ones((3, 3), np.uint8), iterations=round(1.2 * scale))
    opacity = cv2.GaussianBlur(opacity, (0, 0), scale)
    return np.dstack((large, opacity))


def express(scale: float, expression: Expression) -> np.ndarray:
    """Return `portrait` with an expression, (height, width, 4) uint8."""
    still = portrait(scale)
    points, moves = _movements(expression)
    # For each place of the result: where in the photograph it comes from.
    back = RBFInterpolator(points + moves, -moves, kernel="thin_plate_spline", smoothing=0.0)
    grid = np.stack(np.meshgrid(_XS, _YS), axis=-1)
    field = back(grid.reshape(-1, 2)).reshape(grid.shape) * _inside(grid)[..., None]
    # Only the part under the grid moves: the pixels there, in units of the grid.
    columns = _within((_XS[[0, -1]] - LEFT) * scale, still.shape[1])
    rows = _within((_YS[[0, -1]] - TOP) * scale, still.shape[0])
    at_x = np.tile((columns / scale + LEFT - _XS[0]) / _GRID, (rows.size, 1))
    at_y = np.tile(((rows / scale + TOP - _YS[0]) / _GRID)[:, None], (1, columns.size))
    shift = cv2.remap(field.astype(np.float32), _single(at_x), _single(at_y), cv2.INTER_LINEAR)
    source_x = columns + shift[..., 0] * scale
    source_y = rows[:, None] + shift[..., 1] * scale
    warped = still.copy()
    warped[np.ix_(rows, columns)] = cv2.remap(
        still, _single(source_x), _single(source_y), cv2.INTER_LINEAR
    )
    return warped


def _within(ends: np.ndarray, size: int) -> np.ndarray:
    """Return the whole numbers between two ends that are indices of ``size`` pixels."""
    return np.arange(max(0, int(np.ceil(ends[0]))), min(size, int(ends[1]) + 1))


def _single(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def _inside(grid: np.ndarray) -> np.ndarray:
    """Return 1 on the face, falling to 0 where hair and neck are to stay as they are."""
    radius = np.hypot((grid[..., 0] - 224.0) / 58.0, (grid[..., 1] - 128.0) / 64.0)
    faded: np.ndarray = np.clip((1.0 - radius) / 0.2, 0.0, 1.0)
    return faded
