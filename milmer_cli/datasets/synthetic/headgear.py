"""Draw an EEG cap and face electrodes onto an image of a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_CAP, _RIM, _HOLDER = (52, 74, 128), (40, 56, 100), (222, 222, 214)
_WIRES = ((188, 60, 52), (60, 140, 76), (222, 190, 60), (70, 90, 190))
_CAP_OUTLINE = (
    (-1.42, 0.55), (-1.5, -0.2), (-1.42, -0.9), (-1.05, -1.55), (-0.5, -1.9), (0.0, -1.98),
    (0.5, -1.9), (1.05, -1.55), (1.42, -0.9), (1.5, -0.2), (1.42, 0.55), (1.18, 0.1),
    (1.02, -0.25), (0.6, -0.42), (0.0, -0.5), (-0.6, -0.42), (-1.02, -0.25), (-1.18, 0.1),
)  # fmt: skip
"""Outline of a cap whose rim is at the brow and that covers the ears."""
_ON_CAP = (
    (-1.2, -0.5), (-0.6, -0.72), (0.0, -0.78), (0.6, -0.72), (1.2, -0.5), (-0.95, -1.05),
    (-0.32, -1.2), (0.32, -1.2), (0.95, -1.05), (-0.55, -1.6), (0.0, -1.66), (0.55, -1.6),
)  # fmt: skip
_ON_FACE = ((-0.95, 0.05), (0.95, 0.05), (0.5, 0.42), (-0.75, 0.95), (-0.55, 1.12))
"""Electrodes beside both eyes, below one eye, and on the zygomaticus of one cheek."""


@dataclass(frozen=True)
class HeadFrame:
    """Coordinates of a face in units of the distance of its eyes.

    The origin is between the eyes, x points to the eye on the right of the image, y to the chin.

    Attributes
    ----------
    origin
        (2,) pixels.
    right
        (2,) the vector from one eye to the other, in pixels.
    """

    origin: np.ndarray
    right: np.ndarray

    @classmethod
    def from_eyes(cls, left: np.ndarray, right: np.ndarray) -> HeadFrame:
        """Return the coordinates of a face with these eyes, (2,) pixels each."""
        return cls((left + right) / 2, right - left)

    @property
    def eye_distance(self) -> float:
        """Distance of the eyes, in pixels."""
        return float(np.hypot(*self.right))

    def pixels(self, points: Sequence[tuple[float, float]]) -> np.ndarray:
        """Return the pixels of points, (n, 2) int32."""
        x, y = np.array(points).T
        down = np.array([-self.right[1], self.right[0]])
        return np.round(self.origin + np.outer(x, self.right) + np.outer(y, down)).astype(np.int32)


def draw_cap(rgb: np.ndarray, head: HeadFrame) -> None:
    """Draw a textile cap with electrode holders and wires, in place.

    Parameters
    ----------
    rgb
        (height, width, 3) uint8.
    head
        The face.
    """
    outline = head.pixels(_CAP_OUTLINE)
    cv2.fillPoly(rgb, [outline], _CAP, cv2.LINE_AA)
    cv2.polylines(rgb, [outline], True, _RIM, max(1, round(0.07 * head.eye_distance)), cv2.LINE_AA)
    for index, point in enumerate(_ON_CAP):
        wire = head.pixels([point, (point[0] * 0.5, -2.1)])
        color = _WIRES[index % len(_WIRES)]
        cv2.polylines(
            rgb, [wire], False, color, max(1, round(0.03 * head.eye_distance)), cv2.LINE_AA
        )
        _draw_disc(rgb, head, point, 0.11, _HOLDER)
        _draw_disc(rgb, head, point, 0.05, _RIM)


def draw_electrodes(rgb: np.ndarray, head: HeadFrame) -> None:
    """Draw EOG and EMG electrodes with wires onto the face, in place; parameters as `draw_cap`."""
    width = max(1, round(0.035 * head.eye_distance))
    for index, point in enumerate(_ON_FACE):
        side = 1.25 if point[0] > 0 else -1.25
        wire = head.pixels([point, (side, point[1] + 0.35), (side, 1.9)])
        cv2.polylines(rgb, [wire], False, _WIRES[index % len(_WIRES)], width, cv2.LINE_AA)
        _draw_disc(rgb, head, point, 0.12, _HOLDER)
        _draw_disc(rgb, head, point, 0.05, (60, 60, 60))


def _draw_disc(
    rgb: np.ndarray,
    head: HeadFrame,
    point: tuple[float, float],
    radius: float,
    color: tuple[int, int, int],
) -> None:
    x, y = (int(value) for value in head.pixels([point])[0])
    cv2.circle(rgb, (x, y), max(1, round(radius * head.eye_distance)), color, -1, cv2.LINE_AA)
