"""Properties of a video file that need little or no decoding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.video.decode import (
    AS_STORED,
    VideoOptions,
    average_frame_rate,
    check_frame_rate,
    declared_duration,
    describe_streams,
    open_container,
    require_index,
    video_stream,
    video_streams,
)
from milmer_cli.video.file_size import stated_size
from milmer_cli.video.frames import VideoReader
from milmer_cli.video.packets import scan_packets

_EARLIEST_YEAR = 1990  # a camera whose clock was never set writes 1904 or 1970
_TOLERANCE_S = 1.0
_SIZE_TOLERANCE = 0.99
"""Some recorders state a size that is slightly wrong; a lost index costs no frames."""
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR by their number in ITU-T H.273."""


@dataclass(frozen=True)
class VideoProbe:
    """Properties of a video file.

    Attributes
    ----------
    fps
        Average frame rate; 0 if unknown.
    duration_s
        Duration in the header, in seconds; NaN if there is none.
    size
        (width, height), in pixels.
    codec
        Name of the codec, for example ``h264``.
    first_decodable, last_decodable
        Whether the first frame and a frame of the last second are decodable.
    incomplete
        Why a part of the file seems to be missing, as after an interrupted download; may be empty.
    notes
        One sentence for each property that the user should know.
    """

    fps: float
    duration_s: float
    size: tuple[int, int]
    codec: str
    first_decodable: bool
    last_decodable: bool
    incomplete: str = ""
    notes: tuple[str, ...] = ()


def probe_video(path: Path, options: VideoOptions = AS_STORED) -> VideoProbe:
    """Read the header of a video and decode its first and last frames.

    Parameters
    ----------
    path
        The file.
    options
        As for `VideoReader`.

    Raises
    ------
    InputError
        The file is missing or not a video, or the frame rate of a file without time stamps is not
        given.
    """
    with open_container(path) as container:
        check_frame_rate(container, options)
        stream = video_stream(container, options)
        codec = stream.codec_context
        size, codec_name = (codec.width, codec.height), str(codec.name)
        fps = average_frame_rate(stream)
        duration_s = declared_duration(container, stream)
    try:
        video = VideoReader(path, options)
    except InputError:
        require_index(path)
        fps = 0.0 if np.isnan(fps) else fps
        return VideoProbe(fps, duration_s, size, codec_name, False, False)
    last_decodable = video.last_frame_decodes()
    return VideoProbe(
        video.fps,
        video.duration_s,
        video.size,
        video.codec,
        True,
        last_decodable,
        _missing_part(video, last_decodable),
        tuple(video_notes(path, options)),
    )


def _missing_part(video: VideoReader, last_decodable: bool) -> str:
    """Return why a part of a file seems to be missing; empty if none does."""
    present, stated = video.path.stat().st_size, stated_size(video.path)
    if stated is not None and present < (_SIZE_TOLERANCE if last_decodable else 1.0) * stated:
        present_s = scan_packets(video.path, video.options).duration_s
        return (
            f"{video.path} is incomplete: it has {present} of the {stated} bytes that its header "
            f"states, about the first {present_s:.1f} s of the video."
        )
    if last_decodable or _other_stream_is_longer(video):
        return ""
    return (
        f"{video.path} is incomplete: its header states {video.duration_s:.1f} s, and the last "
        "second cannot be decoded."
    )


def _other_stream_is_longer(video: VideoReader) -> bool:
    """Return whether the header's duration is that of another complete stream, such as sound."""
    with open_container(video.path) as container:
        stream = video_stream(container, video.options)
        if stream.duration is not None or len(container.streams) == 1:
            return False
        start = (container.start_time or 0) / 1e6
        ends = (
            float((packet.pts + (packet.duration or 0)) * packet.time_base) - start
            for packet in container.demux()
            if packet.pts is not None
        )
        return max(ends, default=0.0) >= video.duration_s - _TOLERANCE_S


def video_notes(path: Path, options: VideoOptions = AS_STORED) -> list[str]:
    """Return one sentence for each property of a video that the user should know.

    These are several video streams of which none is selected, time stamps that restart, and HDR.

    Raises
    ------
    InputError
        As for `VideoReader`.
    """
    notes = []
    restarts_s = VideoReader(path, options).restarts_s
    with open_container(path) as container:
        if len(video_streams(container)) > 1 and options.stream is None:
            notes.append(
                f"{path} has several video streams: {describe_streams(container)}. The first one "
                "with a face is used; --video-stream (in a manifest: video_stream) selects one."
            )
        transfer = _HDR_TRANSFERS.get(video_stream(container, options).codec_context.color_trc)
    if restarts_s:
        times = ", ".join(f"{time_s:.1f}" for time_s in restarts_s)
        notes.append(
            f"The time stamps of {path} restart at {times} s, as in joined files; the parts are "
            "taken to follow each other without a gap."
        )
    if transfer:
        notes.append(
            f"{path} is an HDR video ({transfer}); its brightness is not converted to that of an "
            "ordinary video."
        )
    return notes


def recording_start(path: Path) -> datetime | None:
    """Return the start of the recording from the metadata, with its time zone; None if unknown.

    mp4, mov and mkv files can contain it, with a resolution of one second. Some phones write the
    end of the recording instead.
    """
    with open_container(path) as container:
        metadata = {**video_stream(container).metadata, **container.metadata}
    try:
        start = datetime.fromisoformat(metadata.get("creation_time", ""))
    except ValueError:
        return None
    return start if start.tzinfo and start.year >= _EARLIEST_YEAR else None


def stated_duration(path: Path, options: VideoOptions = AS_STORED) -> float:
    """Return the duration in a file's header, in seconds, without decoding; NaN without one.

    Raises
    ------
    InputError
        The file cannot be opened as a video.
    """
    if options.fps:
        return float("nan")
    with open_container(path) as container:
        return declared_duration(container, video_stream(container, options))


def stated_frame_rate(path: Path, options: VideoOptions = AS_STORED) -> float:
    """Return the frame rate in a file's header, in frames per second; NaN without one.

    Raises
    ------
    InputError
        The file cannot be opened as a video.
    """
    with open_container(path) as container:
        return average_frame_rate(video_stream(container, options))


def measure_duration(path: Path, options: VideoOptions = AS_STORED) -> float:
    """Return the duration of a file without one in its header, in seconds, without decoding."""
    return scan_packets(path, options).duration_s


def measure_frame_rate(path: Path, options: VideoOptions = AS_STORED) -> float:
    """Return the number of frames divided by the duration, in frames per second.

    Returns
    -------
    float
        25 if the duration is unknown.
    """
    packets = scan_packets(path, options)
    return packets.count / packets.duration_s if packets.duration_s > 0 else 25.0
