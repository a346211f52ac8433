"""The video with what the model said of it: face box, class, probabilities, a running plot, sound.

Frames come at the video's average rate, `FASTEST_HZ` at most, each the one a viewer sees then, so
that a variable rate stays in step with the sound. Sound is copied as it is where the new container
can hold it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.decoding import moving_pictures
from milmer_cli.recordings.probe import measured_rate
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import Video
from milmer_cli.stages.predicting.outcome import PredictResult
from milmer_cli.stages.predicting.painter import Painter
from milmer_cli.store.atomic import written_aside

TASK = "annotated video"

FASTEST_HZ = 60
_CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
_NAME = "Give --video-out a name that ends in .mp4, .mkv or .mov, in a folder that can be written."


def check_target(path: Path, inputs: Iterable[Path | None]) -> None:
    """Refuse an annotated video that could not be written in the end, or would destroy an input.

    Parameters
    ----------
    path
        The new file.
    inputs
        The files that are read.

    Raises
    ------
    InputError
        As said.
    """
    if any(file is not None and path.exists() and path.samefile(file) for file in inputs):
        raise InputError(
            f"--video-out {path} is the very file that is read, and would overwrite it.",
            "Give --video-out another name.",
        )
    if path.suffix.lower() not in _CONTAINERS:
        raise InputError(f"--video-out {path} names no container that can be written.", _NAME)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(
            f"--video-out {path} cannot be written: {error.strerror or error}.", _NAME
        ) from error


def film(
    path: Path,
    video: VideoSpan,
    result: PredictResult,
    duration_s: float,
    progress: Progress = SILENT,
) -> None:
    """Write the part of a video that was predicted, with what the model said.

    Parameters
    ----------
    path
        The new file, which passed `check_target`; its ending says the container.
    video
        The video, and where in it the stimulus starts.
    result
        What the model said.
    duration_s
        How much was predicted.

    Raises
    ------
    InputError
        It cannot be written.
    """
    try:
        with written_aside(path) as aside:
            _write(aside, _CONTAINERS[path.suffix.lower()], video, result, duration_s, progress)
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--video-out {path} cannot be written: {reason}.", _NAME) from error


def _write(
    path: Path,
    container: str,
    video: VideoSpan,
    result: PredictResult,
    duration_s: float,
    progress: Progress,
) -> None:
    source = Video(video.path)
    rate = _rate(source)
    times = np.arange(int(duration_s * rate)) / float(rate)
    painter = Painter(result, source.size)
    progress.start(TASK, total=len(times), unit="frames")
    with av.open(str(path), "w", container) as target, av.open(str(video.path)) as original:
        track = target.add_stream("libx264", rate=rate, options={"crf": "20"})
        track.width, track.height, track.pix_fmt = *painter.size, "yuv420p"
        sound = _Sound(original, target, video.onset_s, duration_s)
        for sample in source.samples_at(video.onset_s + times, threads=0):
            progress.advance(TASK)
            if sample.image is None:
                continue
            picture = painter.paint(sample.image, float(times[sample.index]))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = sample.index, 1 / rate
            sound.up_to(float(times[sample.index]))
            target.mux(track.encode(frame))
        sound.up_to(float("inf"))
        target.mux(track.encode(None))
    progress.done(TASK)


def _rate(video: Video) -> Fraction:
    """Frames a second: some recorders, as browsers, declare the 1000 ticks of their clock."""
    hertz = video.fps if video.fps <= FASTEST_HZ else measured_rate(video.path)
    return Fraction(min(hertz, FASTEST_HZ)).limit_denominator(1001)


class _Sound:
    """Copies the sound of the predicted part, in step with the pictures."""

    def __init__(
        self,
        original: av.container.InputContainer,
        target: av.container.OutputContainer,
        onset_s: float,
        duration_s: float,
    ) -> None:
        self._target = target
        self._packets: Iterator[av.Packet] = iter(())
        self._waiting: av.Packet | None = None
        self._time = 0.0
        if not original.streams.audio:
            return
        stream = original.streams.audio[0]
        # stamps of the pictures start at the first one, those of the sound at the container's zero
        begin = onset_s + _first_picture_s(original)
        copied = stream.codec_context.name in _HELD.get(target.format.name.split(",")[0], ())
        if copied:
            track = target.add_stream_from_template(stream)
            self._packets = _copied(original.demux(stream), track, begin, duration_s)
        else:
            track = target.add_stream("aac", rate=stream.codec_context.sample_rate)
            self._packets = _recoded(original.decode(stream), track, begin, duration_s)

    def up_to(self, time_s: float) -> None:
        """Write what is heard until a time."""
        while self._time <= time_s:
            packet = self._waiting or next(self._packets, None)
            if packet is None:
                return
            self._waiting = None
            stamp = packet.dts if packet.dts is not None else packet.pts
            self._time = float((stamp or 0) * packet.time_base)
            if self._time > time_s:
                self._waiting = packet
                return
            self._target.mux(packet)


_HELD = {
    "mp4": ("aac", "mp3", "mp3float", "ac3", "opus", "alac"),
    "mov": ("aac", "mp3", "mp3float", "ac3", "alac", "pcm_s16le"),
    "matroska": ("aac", "mp3", "mp3float", "ac3", "opus", "vorbis", "flac", "pcm_s16le"),
}
"""Sound that a container holds and players play; other sound becomes AAC."""


def _first_picture_s(original: av.container.InputContainer) -> float:
    stream = moving_pictures(original)
    if stream.start_time is None or stream.time_base is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def _copied(
    packets: Iterator[av.Packet], track: av.AudioStream, begin_s: float, duration_s: float
) -> Iterator[av.Packet]:
    for packet, shift in _within(packets, begin_s, duration_s):
        if packet.dts is not None:
            packet.dts -= shift
        packet.stream = track
        yield packet


def _recoded(
    frames: Iterator[av.AudioFrame], track: av.AudioStream, begin_s: float, duration_s: float
) -> Iterator[av.Packet]:
    for frame, _ in _within(frames, begin_s, duration_s):
        yield from track.encode(frame)
    yield from track.encode(None)


_Timed = TypeVar("_Timed", av.Packet, av.AudioFrame)


def _within(
    parts: Iterator[_Timed], begin_s: float, duration_s: float
) -> Iterator[tuple[_Timed, int]]:
    """Give what begins in a stretch, its time stamps counted from there, and by how many ticks."""
    for part in parts:
        if part.pts is None or part.time_base is None:
            continue
        time = float(part.pts * part.time_base) - begin_s
        if time >= duration_s:
            return
        if time >= 0:
            shift = round(begin_s / part.time_base)
            part.pts -= shift
            yield part, shift
