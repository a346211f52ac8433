"""From a video to the face images of its segments: detect, follow the participant, crop.

No face means no image: `FaceBag.found` is False and ``reason`` says why. Nothing is ever invented,
neither a black picture nor pixels beyond the edge of the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image

from milmer_cli.recordings.alignment import crop_level
from milmer_cli.recordings.boxes import Box
from milmer_cli.recordings.detectors import FaceFinder
from milmer_cli.recordings.tracking import FaceTracks
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import Sample, Video
from milmer_cli.settings.schema import FacesSettings

__all__ = ["Box", "FaceBag", "FaceFinder", "crop", "find_faces", "iter_faces", "no_faces"]

NO_FACE = "no face"
OTHER_FACE = "another face"
NO_VIDEO = "no video"

_STRETCH_S = 120.0  # who the participant is gets decided over this long; a DEAP trial lasts 60 s
_MARGIN = 0.6  # a face is searched this many face sizes around where it was
_LARGE_SHARE = 0.5  # above this share of the frame, searching around faces saves nothing


@dataclass(frozen=True)
class FaceBag:
    """Face images of consecutive segments; arrays are (n_segments, instances[, ...]).

    Attributes
    ----------
    images
        RGB (size, size, 3) uint8 in (segment, instance) order; None where no face was found.
    found
        Whether there is an image.
    time
        Real time stamp of the frame, float32 seconds after the stimulus began; NaN without one.
    box
        left, top, right, bottom of the face in the frame, float32 pixels; NaN without a face.
    score
        The detector's, float32; NaN where it gives none.
    reason
        Why there is no image; empty where there is one.
    """

    images: list[np.ndarray | None]
    found: np.ndarray
    time: np.ndarray
    box: np.ndarray
    score: np.ndarray
    reason: np.ndarray


@dataclass(frozen=True)
class _Candidate:
    track: int
    box: Box
    image: np.ndarray


@dataclass(frozen=True)
class _Seen:
    time_s: float
    candidates: list[_Candidate]
    reason: str


def crop(frame: np.ndarray, box: Box, widen: float, size: int) -> np.ndarray:
    """Cut a face out as a square image.

    The box is widened on each side by ``widen`` of its width or height, made square around its
    centre by its longer side, and moved, or where it must be shrunk, into the frame. Pillow's
    bicubic filter is widened by the shrink factor: it antialiases, on exact fractional edges.

    Parameters
    ----------
    frame
        RGB, (height, width, 3) uint8.
    box
        The face.
    widen
        Share of the box added on each side.
    size
        Side of the result, in pixels.

    Returns
    -------
    ndarray
        (size, size, 3) uint8.
    """
    height, width = frame.shape[:2]
    side = min(max(box.width, box.height) * (1 + 2 * widen), height, width)
    x, y = box.centre
    left = min(max(x - side / 2, 0.0), width - side)
    top = min(max(y - side / 2, 0.0), height - side)
    # Convert only what the filter reaches, not the whole frame.
    x0, y0 = max(0, int(left) - 8), max(0, int(top) - 8)
    x1, y1 = min(width, int(left + side) + 9), min(height, int(top + side) + 9)
    part = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
    square = (left - x0, top - y0, left - x0 + side, top - y0 + side)
    return np.asarray(part.resize((size, size), Image.Resampling.BICUBIC, box=square))


def find_faces(
    video: VideoSpan,
    times: np.ndarray,
    settings: FacesSettings,
    finder: FaceFinder,
    on_frame: Callable[[], None] | None = None,
) -> FaceBag:
    """Find the participant's face at the given times of one trial.

    Parameters
    ----------
    video
        The video and where in it the stimulus starts.
    times
        (n_segments, instances), seconds from the start of the stimulus, ascending in both
        directions; segments may overlap.
    settings
        ``widen`` and ``size`` are read.
    finder
        The detector, and the landmark network where faces are to be aligned.
    on_frame
        Called after each different time.

    Returns
    -------
    FaceBag
        Of all segments; `iter_faces` gives them piece by piece.

    Raises
    ------
    InputError
        When the video cannot be opened or its first frame not decoded.
    """
    parts = list(iter_faces(video, times, settings, finder, on_frame))
    if not parts:
        return no_faces(times.shape, NO_FACE)
    return FaceBag(
        [image for part in parts for image in part.images],
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("found", "time", "box", "score", "reason")
        ),
    )


def iter_faces(
    video: VideoSpan,
    times: np.ndarray,
    settings: FacesSettings,
    finder: FaceFinder,
    on_frame: Callable[[], None] | None = None,
) -> Iterator[FaceBag]:
    """Do the work of `find_faces` in stretches of two minutes, so that memory stays flat.

    Who the participant is follows from all that was seen up to the end of a stretch.

    Yields
    ------
    FaceBag
        Of consecutive segments.
    """
    instances = times.shape[1]
    # Segments may overlap: every moment is looked at once, in the order of time.
    moments, where = np.unique(np.round(times, 6), return_inverse=True)
    where = where.reshape(times.shape)
    samples = Video(video.path).samples_at(video.onset_s + moments)
    tracks = FaceTracks()
    seen: dict[int, _Seen] = {}
    given, begun = 0, 0
    for first in range(0, len(moments), instances):
        shown = list(islice(samples, instances))
        for sample, boxes in zip(shown, _detect(finder, shown), strict=True):
            seen[sample.index] = _look(sample, boxes, tracks, settings, finder, video.onset_s)
            if on_frame is not None:
                on_frame()
        last = first + len(shown) - 1
        if moments[last] - moments[begun] >= _STRETCH_S or last == len(moments) - 1:
            whole = int(np.count_nonzero(where.max(axis=1) <= last))
            if whole > given:
                yield _choose(seen, where[given:whole], tracks.main())
            needed = where[whole:].min(initial=last + 1)
            seen = {index: look for index, look in seen.items() if index >= needed}
            given, begun = whole, last


def no_faces(shape: tuple[int, ...], reason: str = NO_VIDEO) -> FaceBag:
    """Give the bag of a trial of which no frame could be used.

    Parameters
    ----------
    shape
        (n_segments, instances).
    reason
        Why there is no face anywhere.
    """
    return FaceBag(
        [None] * int(np.prod(shape)),
        np.zeros(shape, bool),
        np.full(shape, np.nan, np.float32),
        np.full((*shape, 4), np.nan, np.float32),
        np.full(shape, np.nan, np.float32),
        np.full(shape, reason, dtype=object),
    )


def _look(
    sample: Sample,
    boxes: list[Box],
    tracks: FaceTracks,
    settings: FacesSettings,
    finder: FaceFinder,
    onset_s: float,
) -> _Seen:
    image = sample.image
    if image is None:
        return _Seen(sample.time_s - onset_s, [], sample.reason)
    numbers = tracks.add(sample.time_s, boxes)
    candidates = [
        _Candidate(number, box, _cut(image, box, settings, finder))
        for number, box in zip(numbers, boxes, strict=True)
    ]
    return _Seen(sample.time_s - onset_s, candidates, OTHER_FACE if boxes else NO_FACE)


def _cut(frame: np.ndarray, box: Box, settings: FacesSettings, finder: FaceFinder) -> np.ndarray:
    """Crop, with level eyes where that is asked for and possible without inventing pixels."""
    if finder.eyes is not None:
        tilt = finder.eyes.tilt(frame, box)
        level = crop_level(frame, box, tilt, settings.widen, settings.size)
        if level is not None:
            return level
    return crop(frame, box, settings.widen, settings.size)


def _choose(seen: dict[int, _Seen], where: np.ndarray, main: int | None) -> FaceBag:
    """Gather the participant's faces of the segments whose moments are ``where``."""
    bag = no_faces(where.shape)
    for flat, (at, moment) in enumerate(np.ndenumerate(where)):
        look = seen[moment]
        bag.time[at] = look.time_s
        bag.reason[at] = look.reason
        for candidate in look.candidates:
            if candidate.track == main:
                box = candidate.box
                bag.images[flat] = candidate.image
                bag.found[at] = True
                bag.box[at] = (box.left, box.top, box.right, box.bottom)
                bag.score[at] = box.score
                bag.reason[at] = ""
    return bag


def _detect(finder: FaceFinder, shown: list[Sample]) -> list[list[Box]]:
    """Find the faces of some successive frames.

    The first and the last frame are searched whole; those between only around the faces of these
    two, at full resolution, and whole again when the largest is not there. A fixed-size detector
    always gets whole frames.
    """
    images = [sample.image for sample in shown if sample.image is not None]
    inner = range(0) if finder.scale_bound else range(1, len(images) - 1)
    found = {
        index: finder.find(images[index]) for index in range(len(images)) if index not in inner
    }
    if inner:
        height, width = images[0].shape[:2]
        regions = _regions([box for boxes in found.values() for box in boxes], (height, width))
        area = sum((right - left) * (bottom - top) for left, top, right, bottom in regions)
        if area > _LARGE_SHARE * height * width:
            regions = []
        for index in inner:
            parts = [_find_in(finder, images[index], region) for region in regions]
            if parts and parts[0]:
                found[index] = [box for part in parts for box in part]
            else:
                found[index] = finder.find(images[index])
    ordered = (found[index] for index in range(len(images)))
    return [[] if sample.image is None else next(ordered) for sample in shown]


def _find_in(finder: FaceFinder, image: np.ndarray, region: tuple[int, int, int, int]) -> list[Box]:
    left, top, right, bottom = region
    return [box.shifted(left, top) for box in finder.find(image[top:bottom, left:right])]


def _regions(boxes: list[Box], shape: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Separate rectangles around the boxes, with a margin; the one of the largest box first."""
    height, width = shape
    regions: list[tuple[int, int, int, int]] = []
    for box in sorted(boxes, key=lambda box: -box.area):
        margin = _MARGIN * max(box.width, box.height)
        new = (
            max(0, int(box.left - margin)),
            max(0, int(box.top - margin)),
            min(width, int(box.right + margin) + 1),
            min(height, int(box.bottom + margin) + 1),
        )
        first = len(regions)
        while True:
            touching = [index for index, region in enumerate(regions) if _overlap(region, new)]
            if not touching:
                break
            first = min(first, *touching)
            for index in reversed(touching):
                new = _union(new, regions.pop(index))
        regions.insert(min(first, len(regions)), new)
    return regions


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _union(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
