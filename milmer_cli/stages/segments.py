"""A trial's segments from its files: the one preprocessing path, of `prepare` and `predict`."""

from __future__ import annotations

import functools

import numpy as np

from milmer_cli.recordings.faces import FaceBag, FaceFinder, find_faces, no_faces
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
    shape = (len(onsets_s), settings.instances)
    if video is None:
        return _encoded(no_faces(shape))
    times = onsets_s[:, None] + instance_times(1, segment_s, settings.instances)
    return _encoded(find_faces(video, times, settings, face_finder(settings)))


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
