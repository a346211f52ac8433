"""Faster detection in consecutive frames: search around the faces of the neighboring frames.

A detector that works at full resolution needs time proportional to the number of pixels. Between
two frames of a segment, a face moves little compared with its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from milmer_cli.faces.boxes import Box
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.search import ALL, FURTHER, USUAL, Attempt, find_faces, find_faces_in_batch

_MARGIN = 0.6
"""Margin of a search region around a face, as a share of the longer side of the face."""
_MAX_AREA_SHARE = 0.5
"""If the search regions cover more of the frame than this, whole frames are searched."""


class Region(NamedTuple):
    """A rectangle of whole pixels; ``right`` and ``bottom`` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def longer(self) -> int:
        """Length of the longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    def overlaps(self, other: Region) -> bool:
        """Whether two regions share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def union(self, other: Region) -> Region:
        """Return the smallest region that contains both."""
        return Region(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def detect_in_frames(
    detector: FaceDetector, images: Sequence[np.ndarray], previous: Sequence[Box] = ()
) -> list[list[Box]]:
    """Detect the faces of consecutive frames.

    The last frame, and the first one if there are no ``previous``, are searched as a whole; if no
    face is found, in changed copies (`search.FURTHER`) of the surroundings of the largest of
    ``previous``, and then of the frame. The other frames are searched only around the faces of
    their neighbors, and see `_search_between` if the largest is not found there. A detector with a
    fixed input size, or one on a GPU, always gets whole frames.

    Parameters
    ----------
    detector
        The detector.
    images
        (height, width, 3) uint8 RGB each, a short time apart.
    previous
        Faces of the latest frame before these in which there were any.

    Returns
    -------
    list of list of Box
        Faces of each frame.
    """
    if detector.batched:
        return _detect_in_batch(detector, images, previous)
    if detector.fixed_input_size or not images:
        return [find_faces(detector, image) for image in images]
    shape = images[0].shape[:2]
    areas = _SearchArea.around(previous, shape, detector)
    ends = [_search_frame(detector, image, areas) for image in images[-1:]]
    if len(images) > 1 and areas:
        ends.insert(0, _search_between(detector, images[0], areas, len(previous)))
    elif len(images) > 1:
        ends.insert(0, _search_frame(detector, images[0], areas))
    neighbors = [box for boxes in ends for box in boxes] or previous
    areas = _SearchArea.around(neighbors, shape, detector)
    n_faces = max(map(len, ends)) or len(previous)
    inner = [_search_between(detector, image, areas, n_faces) for image in images[1:-1]]
    return [ends[0], *inner, *ends[1:]]


def _detect_in_batch(
    detector: FaceDetector, images: Sequence[np.ndarray], previous: Sequence[Box]
) -> list[list[Box]]:
    """Search whole frames in one pass, and then those without a face as `_search_frame` does."""
    found = find_faces_in_batch(detector, images, detector.frame_side)
    latest = previous
    for index, (image, boxes) in enumerate(zip(images, found, strict=True)):
        if not boxes:
            areas = _SearchArea.around(latest, image.shape[:2], detector)
            found[index] = _search_further(detector, image, areas)
        latest = found[index] or latest
    return found


def _search_frame(
    detector: FaceDetector, image: np.ndarray, areas: Sequence[_SearchArea]
) -> list[Box]:
    """Search a frame as a whole, then as `_search_further` does."""
    boxes = find_faces(detector, image, detector.frame_side, USUAL)
    return boxes or _search_further(detector, image, areas)


def _search_further(
    detector: FaceDetector, image: np.ndarray, areas: Sequence[_SearchArea]
) -> list[Box]:
    """Search around the largest earlier face, then in changed copies of the frame."""
    around = [box for area in areas[:1] for box in area.search(detector, image, ALL)]
    return around or find_faces(detector, image, detector.frame_side, FURTHER)


def _search_between(
    detector: FaceDetector, image: np.ndarray, areas: Sequence[_SearchArea], n_faces: int
) -> list[Box]:
    """Search around the faces of the neighbors, the largest first.

    If it is not there, the whole frame is searched, and if fewer faces than in the neighbors are
    found, also changed copies of the surroundings of the largest.
    """
    found = [area.search(detector, image, USUAL) for area in areas]
    if found and found[0]:
        return [box for boxes in found for box in boxes]
    boxes = find_faces(detector, image, detector.frame_side, USUAL)
    if areas and len(boxes) < n_faces:
        further = areas[0].search(detector, image, FURTHER)
        boxes += [box for box in further if not any(map(box.is_same_face, boxes))]
    return boxes


class _SearchArea(NamedTuple):
    """A region and the side at which it is searched (see `search.find_faces`)."""

    region: Region
    side: int

    @classmethod
    def around(
        cls, boxes: Sequence[Box], shape: tuple[int, int], detector: FaceDetector
    ) -> list[_SearchArea]:
        """Return the areas around faces; none if they cover too much of the frame."""
        regions = search_regions(boxes, shape)
        if sum(region.area for region in regions) > _MAX_AREA_SHARE * shape[0] * shape[1]:
            return []
        smallest = min((max(box.width, box.height) for box in boxes), default=1.0)
        # the smallest face of a merged region must be as large as one alone in its region
        usual = (1 + 2 * _MARGIN) * smallest
        return [
            cls(region, round(detector.region_side * max(1.0, region.longer / usual)))
            for region in regions
        ]

    def search(
        self, detector: FaceDetector, image: np.ndarray, attempts: Sequence[Attempt]
    ) -> list[Box]:
        """Return the faces in the area, in pixels of the frame."""
        left, top, right, bottom = self.region
        boxes = find_faces(detector, image[top:bottom, left:right], self.side, attempts)
        return [box.shifted(left, top) for box in boxes]


def search_regions(boxes: Sequence[Box], shape: tuple[int, int]) -> list[Region]:
    """Return disjoint regions around boxes, the region of the largest box first.

    Overlapping regions are merged: otherwise a face in the overlap would be detected twice.

    Parameters
    ----------
    boxes
        Faces of the neighboring frames.
    shape
        (height, width) of the frames.
    """
    height, width = shape
    regions: list[Region] = []
    for box in sorted(boxes, key=lambda box: -box.area):
        margin = _MARGIN * max(box.width, box.height)
        region = Region(
            max(0, int(box.left - margin)),
            max(0, int(box.top - margin)),
            min(width, int(box.right + margin) + 1),
            min(height, int(box.bottom + margin) + 1),
        )
        position = len(regions)
        # A union can overlap further regions, so repeat until nothing overlaps.
        while overlapping := [i for i, other in enumerate(regions) if other.overlaps(region)]:
            position = min(position, *overlapping)
            for i in reversed(overlapping):
                region = region.union(regions.pop(i))
        regions.insert(min(position, len(regions)), region)
    return regions
