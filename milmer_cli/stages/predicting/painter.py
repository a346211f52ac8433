"""What the model said, drawn on the frames of a video: face box, class, a running plot."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from milmer_cli.report.theme import class_colours
from milmer_cli.stages.predicting.outcome import PredictResult, Segment

_INK, _GREY = (27, 32, 39), (150, 158, 168)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BAND = 0.22
"""Height of the band below the picture, as a share of the picture's shorter side."""
_NAMES, _BARS, _PLOT = 0.02, 0.16, 0.38
"""Where names, bars and the plot begin in the band, as shares of its width."""


class Painter:
    """Draws on frames of one size.

    Parameters
    ----------
    result
        What the model said.
    size
        (width, height) of the frames, in pixels.

    Attributes
    ----------
    size
        (width, height) of what is drawn: even, and higher by the band.
    """

    """Draws on frames of one size."""

    def __init__(self, result: PredictResult, size: tuple[int, int]) -> None:
        self._result = result
        width, height = size
        self._picture = (width - width % 2, height - height % 2)
        self._band = 2 * round(_BAND * min(size) / 2)
        self.size = (self._picture[0], self._picture[1] + self._band)
        self._scale = max(0.4, min(size) / 720)
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
        small = self._fitting(self._result.class_names, 0.8 * size, thick, _BARS - _NAMES - 0.01)
        label = segment.label or "abstained"
        said = f"{label} {segment.confidence:.0%}" if segment.label else label
        place = (round(_NAMES * self.size[0]), round(top + 1.1 * line))
        large = self._fitting([said], 1.15 * size, thick + 1, _PLOT - _NAMES - 0.01)
        cv2.putText(canvas, said, place, _FONT, large, _INK, thick + 1, cv2.LINE_AA)
        begin, longest = round(_BARS * self.size[0]), (_PLOT - _BARS - 0.05) * self.size[0]
        for number, name in enumerate(self._result.class_names):
            y = round(top + (number + 2.15) * line)
            cv2.putText(canvas, name, (place[0], y), _FONT, small, _INK, thick, cv2.LINE_AA)
            end = round(begin + longest * float(segment.probabilities[number]))
            cv2.rectangle(
                canvas, (begin, round(y - 0.6 * line)), (end, y), self._colours[number], -1
            )

    def _fitting(self, texts: Sequence[str], size: float, thick: int, share: float) -> float:
        """Size of letters, at most ``size``, with which all texts fit a share of the width."""
        widest = max(cv2.getTextSize(text, _FONT, size, thick)[0][0] for text in texts)
        return size * min(1.0, share * self.size[0] / widest)

    def _whole_plot(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the running plot."""
        margin = round(0.12 * self._band)
        top = self._picture[1]
        return (
            round(_PLOT * self.size[0]),
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
