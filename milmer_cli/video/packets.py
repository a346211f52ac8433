"""Times of all packets of a video stream: reads the file once and decodes nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from milmer_cli.video.decode import (
    VideoOptions,
    has_timestamps,
    may_restart,
    open_container,
    video_stream,
)

JUMP_S = 10.0
"""A time stamp that is this much later belongs to another recording: FFmpeg's
``dts_delta_threshold``."""
RESTART_S = 1.0
"""A time stamp that is this much earlier belongs to another recording; smaller steps are errors."""


@dataclass(frozen=True)
class PacketTimes:
    """Summary of the packets of a stream.

    Attributes
    ----------
    count
        Number of packets, one per frame.
    duration_s
        Duration of all parts, in seconds; NaN without time stamps.
    restarts_s
        Starts of the second and further parts of a joined file, in seconds after the first frame.
    """

    count: int
    duration_s: float
    restarts_s: tuple[float, ...] = ()


def scan_packets(path: Path, options: VideoOptions) -> PacketTimes:
    """Read the times of all packets; the result is kept while the file does not change.

    Raises
    ------
    InputError
        The file is not a video.
    """
    status = path.stat()
    return _scan(path.absolute(), options, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _scan(path: Path, options: VideoOptions, size: int, changed_ns: int) -> PacketTimes:
    with open_container(path) as container:
        stream = video_stream(container, options)
        packets = list(_iter_times(container, stream))
        splits = may_restart(container)
        if not has_timestamps(container):
            seconds = len(packets) / options.fps if options.fps else float("nan")
            return PacketTimes(len(packets), seconds)
    times = np.array([times for times in packets if not np.isnan(times).any()])
    if not len(times):
        return PacketTimes(0, float("nan"))
    times = times[~_single_errors(times[:, 0])] if splits else times
    steps = np.diff(times[:, 0])
    first_of_part = np.flatnonzero(splits & ((steps < -RESTART_S) | (steps > JUMP_S))) + 1
    parts = np.split(times, first_of_part)
    durations = [_duration(part[:, 1], part[:, 2]) for part in parts]
    return PacketTimes(len(times), sum(durations), tuple(np.cumsum(durations)[:-1].tolist()))


def _single_errors(times_s: np.ndarray) -> np.ndarray:
    """Return where one time differs from both of its neighbors, which agree; (n,) bool."""
    errors = np.zeros(len(times_s), bool)
    before, here, after = times_s[:-2], times_s[1:-1], times_s[2:]
    errors[1:-1] = (abs(here - before) > RESTART_S) & (abs(after - before) < RESTART_S)
    return errors


def _duration(starts_s: np.ndarray, lengths_s: np.ndarray) -> float:
    """Return the time from the first start to the last end; a missing length is the usual one."""
    steps = np.diff(np.sort(starts_s))
    usual_s = float(np.median(steps)) if len(steps) else 0.0
    ends_s = starts_s + np.where(lengths_s > 0, lengths_s, usual_s)
    return float(ends_s.max() - starts_s.min())


def _iter_times(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[float, float, float]]:
    """Yield the decoding time, and the start and length of the presentation, in seconds."""
    base = float(stream.time_base or 0)
    try:
        for packet in container.demux(stream):
            if packet.size:
                pts = np.nan if packet.pts is None else packet.pts * base
                dts = pts if packet.dts is None else packet.dts * base
                yield dts, pts, (packet.duration or 0) * base
    except av.error.FFmpegError:  # the file is damaged or truncated from here on
        return
