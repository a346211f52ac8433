"""Appearance of a face: its colors and its coarse structure.

The colors depend on the color of the light, the structure on the pose. Two detections therefore
show the same person if the structures are very similar, or if both agree fairly well; and they
show different people only if both differ. The limits are quantiles of pairs of photographs and of
simulated views (bench/face_detection.py, section "appearance").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milmer_cli.faces.boxes import Box

MAX_COLOR_DISTANCE, MAX_STRUCTURE_DISTANCE = 0.3, 0.65
"""Limits of one person if colors and structure agree."""
SAME_STRUCTURE_DISTANCE = 0.3
"""Limit of one person whatever the colors: the light of a screen or a lamp may have changed."""
OTHER_COLOR_DISTANCE, OTHER_STRUCTURE_DISTANCE = 0.4, 0.4
"""Different people, if both distances are larger."""
_PIXELS, _STRUCTURE_PIXELS = 32, 8
_BINS, _RED_RANGE, _GREEN_RANGE = 24, (0.2, 0.7), (0.15, 0.5)
_DARK = 8.0
"""Gray level below which colors are noise."""
_MIN_CONTRAST = 1e-3
"""Variance of the structure below which a patch counts as flat."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """Appearance of the pixels in a box.

    Attributes
    ----------
    color
        (n_bins,) square root of the histogram of the chromaticities, which do not depend on the
        brightness.
    structure
        (n_pixels,) gray levels of a small copy, relative to their mean.
    """

    color: np.ndarray
    structure: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, box: Box) -> Appearance:
        """Measure the appearance of a box.

        Parameters
        ----------
        image
            (height, width, 3) uint8 RGB.
        box
            The face; it may extend beyond the image.
        """
        import cv2  # imported late: the detector reports it if OpenCV lacks a system library

        height, width = image.shape[:2]
        left, top = (int(np.clip(v, 0, n - 2)) for v, n in ((box.left, width), (box.top, height)))
        face = image[top : max(top + 2, int(box.bottom)), left : max(left + 2, int(box.right))]
        patch = cv2.resize(face, (_PIXELS, _PIXELS), interpolation=cv2.INTER_AREA)
        patch = patch.astype(np.float32)
        total = patch.sum(axis=-1) + 1.5 * _DARK
        red = np.clip(patch[..., 0] / total, *_RED_RANGE)
        green = np.clip(patch[..., 1] / total, *_GREEN_RANGE)
        histogram = np.histogram2d(red.ravel(), green.ravel(), _BINS, (_RED_RANGE, _GREEN_RANGE))[0]
        histogram = cv2.GaussianBlur(histogram, (0, 0), 1.0)
        size = (_STRUCTURE_PIXELS, _STRUCTURE_PIXELS)
        small = cv2.resize(patch, size, interpolation=cv2.INTER_AREA)
        structure = (small - small.mean()) / (small.mean() + _DARK)
        return cls(np.sqrt(histogram / max(histogram.sum(), 1e-9)).ravel(), structure.ravel())

    def color_distance(self, other: Appearance) -> float:
        """Hellinger distance of the colors, 0 to 1."""
        return float(np.sqrt(max(0.0, 1.0 - float(self.color @ other.color))))

    def structure_distance(self, other: Appearance) -> float:
        """1 minus the correlation of the structures, more if their contrasts differ."""
        a, b = self.structure, other.structure
        contrast = max(np.mean(a * a), np.mean(b * b)) + _MIN_CONTRAST
        return float(1.0 - (np.mean(a * b) + _MIN_CONTRAST) / contrast)

    def matches(self, other: Appearance) -> bool:
        """Whether both may show the same person."""
        structure = self.structure_distance(other)
        if structure <= SAME_STRUCTURE_DISTANCE:
            return True
        color = self.color_distance(other)
        return color <= MAX_COLOR_DISTANCE and structure <= MAX_STRUCTURE_DISTANCE

    def differs(self, other: Appearance) -> bool:
        """Whether both show different people, although one has taken the place of the other."""
        return (
            self.color_distance(other) > OTHER_COLOR_DISTANCE
            and self.structure_distance(other) > OTHER_STRUCTURE_DISTANCE
        )

    def closely_matches(self, other: Appearance) -> bool:
        """Whether both show the same person, even at different places."""
        return (
            self.color_distance(other) <= MAX_COLOR_DISTANCE
            and self.structure_distance(other) <= OTHER_STRUCTURE_DISTANCE
        )
