"""What a video file says about itself, without decoding all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.recordings.decoding import declared_duration, moving_pictures, open_video
from milmer_cli.recordings.video import Video

_EARLIEST_YEAR = 1990  # an unset clock says 1904 or 1970


@dataclass(frozen=True)
class VideoProbe:
    """Facts of a video file: ``size`` is (width, height) in pixels, ``fps`` the average rate."""

    fps: float
    duration_s: float
    size: tuple[int, int]
    codec: str
    first_decodable: bool
    last_decodable: bool


def probe_video(path: Path) -> VideoProbe:
    """Open a video far enough to know that its first and last frames decode, and no further.

    Raises
    ------
    InputError
        When the file is missing or is no video.
    """
    with open_video(path) as container:
        stream = moving_pictures(container)
        rate = stream.average_rate or stream.guessed_rate
        codec = stream.codec_context
        size = (codec.width, codec.height)
        declared = declared_duration(container, stream)
        codec_name = str(codec.name)
    try:
        video = Video(path)
    except InputError:
        return VideoProbe(float(rate or 0), declared, size, codec_name, False, False)
    return VideoProbe(
        video.fps, video.duration_s, video.size, video.codec, True, video.last_decodes()
    )


def started_at(path: Path) -> datetime | None:
    """When the recording of a video began, as its metadata say; None where they do not.

    mp4, mov and mkv can say it, to the second; some phones write when the recording ended.
    """
    with open_video(path) as container:
        stream = moving_pictures(container)
        said = container.metadata.get("creation_time") or stream.metadata.get("creation_time")
    try:
        start = datetime.fromisoformat(said or "")
    except ValueError:
        return None
    return start if start.tzinfo and start.year >= _EARLIEST_YEAR else None


def measured_duration(path: Path) -> float:
    """Find the duration of a file that does not declare it, in seconds, without decoding."""
    _, seconds = _measured(path)
    return seconds


def measured_rate(path: Path) -> float:
    """Count the frames a second that a file holds, whatever it declares; 25 where none shows."""
    count, seconds = _measured(path)
    return count / seconds if seconds > 0 else 25.0


def _measured(path: Path) -> tuple[int, float]:
    """How many frames there are, and for how many seconds."""
    with open_video(path) as container:
        stream = moving_pictures(container)
        stamps = [
            (packet.pts, packet.pts + (packet.duration or 0))
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
        if not stamps or stream.time_base is None:
            return 0, float("nan")
        first, last = min(start for start, _ in stamps), max(end for _, end in stamps)
        return len(stamps), float((last - first) * stream.time_base)
