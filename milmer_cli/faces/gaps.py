"""Frames in which the detector missed a face that it found before and after.

The box is interpolated, and the image is cut out of the real frame. This is done only if both
detections are close in time and place, and if the pixels in the interpolated box look like those of
both: otherwise the face was not there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from milmer_cli.faces.appearance import Appearance
from milmer_cli.faces.boxes import Box, interpolate

MAX_GAP_S = 1.0
"""Between the detections before and after."""
_MAX_SHIFT, _MAX_SIZE_CHANGE = 0.3, 0.25
"""Between the detections before and after: in face sizes, and in octaves."""


class Detection(NamedTuple):
    """A face in a frame."""

    track: int
    box: Box
    appearance: Appearance


class TrackedFace(NamedTuple):
    """A face in a frame without a detection.

    Attributes
    ----------
    frame_index
        Index of the frame.
    image
        (height, width, 3) uint8, the frame.
    track, box
        Its track, and the interpolated box.
    """

    frame_index: int
    image: np.ndarray
    track: int
    box: Box


class _Frame(NamedTuple):
    frame_index: int
    time_s: float
    image: np.ndarray


class GapFiller:
    """Fills the gaps of all tracks. Holds the frames and detections of the last second."""

    def __init__(self) -> None:
        self._frames: deque[_Frame] = deque()
        self._latest: dict[int, tuple[float, Detection]] = {}

    def update(
        self, index: int, time_s: float, image: np.ndarray, detections: list[Detection]
    ) -> Iterator[TrackedFace]:
        """Add a frame and yield the faces of earlier frames that its detections confirm.

        Parameters
        ----------
        index, time_s, image
            The frame; frames must be added in order of time.
        detections
            Its faces, at most one of each track.
        """
        while self._frames and time_s - self._frames[0].time_s > MAX_GAP_S:
            self._frames.popleft()
        self._latest = {
            track: (seen_s, detection)
            for track, (seen_s, detection) in self._latest.items()
            if time_s - seen_s <= MAX_GAP_S
        }
        for detection in detections:
            if detection.track in self._latest:
                yield from self._between(*self._latest[detection.track], time_s, detection)
            self._latest[detection.track] = (time_s, detection)
        self._frames.append(_Frame(index, time_s, image))

    def _between(
        self, before_s: float, before: Detection, after_s: float, after: Detection
    ) -> Iterator[TrackedFace]:
        """Yield the faces between two consecutive detections of a track."""
        shift, size_change = before.box.displacement(after.box)
        if shift > _MAX_SHIFT or size_change > _MAX_SIZE_CHANGE:
            return
        for frame in self._frames:
            if not before_s < frame.time_s < after_s:
                continue
            share = (frame.time_s - before_s) / (after_s - before_s)
            box = interpolate(before.box, after.box, share)
            look = Appearance.of(frame.image, box)
            if look.matches(before.appearance) and look.matches(after.appearance):
                yield TrackedFace(frame.frame_index, frame.image, after.track, box)
