"""A video file opened, its frames decoded and stamped, whatever is broken in it.

Times are seconds after the first frame. AVI is the trap: it stores no presentation times, and
FFmpeg's guess of them is scrambled as soon as H.264 uses B-frames (stamps 1, 4, 3, 5, 2 ... on
frames that come out in the right order). What is dependable there is the running decoding stamp, so
AVI is timed by that. A decoder hands out its last, delayed frames without one: they continue at the
frame interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from milmer_cli.errors import InputError


def open_video(path: Path) -> av.container.InputContainer:
    """Open a file that holds moving pictures.

    Raises
    ------
    InputError
        It is missing, cannot be opened, or holds none (the cover picture of a song is none).
    """
    if not path.is_file():
        raise InputError(f"There is no video file {path}.", "Check the path.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"The video {path} cannot be opened: {_plain(error)}.",
            "Copy the file again; it may be cut short, or be no video.",
        ) from error
    if all(_is_cover(stream) for stream in container.streams.video):
        held = "only sound" if container.streams.audio else "no video stream"
        container.close()
        raise InputError(f"The file {path} holds {held}.", "Give the face video.")
    return container


def _is_cover(stream: av.VideoStream) -> bool:
    """Whether a stream is the cover picture of a song."""
    return bool(stream.disposition & Disposition.attached_pic)


def moving_pictures(container: av.container.InputContainer) -> av.VideoStream:
    """Give the first video stream that is no cover picture."""
    return next(stream for stream in container.streams.video if not _is_cover(stream))


def decoder(container: av.container.InputContainer, threads: int) -> av.VideoStream:
    """Give the video stream, to be decoded by so many threads."""
    stream = moving_pictures(container)
    stream.codec_context.thread_count = threads
    if threads > 1:
        stream.thread_type = "AUTO"
    return stream


def decode(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[av.VideoFrame | None, bool]]:
    """Give the frames, and whether to trust them: not between a fault (a None) and a key frame."""
    good = True
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            if packet is None:  # the container itself is broken from here on
                return
            good = False
            yield None, False
            continue
        for frame in frames:
            good = (good or frame.key_frame) and not frame.is_corrupt
            yield frame, good


@dataclass(frozen=True)
class Shown:
    """A decoded frame from ``stamp`` on; None where one is lost; not ``good`` after a fault."""

    frame: av.VideoFrame | None
    stamp: float
    good: bool

    @property
    def clean_start(self) -> bool:
        """Whether it and what follows can be decoded without anything before it."""
        return self.frame is not None and self.good and bool(self.frame.key_frame)

    def until(self, interval_s: float) -> float:
        """When it ends if nothing follows: after its own duration where the container has one."""
        frame = self.frame
        if frame is not None and frame.duration and frame.time_base is not None:
            return self.stamp + max(interval_s, float(frame.duration * frame.time_base))
        return self.stamp + interval_s


class Clock:
    """Stamps of frames in output order: strictly rising seconds after the first frame."""

    def __init__(
        self, container: av.container.InputContainer, fps: float, origin: float = 0.0
    ) -> None:
        self.by_presentation = container.format.name != "avi"
        self._interval = 1.0 / fps
        self._origin = origin
        self._last: float | None = None

    def raw(self, frame: av.VideoFrame) -> float:
        """Stamp in the container's own time, in seconds; NaN when it has none."""
        ticks = frame.pts if self.by_presentation else frame.dts
        if ticks is None or frame.time_base is None:
            return float("nan")
        return float(ticks * frame.time_base)

    def stamp_all(self, frames: Iterator[tuple[av.VideoFrame | None, bool]]) -> Iterator[Shown]:
        """Stamp frames; a gap lasts from where the frame before it would have ended."""
        for frame, good in frames:
            if frame is None:
                if self._last is not None:
                    yield Shown(None, self._last + self._interval, False)
                continue
            stamp = self.raw(frame) - (0.0 if np.isnan(self._origin) else self._origin)
            if self._last is None:
                stamp = 0.0 if np.isnan(stamp) else stamp
            elif np.isnan(stamp) or stamp <= self._last:
                stamp = self._last + self._interval
            self._last = stamp
            yield Shown(frame, stamp, good)


def declared_duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Give the duration that the file states, in seconds; NaN where it does not."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return container.duration / 1e6
    return float("nan")


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
