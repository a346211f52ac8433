"""The video with what the model said of it: face box, class, probabilities, a running plot, sound.

Frames come at the video's average rate, each the one a viewer sees then, so that a variable rate
stays in step with the sound. Sound is copied as it is where the new container can hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.decoding import moving_pictures
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import Video
from milmer_cli.report.theme import class_colours
from milmer_cli.stages.predicting.outcome import PredictResult, Segment

TASK = "annotated video"

_INK, _PAPER, _GREY = (27, 32, 39), (255, 255, 255), (150, 158, 168)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BAND = 0.22
"""Height of the band below the picture, as a share of it."""


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
        The new file; its ending says the container (mp4, mkv, mov).
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
    source = Video(video.path)
    rate = Fraction(source.fps).limit_denominator(1001)
    times = np.arange(int(duration_s * rate)) / float(rate)
    painter = _Painter(result, source.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.part{path.suffix}")
    progress.start(TASK, total=len(times), unit="frames")
    try:
        with av.open(str(aside), "w") as target, av.open(str(video.path)) as original:
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
        aside.replace(path)
    except (av.error.FFmpegError, ValueError, OSError) as error:
        aside.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"The annotated video {path} cannot be written: {reason}.",
            "Give --video-out a name that ends in .mp4 or .mkv, in a folder that can be written.",
        ) from error
    progress.done(TASK)


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


class _Painter:
    """Draws on frames of one size."""

    def __init__(self, result: PredictResult, size: tuple[int, int]) -> None:
        self._result = result
        width, height = size
        self._picture = (width - width % 2, height - height % 2)
        self._band = 2 * round(_BAND * height / 2)
        self.size = (self._picture[0], self._picture[1] + self._band)
        self._scale = max(0.4, height / 720)
        self._colours = [_rgb(code) for code in class_colours(len(result.class_names))]
        self._onsets = result.onset
        self._plot = self._whole_plot()

    def paint(self, image: np.ndarray, time_s: float) -> np.ndarray:
        """(height, width, 3) uint8: the frame, with a band below it."""
        width, height = self._picture
        canvas = np.full((self.size[1], width, 3), 255, np.uint8)
        canvas[:height] = image[:height, :width]
        row = int(np.searchsorted(self._onsets, time_s + 1e-6)) - 1
        inside = row >= 0 and time_s < self._onsets[row] + self._result.segment_s
        if inside:
            segment = self._result.segments[row]
            self._box(canvas, segment, time_s)
            self._words(canvas, segment)
        self._running_plot(canvas, time_s)
        return canvas

    def _box(self, canvas: np.ndarray, segment: Segment, time_s: float) -> None:
        if segment.box is None:
            return
        instances = len(segment.box)
        at = int((time_s - segment.onset_s) / self._result.segment_s * instances)
        box = segment.box[min(at, instances - 1)]
        if np.isfinite(box).all():
            colour = self._colour(segment)
            corners = [round(float(edge)) for edge in box]
            cv2.rectangle(canvas, corners[:2], corners[2:], colour, max(2, round(3 * self._scale)))

    def _colour(self, segment: Segment) -> tuple[int, int, int]:
        if segment.abstained:
            return _GREY
        return self._colours[self._result.class_names.index(segment.label)]

    def _words(self, canvas: np.ndarray, segment: Segment) -> None:
        """Class and probabilities at the left of the band."""
        top, line = self._picture[1], self._band / (len(self._colours) + 1.6)
        size = min(line / 30, self._scale)
        thick = max(1, round(1.6 * size))
        label = segment.label or "abstained"
        said = f"{label} {segment.confidence:.0%}" if segment.label else label
        place = (round(0.02 * self.size[0]), round(top + 1.1 * line))
        cv2.putText(canvas, said, place, _FONT, 1.15 * size, _INK, thick + 1, cv2.LINE_AA)
        begin, longest = round(0.16 * self.size[0]), 0.17 * self.size[0]
        for number, name in enumerate(self._result.class_names):
            y = round(top + (number + 2.15) * line)
            cv2.putText(canvas, name, (place[0], y), _FONT, 0.8 * size, _INK, thick, cv2.LINE_AA)
            end = round(begin + longest * float(segment.probabilities[number]))
            cv2.rectangle(
                canvas, (begin, round(y - 0.6 * line)), (end, y), self._colours[number], -1
            )

    def _whole_plot(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the running plot."""
        margin = round(0.12 * self._band)
        top = self._picture[1]
        return (
            round(0.38 * self.size[0]),
            top + margin,
            self.size[0] - margin,
            self.size[1] - margin,
        )

    def _running_plot(self, canvas: np.ndarray, time_s: float) -> None:
        """Probabilities of the segments so far; the axis spans the whole recording."""
        left, top, right, bottom = self._plot
        cv2.line(canvas, (left, bottom), (right, bottom), _GREY, 1)
        result = self._result
        end = float(self._onsets[-1]) + result.segment_s
        across = (right - left) / end
        so_far = int(np.searchsorted(self._onsets, time_s + 1e-6))
        judged = [s for s in result.segments[:so_far] if not s.abstained]
        for number, colour in enumerate(self._colours):
            points = [
                (
                    left + across * min(edge, time_s),
                    bottom - (bottom - top) * float(segment.probabilities[number]),
                )
                for segment in judged
                for edge in (segment.onset_s, segment.onset_s + result.segment_s)
            ]
            if points:
                line = np.array(points).round().astype(np.int32)
                cv2.polylines(
                    canvas, [line], False, colour, max(1, round(2 * self._scale)), cv2.LINE_AA
                )
        now = round(left + across * time_s)
        cv2.line(canvas, (now, top), (now, bottom), _INK, 1)


def _rgb(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
