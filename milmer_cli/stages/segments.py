"""A trial's segments from its files: the one preprocessing path, of `prepare` and `predict`."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from milmer_cli.recordings.faces import NO_VIDEO, FaceBag, FaceFinder, iter_faces, no_faces
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import instance_times
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.store.images import EncodedFaces, encode_face


@functools.cache
def face_finder(settings: FacesSettings) -> FaceFinder:
    """Give the face detector; a process loads it once."""
    return FaceFinder(settings)


def face_segments(
    video: VideoSpan | None, onsets_s: np.ndarray, segment_s: float, settings: FacesSettings
) -> EncodedFaces:
    """Find the faces of a trial's segments and encode them as they are stored.

    Parameters
    ----------
    video
        Where the trial's video is; None gives segments without faces.
    onsets_s
        (n_segments,) seconds from the start of the stimulus.
    segment_s
        Length of a segment, in seconds.
    settings
        Detector, instances, crop.

    Raises
    ------
    InputError
        The video cannot be decoded.
    """
    if video is None:
        return no_face_segments(len(onsets_s), settings, NO_VIDEO)
    parts = list(iter_face_segments(video, onsets_s, segment_s, settings))
    return EncodedFaces(
        [image for part in parts for image in part.images],
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("found", "time", "box", "score", "reason")
        ),
    )


def iter_face_segments(
    video: VideoSpan, onsets_s: np.ndarray, segment_s: float, settings: FacesSettings
) -> Iterator[EncodedFaces]:
    """Do the work of `face_segments` stretch by stretch: only what is encoded is kept.

    Yields
    ------
    EncodedFaces
        Of consecutive segments.
    """
    times = onsets_s[:, None] + instance_times(1, segment_s, settings.instances)
    for bag in iter_faces(video, times, settings, face_finder(settings)):
        yield _encoded(bag)


def no_face_segments(n_segments: int, settings: FacesSettings, reason: str) -> EncodedFaces:
    """Give segments of which no image can be had, and why."""
    return _encoded(no_faces((n_segments, settings.instances), reason))


def _encoded(bag: FaceBag) -> EncodedFaces:
    return EncodedFaces(
        [b"" if image is None else encode_face(image) for image in bag.images],
        bag.found,
        bag.time,
        bag.box,
        bag.score,
        bag.reason,
    )
