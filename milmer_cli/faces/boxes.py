"""Bounding box of a face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, inf, log2

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """Bounding box of a face.

    Attributes
    ----------
    left, top, right, bottom
        Edges in pixels; x points right, y points down.
    score
        Score of the detector; NaN if it returns none.
    landmarks
        (x, y) in pixels of the eye on the left of the image, the other eye, the tip of the nose,
        and the corners of the mouth, left and right; empty if the detector returns none.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float = float("nan")
    landmarks: tuple[Point, ...] = ()

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height

    @property
    def center(self) -> Point:
        """Center, (x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def shifted(self, dx: float, dy: float) -> Box:
        """Return the box moved by (dx, dy) pixels."""
        return self.mapped(lambda x, y: (x + dx, y + dy))

    def scaled(self, factor: float) -> Box:
        """Return the box in an image that is larger by a factor."""
        return self.mapped(lambda x, y: (x * factor, y * factor))

    def mapped(self, transform: Callable[[float, float], Point]) -> Box:
        """Return the box with its corners and landmarks moved.

        Parameters
        ----------
        transform
            Maps (x, y) to (x, y) without rotation.
        """
        left, top = transform(self.left, self.top)
        right, bottom = transform(self.right, self.bottom)
        landmarks = tuple(transform(x, y) for x, y in self.landmarks)
        return Box(left, top, right, bottom, self.score, landmarks)

    def is_same_face(self, other: Box) -> bool:
        """Whether two boxes of one frame cannot be two faces: their centers are too close."""
        return self.displacement(other)[0] < 0.5

    def displacement(self, other: Box) -> tuple[float, float]:
        """Return how far apart two boxes are, both values independent of the order.

        Returns
        -------
        shift
            Distance of the centers, in units of the geometric mean of both sizes.
        size_change
            Octaves between the sizes; infinite if a box has no area.
        """
        if min(self.area, other.area) <= 0:
            return inf, inf
        (x0, y0), (x1, y1) = self.center, other.center
        size = (self.area * other.area) ** 0.25
        return hypot(x1 - x0, y1 - y0) / size, abs(log2(other.area / self.area)) / 2


def interpolate(first: Box, second: Box, share: float) -> Box:
    """Return the box at a share of the way from one box to another; its score is NaN."""

    def between(a: float, b: float) -> float:
        return a + share * (b - a)

    landmarks = tuple(
        (between(x0, x1), between(y0, y1))
        for (x0, y0), (x1, y1) in zip(first.landmarks, second.landmarks, strict=False)
    )
    left, top, right, bottom = (
        between(getattr(first, edge), getattr(second, edge))
        for edge in ("left", "top", "right", "bottom")
    )
    return Box(left, top, right, bottom, landmarks=landmarks)
