"""Drawing a prediction on video frames: face box, class, probabilities and a running plot."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from milmer_cli.prediction.result import ABSTAINED, PredictResult, SegmentPrediction
from milmer_cli.reports.plots.style import class_colors

_INK, _GRAY = (27, 32, 39), (150, 158, 168)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PANEL_HEIGHT = 0.22
"""Height of the panel below the frame, as a share of the shorter side of the frame."""
_NAMES_X, _BARS_X, _PLOT_X = 0.02, 0.16, 0.38
"""Left edges of class names, bars and plot, as shares of the width."""


class VideoOverlay:
    """Draw a prediction on frames of one size.

    Parameters
    ----------
    result
        The prediction.
    size
        (width, height) of the frames, in pixels.

    Attributes
    ----------
    size
        (width, height) of the output, in pixels: even, and higher by the panel.
    """

    def __init__(self, result: PredictResult, size: tuple[int, int]) -> None:
        self._result = result
        width, height = size
        self._frame_size = (width - width % 2, height - height % 2)
        self._panel = 2 * round(_PANEL_HEIGHT * min(size) / 2)
        self.size = (self._frame_size[0], self._frame_size[1] + self._panel)
        self._scale = max(0.4, min(size) / 720)
        self._colors = [_rgb(code) for code in class_colors(len(result.class_names))]
        self._onsets = result.onset
        margin = round(0.12 * self._panel)
        self._plot_box = (
            round(_PLOT_X * self.size[0]),
            self._frame_size[1] + margin,
            self.size[0] - margin,
            self.size[1] - margin,
        )

    def draw(self, image: np.ndarray, time_s: float) -> np.ndarray:
        """Return the frame with the panel below it.

        Parameters
        ----------
        image
            (height, width, 3) uint8 RGB.
        time_s
            Seconds from the start of the stimulus.

        Returns
        -------
        ndarray
            (height, width, 3) uint8 RGB, of `size`.
        """
        width, height = self._frame_size
        canvas = np.full((self.size[1], width, 3), 255, np.uint8)
        canvas[:height] = image[:height, :width]
        row = int(np.searchsorted(self._onsets, time_s + 1e-6)) - 1
        if row >= 0 and time_s < self._onsets[row] + self._result.segment_s:
            segment = self._result.segments[row]
            self._draw_box(canvas, segment, time_s)
            self._draw_label(canvas, segment)
            self._draw_bars(canvas, segment)
        self._draw_plot(canvas, time_s)
        return canvas

    def _draw_box(self, canvas: np.ndarray, segment: SegmentPrediction, time_s: float) -> None:
        if segment.boxes is None:
            return
        n_instances = len(segment.boxes)
        index = int((time_s - segment.onset_s) / self._result.segment_s * n_instances)
        box = segment.boxes[min(index, n_instances - 1)]
        if np.isfinite(box).all():
            corners = [round(float(edge)) for edge in box]
            thickness = max(2, round(3 * self._scale))
            cv2.rectangle(canvas, corners[:2], corners[2:], self._color(segment), thickness)

    def _color(self, segment: SegmentPrediction) -> tuple[int, int, int]:
        if segment.abstained:
            return _GRAY
        return self._colors[self._result.class_names.index(segment.label)]

    @property
    def _line_height(self) -> float:
        return self._panel / (len(self._colors) + 1.6)

    @property
    def _font_size(self) -> tuple[float, int]:
        """Scale and thickness of the text."""
        size = min(self._line_height / 30, self._scale)
        return size, max(1, round(1.6 * size))

    def _draw_label(self, canvas: np.ndarray, segment: SegmentPrediction) -> None:
        size, thickness = self._font_size
        text = f"{segment.label} {segment.confidence:.0%}" if segment.label else ABSTAINED
        fitted = self._fit_text([text], 1.15 * size, thickness + 1, _PLOT_X - _NAMES_X - 0.01)
        place = (
            round(_NAMES_X * self.size[0]),
            round(self._frame_size[1] + 1.1 * self._line_height),
        )
        cv2.putText(canvas, text, place, _FONT, fitted, _INK, thickness + 1, cv2.LINE_AA)

    def _draw_bars(self, canvas: np.ndarray, segment: SegmentPrediction) -> None:
        size, thickness = self._font_size
        names = self._result.class_names
        fitted = self._fit_text(names, 0.8 * size, thickness, _BARS_X - _NAMES_X - 0.01)
        left, begin = round(_NAMES_X * self.size[0]), round(_BARS_X * self.size[0])
        longest = (_PLOT_X - _BARS_X - 0.05) * self.size[0]
        for index, name in enumerate(names):
            y = round(self._frame_size[1] + (index + 2.15) * self._line_height)
            cv2.putText(canvas, name, (left, y), _FONT, fitted, _INK, thickness, cv2.LINE_AA)
            end = round(begin + longest * float(segment.probabilities[index]))
            top = round(y - 0.6 * self._line_height)
            cv2.rectangle(canvas, (begin, top), (end, y), self._colors[index], -1)

    def _fit_text(self, texts: Sequence[str], size: float, thickness: int, share: float) -> float:
        """Return the font size, at most ``size``, at which all texts fit a share of the width."""
        widest = max(cv2.getTextSize(text, _FONT, size, thickness)[0][0] for text in texts)
        # strokes extend beyond the measured width
        return size * min(1.0, (share * self.size[0] - thickness - 1) / widest)

    def _draw_plot(self, canvas: np.ndarray, time_s: float) -> None:
        """Draw the probabilities up to now; the axis spans the whole recording."""
        left, top, right, bottom = self._plot_box
        cv2.line(canvas, (left, bottom), (right, bottom), _GRAY, 1)
        segment_s = self._result.segment_s
        pixels_per_s = (right - left) / (float(self._onsets[-1]) + segment_s)
        started = int(np.searchsorted(self._onsets, time_s + 1e-6))
        shown = [s for s in self._result.segments[:started] if not s.abstained]
        thickness = max(1, round(2 * self._scale))
        for index, color in enumerate(self._colors):
            points = [
                (
                    left + pixels_per_s * min(edge_s, time_s),
                    bottom - (bottom - top) * float(segment.probabilities[index]),
                )
                for segment in shown
                for edge_s in (segment.onset_s, segment.onset_s + segment_s)
            ]
            if points:
                line = np.array(points).round().astype(np.int32)
                cv2.polylines(canvas, [line], False, color, thickness, cv2.LINE_AA)
        now = round(left + pixels_per_s * time_s)
        cv2.line(canvas, (now, top), (now, bottom), _INK, 1)


def _rgb(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
