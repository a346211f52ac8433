"""Frames of a video by their real time stamps, in one sequential pass.

Times are seconds after the first frame. The frame *at* a time is the one a viewer sees then: the
last frame whose stamp is not later, so a variable frame rate needs no special case and nothing is
invented.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from milmer_cli.errors import InputError
from milmer_cli.recordings.decoding import (
    Clock,
    Shown,
    declared_duration,
    decode,
    decoder,
    moving_pictures,
    open_video,
)

BEFORE = "before the start of the video"
AFTER = "after the end of the video"
UNDECODABLE = "frame not decodable"

_TOLERANCE_S = 1e-3  # a stamp rounded up to a container's millisecond is still the wanted frame
_SEEK_AFTER_S = 20.0  # one jump to the key frame before an onset further in than this pays


@dataclass(frozen=True)
class Sample:
    """What the video shows at one wanted time.

    Attributes
    ----------
    index
        Place of the wanted time among those asked for.
    time_s
        Real time stamp of the frame, in seconds after the first frame; NaN where there is none.
    image
        RGB, (height, width, 3) uint8, turned upright; None where there is none.
    reason
        Why there is no image; empty when there is one.
    """

    index: int
    time_s: float
    image: np.ndarray | None
    reason: str = ""


class Video:
    """A video file, opened anew for every pass.

    Parameters
    ----------
    path
        Any format FFmpeg reads.

    Attributes
    ----------
    fps
        Average frame rate; the real one may vary.
    duration_s
        Declared duration, in seconds; NaN when the file does not say.
    size
        (width, height) in pixels, upright.
    codec
        Name of the codec, ``h264``.

    Raises
    ------
    InputError
        When the file is missing, is no video, or its first frame cannot be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_video(path) as container:
            stream = moving_pictures(container)
            rate = stream.average_rate or stream.guessed_rate
            self.fps = float(rate) if rate else 25.0
            self.codec = str(stream.codec_context.name)
            self.duration_s = declared_duration(container, stream)
            frame = next((frame for frame, good in decode(container, stream) if good), None)
            if frame is None:
                raise InputError(
                    f"No frame of the video {path} can be decoded.",
                    "Copy the file again, or leave its trial without a video.",
                )
            self._origin = Clock(container, self.fps).raw(frame)
            quarter = _quarter_turns(frame)
            self.size = (frame.height, frame.width) if quarter % 2 else (frame.width, frame.height)

    def samples_at(self, times_s: np.ndarray, threads: int = 1) -> Iterator[Sample]:
        """Give what is shown at each time, in one pass that holds two frames at most.

        Parameters
        ----------
        times_s
            Wanted times, in seconds after the first frame, ascending.
        threads
            Threads of the decoder: 1 where participants are prepared side by side.

        Yields
        ------
        Sample
            Exactly one a wanted time, in order.
        """
        wanted = np.asarray(times_s, dtype=float)
        if wanted.size == 0:
            return
        if np.any(np.diff(wanted) < 0):
            raise ValueError("times_s must be ascending")
        early = int(np.searchsorted(wanted, -_TOLERANCE_S))
        for index in range(early):
            yield Sample(index, float("nan"), None, BEFORE)
        cursor = early
        converter = VideoReformatter()
        shown: Shown | None = None
        for following in self._frames_from(wanted[early:], threads):
            until = int(np.searchsorted(wanted, following.stamp - _TOLERANCE_S))
            if shown is not None and until > cursor:
                yield from _samples(shown, range(cursor, until), converter)
                cursor = until
            if cursor == len(wanted):
                return
            shown = following
        if shown is not None:
            until = int(np.searchsorted(wanted, shown.until(1.0 / self.fps) - _TOLERANCE_S))
            yield from _samples(shown, range(cursor, until), converter)
            cursor = max(cursor, until)
        for index in range(cursor, len(wanted)):
            lost = wanted[index] < self.duration_s - _TOLERANCE_S
            yield Sample(index, float("nan"), None, UNDECODABLE if lost else AFTER)

    def last_decodes(self) -> bool:
        """Whether a frame near the declared end decodes: one jump, then to the end."""
        with open_video(self.path) as container:
            stream = moving_pictures(container)
            if np.isnan(self.duration_s):
                return any(good for _, good in decode(container, stream))
            try:
                container.seek(int(max(0.0, self.duration_s - 1.0) * 1e6))
            except av.error.FFmpegError:
                return False
            clock = Clock(container, self.fps, self._origin)
            shown = clock.stamp_all(decode(container, stream))
            last = max((frame.stamp for frame in shown if frame.good), default=float("nan"))
        return bool(last >= self.duration_s - 1.0)

    def _frames_from(self, wanted: np.ndarray, threads: int) -> Iterator[Shown]:
        """Decode from the start, or from a key frame before the first wanted time if exact."""
        if wanted.size and wanted[0] > _SEEK_AFTER_S:
            with open_video(self.path) as container:
                stream = decoder(container, threads)
                clock = Clock(container, self.fps, self._origin)
                if clock.by_presentation and stream.time_base:
                    target = self._origin + wanted[0] - _TOLERANCE_S
                    try:
                        container.seek(int(target / stream.time_base), stream=stream)
                        frames = clock.stamp_all(decode(container, stream))
                        first = next(frames, None)
                    except av.error.FFmpegError:
                        first = None
                    # A jump that lands too late, or on no clean start, would change the frames.
                    if first is not None and first.clean_start and first.stamp <= wanted[0]:
                        yield first
                        yield from frames
                        return
        with open_video(self.path) as container:
            stream = decoder(container, threads)
            clock = Clock(container, self.fps, self._origin)
            yield from clock.stamp_all(decode(container, stream))


def frames_at(
    path: Path, times_s: np.ndarray, threads: int = 1
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Give the frames shown at the given times; a time without a frame yields nothing.

    Parameters
    ----------
    path
        The video file.
    times_s
        Wanted times, in seconds after the first frame, ascending.
    threads
        Threads of the decoder.

    Yields
    ------
    tuple
        Index into ``times_s``, real time stamp in seconds, RGB image (height, width, 3) uint8.
    """
    for sample in Video(path).samples_at(times_s, threads):
        if sample.image is not None:
            yield sample.index, sample.time_s, sample.image


def instance_times(n_segments: int, segment_s: float, instances: int) -> np.ndarray:
    """Give the times of the face images: the middles of ``instances`` equal slices of a segment.

    Returns
    -------
    ndarray
        (n_segments, instances), seconds from the start of the stimulus.
    """
    within = (np.arange(instances) + 0.5) * (segment_s / instances)
    return np.arange(n_segments)[:, None] * segment_s + within[None, :]


def _samples(shown: Shown, indices: range, converter: VideoReformatter) -> Iterator[Sample]:
    """Give a frame as what is shown at the wanted times of ``indices``; converted once."""
    if not indices:
        return
    if shown.frame is None or not shown.good:
        for index in indices:
            yield Sample(index, float("nan"), None, UNDECODABLE)
        return
    image = _to_rgb(shown.frame, converter)
    for index in indices:
        yield Sample(index, shown.stamp, image)


def _to_rgb(frame: av.VideoFrame, converter: VideoReformatter) -> np.ndarray:
    image = converter.reformat(frame, format="rgb24").to_ndarray()
    quarter = _quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(image, quarter)) if quarter else image


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counter-clockwise quarter turns that make the frame upright (its display matrix)."""
    return round(frame.rotation / 90) % 4
