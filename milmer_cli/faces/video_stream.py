"""Selection of the video stream that shows a face, in files with several video streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.search import USUAL, find_faces
from milmer_cli.video.decode import describe_streams, open_container, video_streams
from milmer_cli.video.frames import VideoReader, VideoSpan

_SEARCHED_S = np.arange(0.5, 10.0, 2.0)
"""Times of the frames that are searched, in seconds after stimulus onset."""


def select_video_stream(video: VideoSpan, detector: FaceDetector) -> tuple[VideoSpan, str]:
    """Select the video stream with faces in most frames; the first of several equal ones.

    Parameters
    ----------
    video
        A stream that the user selected is kept.
    detector
        The detector.

    Returns
    -------
    video, note
        The video with the number of its stream; a note if the file has several streams and the user
        selected none, else "".

    Raises
    ------
    InputError
        The file is not a video.
    """
    with open_container(video.path) as container:
        n_streams, described = len(video_streams(container)), describe_streams(container)
    if n_streams == 1 or video.options.stream is not None:
        return video, ""
    candidates = [
        replace(video, options=replace(video.options, stream=number))
        for number in range(1, n_streams + 1)
    ]
    counts = [_count_faces(candidate, detector) for candidate in candidates]
    number = 1 + int(np.argmax(counts))
    shown = ", ".join(f"{n}: {count}" for n, count in enumerate(counts, start=1))
    note = (
        f"{video.path} has the video streams {described}. Stream {number} is used (frames with a "
        f"face of {len(_SEARCHED_S)} searched: {shown}); --video-stream (in a manifest: "
        "video_stream) selects another."
    )
    return candidates[number - 1], note


def _count_faces(video: VideoSpan, detector: FaceDetector) -> int:
    """Return the number of searched frames with a face; 0 for a stream that is not decodable."""
    try:
        reader = VideoReader(video.path, video.options)
    except InputError:
        return 0
    frames = reader.frames_at(video.onset_s + _SEARCHED_S)
    images = [frame.image for frame in frames if frame.image is not None]
    return sum(bool(find_faces(detector, i, detector.frame_side, USUAL)) for i in images)
