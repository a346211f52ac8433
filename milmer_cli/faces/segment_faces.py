"""The face images of consecutive segments with their metadata.

Where no face was found there is no image: ``found`` is False and ``reason`` says why. Neither black
images nor pixels beyond the edge of the frame are ever produced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

NO_FACE = "no face"
OTHER_FACE = "another face"
NO_VIDEO = "no video"
VIDEO_UNREADABLE = "video not readable"
TRACKED = "tracked"
"""The only reason with an image: the box is interpolated between two detections; see `gaps`."""


@dataclass(frozen=True, eq=False)
class SegmentFaces:
    """Face images of consecutive segments.

    Attributes
    ----------
    images
        n_segments * n_instances JPEG files, by segment and instance; empty bytes without a face.
    found
        (n_segments, n_instances) bool: whether there is an image.
    time
        (n_segments, n_instances) float32: timestamp of the frame, in seconds after stimulus onset;
        NaN without a frame.
    box
        (n_segments, n_instances, 4) float32: left, top, right, bottom of the face in the frame, in
        pixels; NaN without a face.
    score
        (n_segments, n_instances) float32: score of the detector; NaN if it returns none or the face
        is `TRACKED`.
    reason
        (n_segments, n_instances) str: why there is no image; with an image empty, or `TRACKED`.
    """

    images: list[bytes]
    found: np.ndarray
    time: np.ndarray
    box: np.ndarray
    score: np.ndarray
    reason: np.ndarray

    def __post_init__(self) -> None:
        shape = self.found.shape
        expected = {name: (*shape, 4) if name == "box" else shape for name in FACE_FIELDS}
        shapes = {name: getattr(self, name).shape for name in FACE_FIELDS}
        if shapes != expected or len(self.images) != self.found.size:
            raise ValueError(
                f"SegmentFaces: expected the shapes {expected} and {self.found.size} images, got "
                f"{shapes} and {len(self.images)} images"
            )
        if [bool(image) for image in self.images] != self.found.ravel().tolist():
            raise ValueError("SegmentFaces: found must be True exactly where there is an image")

    @classmethod
    def missing(cls, n_segments: int, n_instances: int, reason: str = NO_VIDEO) -> Self:
        """Return segments without any image.

        Parameters
        ----------
        n_segments, n_instances
            Shape of the result.
        reason
            Why there is no image.
        """
        shape = (n_segments, n_instances)
        nan = np.full(shape, np.nan, np.float32)
        return cls(
            images=[b""] * (n_segments * n_instances),
            found=np.zeros(shape, bool),
            time=nan,
            box=np.full((*shape, 4), np.nan, np.float32),
            score=nan.copy(),
            reason=np.full(shape, reason, dtype=object),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[SegmentFaces]) -> Self:
        """Join the segments of at least one part."""
        return cls(
            [image for part in parts for image in part.images],
            *(np.concatenate([getattr(part, name) for part in parts]) for name in FACE_FIELDS),
        )

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, segments: slice) -> SegmentFaces:
        n_instances = self.found.shape[1]
        images = [
            image
            for segment in range(len(self))[segments]
            for image in self.images[segment * n_instances : (segment + 1) * n_instances]
        ]
        return SegmentFaces(images, *(getattr(self, name)[segments] for name in FACE_FIELDS))

    def segment_images(self, segment: int) -> list[bytes]:
        """Return the images of one segment; empty bytes without a face."""
        return self[segment : segment + 1].images


FACE_FIELDS = tuple(field.name for field in fields(SegmentFaces) if field.name != "images")
"""Names of the arrays of `SegmentFaces`; the store has a dataset for each."""
