"""Strictly increasing timestamps of decoded frames, in seconds after the first frame.

Every container stores presentation timestamps (PTS) except AVI. For AVI, FFmpeg guesses them, and
the guess is in the wrong order as soon as H.264 uses B-frames: frames that are decoded in the right
order have the timestamps 1, 4, 3, 5, 2, ... The decoding timestamps (DTS) of AVI do increase, so
they are used for AVI. At the end of a file, the decoder returns its delayed frames without DTS:
they continue at the frame interval.

Raw streams (.h264) store no timestamps: all frames have the interval that the user states. In
joined transport streams the timestamps restart: every part continues where the previous one ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av
import numpy as np

from milmer_cli.video.decode import has_timestamps, may_restart
from milmer_cli.video.packets import JUMP_S, RESTART_S


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame with its timestamp.

    Attributes
    ----------
    frame
        The frame; None where a packet could not be decoded.
    time_s
        Seconds after the first frame of the file.
    valid
        False for frames between a decoding error and the next key frame.
    """

    frame: av.VideoFrame | None
    time_s: float
    valid: bool

    @property
    def starts_cleanly(self) -> bool:
        """Whether this frame and the following ones are decodable without earlier frames."""
        return self.frame is not None and self.valid and bool(self.frame.key_frame)

    def end_s(self, interval_s: float) -> float:
        """Return when this frame ends if it is the last one.

        Parameters
        ----------
        interval_s
            Average frame interval; used unless the container states a longer frame duration.
        """
        frame = self.frame
        if frame is not None and frame.duration and frame.time_base is not None:
            return self.time_s + max(interval_s, float(frame.duration * frame.time_base))
        return self.time_s + interval_s


class FrameTimestamps:
    """Timestamps of frames in output order.

    Parameters
    ----------
    container
        The opened file.
    fps
        Average frame rate.
    origin_s
        `container_time` of the first frame of the file; NaN counts as 0.

    Attributes
    ----------
    has_pts
        Whether the container stores presentation timestamps.
    """

    def __init__(
        self, container: av.container.InputContainer, fps: float, origin_s: float = 0.0
    ) -> None:
        self.has_pts = container.format.name != "avi"
        self._has_timestamps = has_timestamps(container)
        self._may_restart = may_restart(container)
        self._interval_s = 1.0 / fps
        self._origin_s = 0.0 if np.isnan(origin_s) else origin_s
        self._previous_s: float | None = None

    def container_time(self, frame: av.VideoFrame) -> float:
        """Return the timestamp of a frame as stored, in seconds; NaN if it has none."""
        ticks = frame.pts if self.has_pts else frame.dts
        if ticks is None or frame.time_base is None or not self._has_timestamps:
            return float("nan")
        return float(ticks * frame.time_base)

    def assign(self, frames: Iterable[tuple[av.VideoFrame | None, bool]]) -> Iterator[DecodedFrame]:
        """Assign a timestamp to each frame of `decode_frames`.

        A missing or not increasing timestamp is replaced by that of the previous frame plus the
        frame interval. A lost frame starts where the previous frame would have ended.
        """
        for frame, valid, stored_s in self._stored_times(frames):
            if frame is None:
                if self._previous_s is not None:
                    yield DecodedFrame(None, self._previous_s + self._interval_s, False)
                    if not self._has_timestamps:
                        self._previous_s += self._interval_s
                continue
            time_s = stored_s - self._origin_s
            if self._previous_s is None:
                time_s = 0.0 if np.isnan(time_s) else time_s
            else:
                time_s = self._after(self._previous_s, time_s)
            self._previous_s = time_s
            yield DecodedFrame(frame, time_s, valid)

    def _stored_times(
        self, frames: Iterable[tuple[av.VideoFrame | None, bool]]
    ) -> Iterator[tuple[av.VideoFrame | None, bool, float]]:
        """Yield the frames with their stored times; NaN for a frame without a time.

        Where timestamps may restart, a single wrong one, between two that agree, is also NaN. This
        takes one more frame in memory.
        """
        before_s, here = float("nan"), None
        for frame, valid in frames:
            after_s = float("nan") if frame is None else self.container_time(frame)
            if not self._may_restart:
                yield frame, valid, after_s
                continue
            if here is not None:
                wrong = abs(here[2] - before_s) > RESTART_S > abs(after_s - before_s)
                yield here[0], here[1], float("nan") if wrong else here[2]
                before_s = before_s if wrong or np.isnan(here[2]) else here[2]
            here = frame, valid, after_s
        if here is not None:
            yield here

    def _after(self, previous_s: float, time_s: float) -> float:
        """Return the time of the frame after another one; continue a joined file."""
        next_s = previous_s + self._interval_s
        step_s = time_s - previous_s
        if self._may_restart and (step_s < -RESTART_S or step_s > JUMP_S):
            self._origin_s += time_s - next_s
            return next_s
        return time_s if step_s > 0 else next_s
