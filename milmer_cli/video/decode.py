"""Open a video file and decode its frames, also across damaged parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.format import Flags
from av.stream import Disposition

from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input, require_regular_file
from milmer_cli.video.file_size import lacks_mp4_index, stated_size

_PLAYLISTS = ("hls", "dash", "concat", "sdp", "imf")
"""Formats of FFmpeg that refer to other files or to the network."""
_COUNTED_FROM_ZERO = "matroska,webm"
"""The format whose header may state the end of the last frame instead of the duration."""
_LATE_START_S = 0.1


@dataclass(frozen=True)
class VideoOptions:
    """What the user states about a video file.

    Attributes
    ----------
    stream
        Number of the video stream, from 1; None for the first one.
    fps
        Frame rate of a file without time stamps, in frames per second; None if not given.
    """

    stream: int | None = None
    fps: float | None = None


AS_STORED = VideoOptions()
"""The user states nothing."""


def file_url(path: Path) -> str:
    """Return a name that FFmpeg opens as a local file, whatever characters the path contains.

    FFmpeg takes the text before a colon for a protocol, as in ``12:30:05.mp4``.
    """
    return f"file:{path.absolute()}"


def open_container(path: Path) -> av.container.InputContainer:
    """Open a file that contains a video stream.

    Files that refer to other files or to the network are rejected, and no such reference to the
    network is followed.

    Raises
    ------
    InputError
        The file is missing or empty, cannot be opened, is a playlist or an image, or has no
        decodable video stream other than cover art.
    """
    if not path.exists():
        raise InputError(f"The video {path} does not exist.", "Check the path.")
    require_regular_file(path)
    if not path.stat().st_size:
        raise InputError(f"The video {path} is empty (0 bytes).", "Copy the file again.")
    _require_no_playlist(path)
    try:
        container = av.open(file_url(path), options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError) as error:
        require_index(path)
        raise InputError(
            f"The video {path} cannot be opened: {_reason(error)}.",
            "Copy the file again: it may be truncated, or not be a video.",
        ) from error
    problem = _content_problem(container)
    if problem:
        container.close()
        require_index(path)
        raise InputError(f"The file {path} contains {problem}.", "Give the face video.")
    return container


def require_index(path: Path) -> None:
    """Name the cause if a video whose frames cannot be read has no complete index.

    Raises
    ------
    InputError
        See `file_size.lacks_mp4_index`.
    """
    if lacks_mp4_index(path):
        raise InputError(
            f"The video {path} cannot be opened: its index (moov) is missing or incomplete, as in "
            "a partly copied or downloaded file.",
            "Copy the file again.",
        )


def _require_no_playlist(path: Path) -> None:
    """Reject lists of other files before FFmpeg opens those files."""
    with open_input(path) as file:
        start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"#EXTM3U", b"ffconcat", b"v=0")) or b"<MPD" in start:
        raise InputError(f"The file {path} is a playlist.", "Give the video file itself.")


def _content_problem(container: av.container.InputContainer) -> str:
    names = container.format.name.split(",")
    if set(names) & set(_PLAYLISTS):
        return "a playlist"
    if names[0] == "image2" or names[0].endswith("_pipe"):
        return "an image"
    if not video_streams(container):
        if any(stream.codec_context is None for stream in container.streams.video):
            return "a video stream in a format without a decoder"
        return "only audio" if container.streams.audio else "no video stream"
    return ""


def video_streams(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Return the streams with a decoder, without cover art, in the order of their numbers."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]


def describe_streams(container: av.container.InputContainer) -> str:
    """List the video streams with number, codec and size."""
    return ", ".join(
        f"{number} ({stream.codec_context.name}, {stream.width}x{stream.height})"
        for number, stream in enumerate(video_streams(container), start=1)
    )


def video_stream(
    container: av.container.InputContainer, options: VideoOptions = AS_STORED, threads: int = 0
) -> av.VideoStream:
    """Return the selected video stream.

    Parameters
    ----------
    container
        From `open_container`.
    options
        ``stream`` is used.
    threads
        Threads of the decoder; 0 leaves FFmpeg's default.

    Raises
    ------
    InputError
        The file has no video stream with this number.
    """
    streams = video_streams(container)
    number = options.stream or 1
    if number > len(streams):
        raise InputError(
            f"{_file_name(container)} has no video stream {number}; its video streams are "
            f"{describe_streams(container)}.",
            "Correct --video-stream (in a manifest: video_stream).",
        )
    stream = streams[number - 1]
    if threads:
        stream.codec_context.thread_count = threads
    if threads > 1:
        stream.thread_type = "AUTO"
    return stream


def has_timestamps(container: av.container.InputContainer) -> bool:
    """Return whether the format stores time stamps; raw streams such as .h264 do not."""
    return not container.format.flags & Flags.no_timestamps.value


def check_frame_rate(container: av.container.InputContainer, options: VideoOptions) -> None:
    """Require a frame rate for a file without time stamps, and reject one for any other file.

    FFmpeg would assume 25 frames per second.

    Raises
    ------
    InputError
        The frame rate is missing, or the file has time stamps.
    """
    if has_timestamps(container) == (options.fps is None):
        return
    name = _file_name(container)
    if options.fps is None:
        raise InputError(
            f"{name} ({container.format.name}) has no time stamps, so the times of its frames are "
            "unknown.",
            "State the frame rate of the camera with --video-fps (in a manifest: video_fps).",
        )
    raise InputError(
        f"{name} has time stamps, so the frame rate {options.fps:g} cannot be used.",
        "Remove --video-fps (in a manifest: video_fps).",
    )


def states_end_time(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Return whether `declared_duration` may include a time before the first frame."""
    if container.format.name != _COUNTED_FROM_ZERO or stream.time_base is None:
        return False
    return (stream.start_time or 0) * stream.time_base > _LATE_START_S


def seeks_exactly(container: av.container.InputContainer, path: Path) -> bool:
    """Return whether frames have their own times after seeking.

    Without its index, which is in the footer, FFmpeg estimates positions in an MXF file.
    """
    if container.format.name != "mxf":
        return True
    size = stated_size(path)
    return size is not None and size <= path.stat().st_size


def may_restart(container: av.container.InputContainer) -> bool:
    """Return whether time stamps may restart in the format, as in joined transport streams."""
    return bool(container.format.flags & Flags.ts_discont.value)


def decode_frames(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[av.VideoFrame | None, bool]]:
    """Decode a stream and continue after errors.

    After an error, the decoder conceals the loss by copying from earlier frames. Such frames are
    marked as invalid, until a key frame, which does not depend on earlier frames.

    Yields
    ------
    frame
        The decoded frame; None where a packet could not be decoded.
    valid
        False for frames between an error and the next key frame.
    """
    valid = True
    packets = container.demux(stream)
    while True:
        packet = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            valid = False
            yield None, False
            if packet is None:  # demuxing failed: the container is damaged from here on
                return
            continue
        for frame in frames:
            valid = (valid or frame.key_frame) and not frame.is_corrupt
            yield frame, valid


def declared_duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Return the duration in the file's header, in seconds; NaN if it has none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if (tagged_s := _tagged_duration(stream)) is not None:
        return tagged_s
    if container.duration is not None:
        return container.duration / 1e6
    return float("nan")


def average_frame_rate(stream: av.VideoStream) -> float:
    """Return the frame rate in the file's header, in frames per second; NaN if it has none."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else float("nan")


def _tagged_duration(stream: av.VideoStream) -> float | None:
    """Return the duration in seconds from Matroska's tag ``DURATION``, HH:MM:SS.fraction."""
    text = next((v for k, v in stream.metadata.items() if k.upper().startswith("DURATION")), "")
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _file_name(container: av.container.InputContainer) -> str:
    return container.name.removeprefix("file:")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
