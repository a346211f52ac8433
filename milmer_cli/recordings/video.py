"""Frames of a video by their real time stamps, in one sequential pass.

Times are seconds after the first frame. The frame *at* a time is the one a viewer sees then: the
last frame whose stamp is not later, so a variable frame rate needs no special case and nothing is
invented.

AVI is the trap: it stores no presentation times, and FFmpeg's guess of them is scrambled as soon as
H.264 uses B-frames (stamps 1, 4, 3, 5, 2 ... on frames that come out in the right order). What is
dependable there is the running decoding stamp, so AVI is timed by that. A decoder hands out its
last, delayed frames without one: they continue at the frame interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from milmer_cli.errors import InputError

BEFORE = "before the start of the video"
AFTER = "after the end of the video"
UNDECODABLE = "frame not decodable"

_TOLERANCE_S = 1e-3  # a stamp rounded up to a container's millisecond is still the wanted frame
_EARLIEST_YEAR = 1990  # an unset clock says 1904 or 1970
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


@dataclass(frozen=True)
class VideoProbe:
    """Facts of a video file: ``size`` is (width, height) in pixels, ``fps`` the average rate."""

    fps: float
    duration_s: float
    size: tuple[int, int]
    codec: str
    first_decodable: bool
    last_decodable: bool


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
        with _open(path) as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            self.fps = float(rate) if rate else 25.0
            self.codec = str(stream.codec_context.name)
            self.duration_s = _declared_duration(container, stream)
            frame = next((frame for frame, good in _decode(container, stream) if good), None)
            if frame is None:
                raise InputError(
                    f"No frame of the video {path} can be decoded.",
                    "Copy the file again, or leave its trial without a video.",
                )
            self._origin = _Clock(container, self.fps).raw(frame)
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
        shown: _Shown | None = None
        for following in self._frames_from(wanted[early:], threads):
            until = int(np.searchsorted(wanted, following.stamp - _TOLERANCE_S))
            if shown is not None and until > cursor:
                yield from shown.samples(range(cursor, until), converter)
                cursor = until
            if cursor == len(wanted):
                return
            shown = following
        if shown is not None:
            until = int(np.searchsorted(wanted, shown.until(1.0 / self.fps) - _TOLERANCE_S))
            yield from shown.samples(range(cursor, until), converter)
            cursor = max(cursor, until)
        for index in range(cursor, len(wanted)):
            lost = wanted[index] < self.duration_s - _TOLERANCE_S
            yield Sample(index, float("nan"), None, UNDECODABLE if lost else AFTER)

    def _frames_from(self, wanted: np.ndarray, threads: int) -> Iterator[_Shown]:
        """Decode from the start, or from a key frame before the first wanted time if exact."""
        if wanted.size and wanted[0] > _SEEK_AFTER_S:
            with _open(self.path) as container:
                stream = _decoder(container, threads)
                clock = _Clock(container, self.fps, self._origin)
                if clock.by_presentation and stream.time_base:
                    target = self._origin + wanted[0] - _TOLERANCE_S
                    try:
                        container.seek(int(target / stream.time_base), stream=stream)
                        frames = clock.stamp_all(_decode(container, stream))
                        first = next(frames, None)
                    except av.error.FFmpegError:
                        first = None
                    # A jump that lands too late, or on no clean start, would change the frames.
                    if first is not None and first.clean_start and first.stamp <= wanted[0]:
                        yield first
                        yield from frames
                        return
        with _open(self.path) as container:
            stream = _decoder(container, threads)
            clock = _Clock(container, self.fps, self._origin)
            yield from clock.stamp_all(_decode(container, stream))


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


def probe_video(path: Path) -> VideoProbe:
    """Open a video far enough to know that its first and last frames decode, and no further.

    Raises
    ------
    InputError
        When the file is missing or is no video.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
        codec = stream.codec_context
        size = (codec.width, codec.height)
        declared = _declared_duration(container, stream)
        codec_name = str(codec.name)
    try:
        video = Video(path)
    except InputError:
        return VideoProbe(float(rate or 0), declared, size, codec_name, False, False)
    return VideoProbe(
        video.fps, video.duration_s, video.size, video.codec, True, _last_decodes(video)
    )


def started_at(path: Path) -> datetime | None:
    """When the recording of a video began, as its metadata say; None where they do not.

    mp4, mov and mkv can say it, to the second; some phones write when the recording ended.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        said = container.metadata.get("creation_time") or stream.metadata.get("creation_time")
    try:
        start = datetime.fromisoformat(said or "")
    except ValueError:
        return None
    return start if start.tzinfo and start.year >= _EARLIEST_YEAR else None


def measured_duration(path: Path) -> float:
    """Find the duration of a file that does not declare it, in seconds, without decoding."""
    with _open(path) as container:
        stream = container.streams.video[0]
        stamps = [
            (packet.pts, packet.pts + (packet.duration or 0))
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
        if not stamps or stream.time_base is None:
            return float("nan")
        first, last = min(start for start, _ in stamps), max(end for _, end in stamps)
        return float((last - first) * stream.time_base)


def instance_times(n_segments: int, segment_s: float, instances: int) -> np.ndarray:
    """Give the times of the face images: the middles of ``instances`` equal slices of a segment.

    Returns
    -------
    ndarray
        (n_segments, instances), seconds from the start of the stimulus.
    """
    within = (np.arange(instances) + 0.5) * (segment_s / instances)
    return np.arange(n_segments)[:, None] * segment_s + within[None, :]


@dataclass(frozen=True)
class _Shown:
    """A decoded frame from ``stamp`` on; None where one is lost; not ``good`` after a fault."""

    frame: av.VideoFrame | None
    stamp: float
    good: bool

    @property
    def clean_start(self) -> bool:
        return self.frame is not None and self.good and bool(self.frame.key_frame)

    def until(self, interval_s: float) -> float:
        """When it ends if nothing follows: after its own duration where the container has one."""
        frame = self.frame
        if frame is not None and frame.duration and frame.time_base is not None:
            return self.stamp + max(interval_s, float(frame.duration * frame.time_base))
        return self.stamp + interval_s

    def samples(self, indices: range, converter: VideoReformatter) -> Iterator[Sample]:
        """Give it as what is shown at the wanted times of ``indices``; converted once."""
        if not indices:
            return
        if self.frame is None or not self.good:
            for index in indices:
                yield Sample(index, float("nan"), None, UNDECODABLE)
            return
        image = _to_rgb(self.frame, converter)
        for index in indices:
            yield Sample(index, self.stamp, image)


class _Clock:
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

    def stamp_all(self, frames: Iterator[tuple[av.VideoFrame | None, bool]]) -> Iterator[_Shown]:
        """Stamp frames; a gap lasts from where the frame before it would have ended."""
        for frame, good in frames:
            if frame is None:
                if self._last is not None:
                    yield _Shown(None, self._last + self._interval, False)
                continue
            stamp = self.raw(frame) - (0.0 if np.isnan(self._origin) else self._origin)
            if self._last is None:
                stamp = 0.0 if np.isnan(stamp) else stamp
            elif np.isnan(stamp) or stamp <= self._last:
                stamp = self._last + self._interval
            self._last = stamp
            yield _Shown(frame, stamp, good)


def _open(path: Path) -> av.container.InputContainer:
    if not path.is_file():
        raise InputError(f"There is no video file {path}.", "Check the path.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"The video {path} cannot be opened: {_plain(error)}.",
            "Copy the file again; it may be cut short, or be no video.",
        ) from error
    moving = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not moving:
        held = "only sound" if container.streams.audio else "no video stream"
        container.close()
        raise InputError(f"The file {path} holds {held}.", "Give the face video.")
    return container


def _is_cover(stream: av.VideoStream) -> bool:
    """Whether a stream is the cover picture of a song."""
    return bool(stream.disposition & Disposition.attached_pic)


def _decoder(container: av.container.InputContainer, threads: int) -> av.VideoStream:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = threads
    if threads > 1:
        stream.thread_type = "AUTO"
    return stream


def _decode(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[av.VideoFrame | None, bool]]:
    """Frames with whether they can be trusted, not between a fault (a None) and a key frame."""
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


def _to_rgb(frame: av.VideoFrame, converter: VideoReformatter) -> np.ndarray:
    image = converter.reformat(frame, format="rgb24").to_ndarray()
    quarter = _quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(image, quarter)) if quarter else image


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counter-clockwise quarter turns that make the frame upright (its display matrix)."""
    return round(frame.rotation / 90) % 4


def _declared_duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return container.duration / 1e6
    return float("nan")


def _last_decodes(video: Video) -> bool:
    """Whether a frame near the declared end decodes: one jump, then to the end."""
    with _open(video.path) as container:
        stream = container.streams.video[0]
        if np.isnan(video.duration_s):
            return any(good for _, good in _decode(container, stream))
        try:
            container.seek(int(max(0.0, video.duration_s - 1.0) * 1e6))
        except av.error.FFmpegError:
            return False
        clock = _Clock(container, video.fps, video._origin)
        shown = clock.stamp_all(_decode(container, stream))
        last = max((frame.stamp for frame in shown if frame.good), default=float("nan"))
    return bool(last >= video.duration_s - 1.0)


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
