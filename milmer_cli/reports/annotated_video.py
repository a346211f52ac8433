"""Annotated video: the predicted part of a video with face box, class, running plot and sound.

The frame rate is the average rate of the source, at most `MAX_FPS`. Each output frame shows the
source frame that a player shows at that time, so a source with a variable frame rate stays in
synchrony with its sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.io import atomic_path, require_writable
from milmer_cli.prediction.result import PredictResult
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.video_overlay import VideoOverlay
from milmer_cli.video.decode import VideoOptions, file_url, open_container, video_stream
from milmer_cli.video.frames import VideoReader, VideoSpan
from milmer_cli.video.probe import measure_frame_rate

TASK = "annotated video"
MAX_FPS = 60

_CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
_HINT = "Give --video-out a file name that ends in .mp4, .mkv or .mov."
_AAC_RATE_HZ = 48000
"""Sampling rate of the sound if AAC does not support that of the source."""


def require_video_target(path: Path, inputs: Iterable[Path | None]) -> None:
    """Check before the prediction that the annotated video can be written.

    Parameters
    ----------
    path
        The new file.
    inputs
        The files that are read.

    Raises
    ------
    InputError
        ``path`` is one of the inputs, has an unsupported suffix, or cannot be written.
    """
    if any(file is not None and path.exists() and path.samefile(file) for file in inputs):
        raise InputError(
            f"--video-out {path} is one of the input files and would be overwritten.",
            "Give --video-out another file name.",
        )
    if path.suffix.lower() not in _CONTAINERS:
        raise InputError(
            f"--video-out: expected one of {', '.join(_CONTAINERS)}, got {path}.", _HINT
        )
    require_writable(path.parent)


def write_annotated_video(path: Path, result: PredictResult, progress: Progress = SILENT) -> None:
    """Write the predicted part of the video with the predictions.

    Parameters
    ----------
    path
        The new file, accepted by `require_video_target`; its suffix determines the container.
    result
        Prediction of a request with a video.
    progress
        Advanced by frames.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    video = result.request.video
    if video is None:
        raise InputError("There is no video to annotate.", "Remove --video-out.")
    span = VideoSpan(video, result.timing.video_onset_s, result.request.video_options)
    try:
        with atomic_path(path) as temporary:
            _encode(temporary, _CONTAINERS[path.suffix.lower()], span, result, progress)
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--video-out {path} cannot be written: {reason}.", _HINT) from error


def _encode(
    path: Path, container: str, video: VideoSpan, result: PredictResult, progress: Progress
) -> None:
    source = VideoReader(video.path, video.options)
    rate = frame_rate(source)
    duration_s = result.timing.duration_s
    times = np.arange(int(duration_s * rate)) / float(rate)
    overlay = VideoOverlay(result, source.size)
    progress.start(TASK, total=len(times), unit="frames")
    with av.open(file_url(path), "w", container) as target, open_container(video.path) as original:
        track = target.add_stream("libx264", rate=rate, options={"crf": "20"})
        track.width, track.height, track.pix_fmt = *overlay.size, "yuv420p"
        begin_s = video.onset_s + _first_frame_s(original, video.options)
        sound: Iterator[av.Packet] = iter(())
        if not source.restarts_s:  # the time stamps of the sound of a joined file restart, too
            sound = _sound_packets(original, target, begin_s, duration_s)
        pending = next(sound, None)
        for sample in source.frames_at(video.onset_s + times, threads=0):
            progress.advance(TASK)
            if sample.image is None:
                continue
            time_s = float(times[sample.index])
            while pending is not None and _time(pending) <= time_s:
                target.mux(pending)
                pending = next(sound, None)
            frame = av.VideoFrame.from_ndarray(overlay.draw(sample.image, time_s), format="rgb24")
            frame.pts, frame.time_base = sample.index, 1 / rate
            target.mux(track.encode(frame))
        while pending is not None:
            target.mux(pending)
            pending = next(sound, None)
        target.mux(track.encode(None))
    progress.done(TASK)


def frame_rate(video: VideoReader) -> Fraction:
    """Return the rate of the annotated video, in frames per second.

    Some recorders, such as browsers, declare the 1000 ticks per second of their clock. Their frames
    are counted instead.
    """
    fps = video.fps if video.fps <= MAX_FPS else measure_frame_rate(video.path, video.options)
    return Fraction(min(fps, MAX_FPS)).limit_denominator(1001)


def _sound_packets(
    original: av.container.InputContainer,
    target: av.container.OutputContainer,
    begin_s: float,
    duration_s: float,
) -> Iterator[av.Packet]:
    """Encode the sound of the predicted part as AAC, which all players support.

    The audio track is added before the first packet is requested, as muxers require it.
    """
    if not original.streams.audio:
        return iter(())
    stream = original.streams.audio[0]
    rate = stream.codec_context.sample_rate
    supported = av.Codec("aac", "w").audio_rates or []
    track = target.add_stream("aac", rate=rate if rate in supported else _AAC_RATE_HZ)
    return _encode_sound(original.decode(stream), track, begin_s, duration_s)


def _encode_sound(
    frames: Iterator[av.AudioFrame], track: av.AudioStream, begin_s: float, duration_s: float
) -> Iterator[av.Packet]:
    for frame in frames:
        if frame.pts is None or frame.time_base is None:
            continue
        time_s = float(frame.pts * frame.time_base) - begin_s
        if time_s >= duration_s:
            break
        if time_s >= 0:
            frame.pts -= round(begin_s / frame.time_base)
            yield from track.encode(frame)
    yield from track.encode(None)


def _time(packet: av.Packet) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return float((stamp or 0) * packet.time_base)


def _first_frame_s(original: av.container.InputContainer, options: VideoOptions) -> float:
    """Return the start of the video; sound times start at the zero of the container instead."""
    stream = video_stream(original, options)
    if stream.start_time is None or stream.time_base is None:
        return 0.0
    return float(stream.start_time * stream.time_base)
