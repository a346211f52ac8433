"""The frame that a video shows at each requested time, in one sequential pass.

Times are seconds after the first frame. The frame *at* a time is the last frame whose timestamp is
not later, as a player would show it. A variable frame rate therefore needs no special case, and no
frame is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

from milmer_cli.errors import InputError
from milmer_cli.video.decode import (
    AS_STORED,
    VideoOptions,
    average_frame_rate,
    check_frame_rate,
    declared_duration,
    decode_frames,
    may_restart,
    open_container,
    require_index,
    seeks_exactly,
    states_end_time,
    video_stream,
)
from milmer_cli.video.packets import scan_packets
from milmer_cli.video.timestamps import DecodedFrame, FrameTimestamps

BEFORE_START = "before the start of the video"
AFTER_END = "after the end of the video"
UNDECODABLE = "frame not decodable"

_TOLERANCE_S = 1e-3
"""Containers round timestamps to milliseconds; a frame this much later still counts as shown."""
_SEEK_AFTER_S = 20.0
"""Seeking to a key frame is faster than decoding from the start if the first time is later."""
_LAST_S = 1.0
_DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class VideoSpan:
    """The part of a video file that shows one trial.

    Attributes
    ----------
    path
        The video file.
    onset_s
        Stimulus onset, in seconds after the first frame.
    options
        What the user states about the file.
    """

    path: Path
    onset_s: float = 0.0
    options: VideoOptions = AS_STORED


@dataclass(frozen=True)
class RequestedFrame:
    """The frame at one requested time.

    Attributes
    ----------
    index
        Index of the requested time.
    time_s
        Timestamp of the frame, in seconds after the first frame; NaN without a frame.
    image
        (height, width, 3) uint8 RGB, upright; None without a frame.
    reason
        Why there is no image: `BEFORE_START`, `AFTER_END`, `UNDECODABLE`; empty with an image.
    """

    index: int
    time_s: float
    image: np.ndarray | None
    reason: str = ""


class VideoReader:
    """A video file. Every pass over it opens the file again.

    Parameters
    ----------
    path
        Any format that FFmpeg can read.
    options
        Number of the video stream, and the frame rate of a file without time stamps.

    Attributes
    ----------
    fps
        Average frame rate; the actual one may vary.
    duration_s
        Duration in the header, in seconds; NaN if there is none. It is measured in a joined file,
        and if the header may state the end of the last frame instead.
    restarts_s
        Where the time stamps of a joined file restart, in seconds.
    size
        (width, height) of the upright frame, in pixels.
    codec
        Name of the codec, for example ``h264``.

    Raises
    ------
    InputError
        The file is missing or not a video, none of its frames is decodable, or the frame rate of a
        file without time stamps is not given.
    """

    def __init__(self, path: Path, options: VideoOptions = AS_STORED) -> None:
        self.path, self.options = path, options
        with open_container(path) as container:
            check_frame_rate(container, options)
            stream = video_stream(container, options)
            fps = options.fps or average_frame_rate(stream)
            self.fps = _DEFAULT_FPS if np.isnan(fps) else fps
            self.codec = str(stream.codec_context.name)
            self.duration_s = float("nan") if options.fps else declared_duration(container, stream)
            self.restarts_s: tuple[float, ...] = ()
            late = states_end_time(container, stream)
            if late or may_restart(container):
                packets = scan_packets(path, options)
                self.restarts_s = packets.restarts_s
                if late or packets.restarts_s:
                    self.duration_s = packets.duration_s
            frames = decode_frames(container, stream)
            first = next((frame for frame, valid in frames if frame is not None and valid), None)
            if first is None:
                require_index(path)
                raise InputError(
                    f"No frame of the video {path} is decodable.",
                    "Copy the file again, or prepare its trial without a video.",
                )
            self._origin_s = FrameTimestamps(container, self.fps).container_time(first)
            transposed, _, _ = _orientation(first)
            size = (first.width, first.height)
            self.size = size[::-1] if transposed else size

    def frames_at(self, times_s: np.ndarray, threads: int = 1) -> Iterator[RequestedFrame]:
        """Return the frame at each time, in one pass that holds at most two frames in memory.

        Parameters
        ----------
        times_s
            (n,) seconds after the first frame, ascending.
        threads
            Threads of the decoder; 0 leaves FFmpeg's default.

        Yields
        ------
        RequestedFrame
            Exactly one per time, in order.
        """
        times_s = np.asarray(times_s, dtype=float)
        if times_s.size == 0:
            return
        if np.any(np.diff(times_s) < 0):
            raise ValueError("times_s must be ascending")
        n_before = int(np.searchsorted(times_s, -_TOLERANCE_S))
        for index in range(n_before):
            yield RequestedFrame(index, float("nan"), None, BEFORE_START)
        # Invariant: all times before `cursor` are answered. `current` is the last frame that
        # started no later than the next one; it is shown until `following` starts.
        cursor = n_before
        reformatter = VideoReformatter()
        current: DecodedFrame | None = None
        for following in self._decode_from(times_s[n_before:], threads):
            end = int(np.searchsorted(times_s, following.time_s - _TOLERANCE_S))
            if current is not None and end > cursor:
                yield from _requested_frames(current, range(cursor, end), reformatter)
                cursor = end
            if cursor == len(times_s):
                return
            current = following
        if current is not None:
            end = int(np.searchsorted(times_s, current.end_s(1.0 / self.fps) - _TOLERANCE_S))
            yield from _requested_frames(current, range(cursor, end), reformatter)
            cursor = max(cursor, end)
        for index in range(cursor, len(times_s)):
            lost = times_s[index] < self.duration_s - _TOLERANCE_S
            yield RequestedFrame(index, float("nan"), None, UNDECODABLE if lost else AFTER_END)

    def last_frame_decodes(self) -> bool:
        """Whether a frame that ends in the last second of the declared duration is decodable."""
        if np.isnan(self.duration_s) or self.restarts_s:
            return any(frame.valid for frame in self._decode_from_start())
        # Transport streams have no index: a seek ends at any frame, and the decoder skips all
        # frames before the next key frame. The end is lost only if it is missing after a key frame.
        for start_s in self._starts_near_end():
            found_key_frame = False
            for frame in self._decode_near(start_s):
                if self._is_near_end(frame):
                    return True
                found_key_frame |= frame.starts_cleanly
            if found_key_frame:
                return False
        return any(self._is_near_end(frame) for frame in self._decode_from_start())

    def _is_near_end(self, frame: DecodedFrame) -> bool:
        return frame.valid and frame.end_s(1.0 / self.fps) >= self.duration_s - _LAST_S

    def _starts_near_end(self) -> Iterator[float]:
        """Yield times before the last second, each four times as far from the end as before."""
        margin_s = _LAST_S
        while margin_s < self.duration_s:
            yield self.duration_s - margin_s
            margin_s *= 4.0

    def _decode_from(self, times_s: np.ndarray, threads: int) -> Iterator[DecodedFrame]:
        """Decode from a key frame before the first requested time, or from the start."""
        if times_s.size and times_s[0] > _SEEK_AFTER_S:
            with open_container(self.path) as container:
                frames = self._seek(container, float(times_s[0]), threads)
                first = next(frames, None)
                # Seeking may land too late or on a frame that depends on earlier ones. Then the
                # result would differ from that of decoding from the start, so start there.
                if first is not None and first.starts_cleanly and first.time_s <= times_s[0]:
                    yield first
                    yield from frames
                    return
        yield from self._decode_from_start(threads)

    def _decode_from_start(self, threads: int = 0) -> Iterator[DecodedFrame]:
        with open_container(self.path) as container:
            stream = video_stream(container, self.options, threads)
            timestamps = FrameTimestamps(container, self.fps, self._origin_s)
            yield from timestamps.assign(decode_frames(container, stream))

    def _decode_near(self, time_s: float) -> Iterator[DecodedFrame]:
        """Decode from any frame near a time; nothing if the file does not support seeking."""
        origin_s = 0.0 if np.isnan(self._origin_s) else self._origin_s
        with open_container(self.path) as container:
            if not seeks_exactly(container, self.path):
                return
            try:
                container.seek(int((origin_s + time_s) * 1e6))
            except av.error.FFmpegError:
                return
            stream = video_stream(container, self.options)
            timestamps = FrameTimestamps(container, self.fps, self._origin_s)
            yield from timestamps.assign(decode_frames(container, stream))

    def _seek(
        self, container: av.container.InputContainer, time_s: float, threads: int
    ) -> Iterator[DecodedFrame]:
        """Decode from the key frame before a time; nothing if the file does not support it.

        Without presentation timestamps (AVI), or if timestamps restart, the time of the frame after
        seeking is not reliable.
        """
        stream = video_stream(container, self.options, threads)
        timestamps = FrameTimestamps(container, self.fps, self._origin_s)
        has_times = timestamps.has_pts and stream.time_base and not np.isnan(self._origin_s)
        if not has_times or self.restarts_s or not seeks_exactly(container, self.path):
            return
        target_s = self._origin_s + time_s - _TOLERANCE_S
        try:
            container.seek(int(target_s / stream.time_base), stream=stream)
        except av.error.FFmpegError:
            return
        yield from timestamps.assign(decode_frames(container, stream))


def _requested_frames(
    decoded: DecodedFrame, indices: range, reformatter: VideoReformatter
) -> Iterator[RequestedFrame]:
    """Return one decoded frame for all times of ``indices``; it is converted to RGB once."""
    if not indices:
        return
    if decoded.frame is None or not decoded.valid:
        for index in indices:
            yield RequestedFrame(index, float("nan"), None, UNDECODABLE)
        return
    image = _to_rgb(decoded.frame, reformatter)
    for index in indices:
        yield RequestedFrame(index, decoded.time_s, image)


def _to_rgb(frame: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    image = reformatter.reformat(frame, format="rgb24").to_ndarray()
    transposed, flip_x, flip_y = _orientation(frame)
    if transposed:
        image = image.swapaxes(0, 1)
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Return what makes a frame upright: transposing, then flipping x, flipping y.

    The display matrix (ISO 14496-12) maps (x, y) to (a x + c y, b x + d y). Rotations by other than
    quarter turns are rounded.
    """
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5]
    if abs(int(a)) < abs(int(b)):
        return True, bool(c < 0), bool(b < 0)
    return False, bool(a < 0), bool(d < 0)
