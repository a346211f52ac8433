"""Render the video of a trial, a moving face with expressions; H.264 in AVI, 50 fps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from milmer_cli.datasets.synthetic.config import (
    ExpressionSpan,
    ParticipantTruth,
    RandomStream,
    SyntheticConfig,
    TrialTruth,
    random_generator,
)
from milmer_cli.datasets.synthetic.effects import NEUTRAL, Expression, make_pattern
from milmer_cli.datasets.synthetic.face_image import (
    BOTTOM,
    EYES,
    FACE_CENTER,
    LEFT,
    TOP,
    render_face,
)
from milmer_cli.datasets.synthetic.headgear import HeadFrame, draw_cap
from milmer_cli.io import atomic_path
from milmer_cli.video.decode import file_url

FPS = 50
WIDTH, HEIGHT = 720, 576
RAMP_FRAMES = 3
"""Number of frames over which an expression appears and disappears, within its span."""
MARK_CELL = 24
"""Width and height of a cell of the mark, in pixels."""
MARK_BITS = 6
CAP_NUMBER = 2
"""Number of the participant who wears an EEG cap."""


@dataclass(frozen=True)
class Appearance:
    """Pose, lighting and background of one participant's videos.

    Attributes
    ----------
    scale
        Size of the face; its box is about 87 pixels times this factor.
    center
        Position of the face in the frame, (x, y) in pixels.
    mirrored
        Whether left and right are exchanged.
    gamma, tint, side
        Lighting (see `apply_lighting`).
    background
        (HEIGHT, WIDTH, 3) uint8.
    cap
        Whether the participant wears an EEG cap.
    """

    scale: float
    center: tuple[float, float]
    mirrored: bool
    gamma: float
    tint: np.ndarray
    side: float
    background: np.ndarray
    cap: bool


@lru_cache(maxsize=2)
def draw_appearance(config: SyntheticConfig, number: int) -> Appearance:
    """Draw the appearance of participant ``number``."""
    rng = random_generator(config, RandomStream.APPEARANCE, number)
    scale = float(rng.uniform(1.5, 1.9))
    # The face is low enough that the lower edge of the photograph stays below the frame.
    min_center_y = HEIGHT + 24 - (BOTTOM - FACE_CENTER[1]) * scale
    return Appearance(
        scale=scale,
        center=(float(rng.uniform(300, 420)), float(max(min_center_y, rng.uniform(240, 280)))),
        mirrored=bool(rng.integers(2)),
        gamma=float(rng.uniform(0.8, 1.25)),
        tint=rng.uniform(0.85, 1.05) + rng.uniform(-0.05, 0.05, 3),
        side=float(rng.uniform(-0.25, 0.25)),
        background=draw_background(rng, (HEIGHT, WIDTH)),
        cap=number == CAP_NUMBER,
    )


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a wall: a smooth color gradient with faint blotches, (height, width, 3) uint8."""
    corners = rng.uniform(70, 180) + rng.uniform(-18, 18, 3) + rng.uniform(-16, 16, (2, 2, 3))
    gradient = cv2.resize(corners, size[::-1], interpolation=cv2.INTER_LINEAR)
    blotches = cv2.resize(rng.normal(0, 6, (9, 12)), size[::-1], interpolation=cv2.INTER_CUBIC)
    background: np.ndarray = np.clip(gradient + blotches[..., None], 0, 255).astype(np.uint8)
    return background


def apply_lighting(rgb: np.ndarray, gamma: float, tint: np.ndarray, side: float) -> np.ndarray:
    """Change the lighting of an image.

    Parameters
    ----------
    rgb
        (height, width, 3) uint8.
    gamma
        Exponent of the tone curve.
    tint
        (3,) gain of red, green and blue.
    side
        Relative change of brightness towards the right edge; the left edge changes by its negative.

    Returns
    -------
    (height, width, 3) uint8
    """
    curve = 255.0 * (np.arange(256) / 255.0) ** gamma
    gradient = 1.0 + side * np.linspace(-1.0, 1.0, rgb.shape[1])[None, :, None]
    lit: np.ndarray = np.clip(curve[rgb] * tint * gradient, 0, 255).astype(np.uint8)
    return lit


class _FaceRenderer:
    """Renders the faces of one participant and caches them."""

    def __init__(self, config: SyntheticConfig, appearance: Appearance) -> None:
        self._config = config
        self._appearance = appearance
        self._cache: dict[tuple[int | None, int], np.ndarray] = {}

    def get(self, pattern: int | None, step: int) -> np.ndarray:
        """Return a face ``step`` frames into an expression, (height, width, 4) uint8.

        The channels are RGB, premultiplied by the opacity, and the opacity.
        """
        key = (pattern, step) if step else (None, 0)
        if key not in self._cache:
            expression = NEUTRAL
            if pattern is not None and step:
                full = make_pattern(self._config, pattern).expression
                expression = full.scaled(step / RAMP_FRAMES)
            self._cache[key] = self._render(expression)
        return self._cache[key]

    def _render(self, expression: Expression) -> np.ndarray:
        appearance = self._appearance
        face = render_face(appearance.scale, expression)
        if appearance.cap:
            face = _put_on_cap(face, appearance.scale)
        opacity = face[..., 3:] / 255.0
        rgb = apply_lighting(
            np.ascontiguousarray(face[..., :3]), appearance.gamma, appearance.tint, appearance.side
        )
        face = np.dstack((np.round(rgb * opacity).astype(np.uint8), face[..., 3]))
        return np.ascontiguousarray(face[:, ::-1]) if appearance.mirrored else face


def _put_on_cap(face: np.ndarray, scale: float) -> np.ndarray:
    """Draw a cap onto a face of `render_face`; the cap is opaque."""
    rgb = face[..., :3].copy()
    left, right = (EYES - (LEFT, TOP)) * scale
    draw_cap(rgb, HeadFrame.from_eyes(left, right))
    drawn = (rgb != face[..., :3]).any(axis=-1)
    return np.dstack((rgb, np.where(drawn, 255, face[..., 3]).astype(np.uint8)))


@lru_cache(maxsize=2)
def _face_renderer(config: SyntheticConfig, number: int) -> _FaceRenderer:
    return _FaceRenderer(config, draw_appearance(config, number))


def render_frames(
    config: SyntheticConfig, participant: ParticipantTruth, trial: TrialTruth
) -> Iterator[np.ndarray]:
    """Yield the frames of a trial's video, (HEIGHT, WIDTH, 3) uint8 RGB."""
    background = draw_appearance(config, participant.number).background.copy()
    if trial.mark_hz is not None:
        draw_mark(background, trial.stimulus)
    frames = range(round(config.stimulus_s * FPS))
    yield from render_spans(
        config, (participant.number, trial.trial), trial.spans, frames, background
    )


def render_spans(
    config: SyntheticConfig,
    keys: tuple[int, int],
    spans: Sequence[ExpressionSpan],
    frames: Iterable[int],
    background: np.ndarray,
) -> Iterator[np.ndarray]:
    """Yield frames of a face that shows the given expressions.

    Parameters
    ----------
    config
    keys
        Number of the participant, who has one appearance, and of the video, for the movements of
        the head.
    spans
        The face is neutral outside of them.
    frames
        Times of the frames in units of 1 / `FPS` seconds; may be negative.
    background
        (HEIGHT, WIDTH, 3) uint8. It is a frame without a face, and is not to be changed.
    """
    appearance = draw_appearance(config, keys[0])
    faces = _face_renderer(config, keys[0])
    rng = random_generator(config, RandomStream.HEAD_MOTION, *keys)
    motion_hz = rng.uniform(0.1, 0.5, 4)
    phases = rng.uniform(0, 2 * np.pi, 4)
    for frame in frames:
        span = _span_at(spans, (frame + 0.5) / FPS)
        if span is not None and span.pattern is None:
            yield background
            continue
        face = faces.get(None, 0)
        if span is not None:
            first, last = round(span.start_s * FPS), round(span.stop_s * FPS) - 1
            step = min(frame - first + 1, last - frame + 1, RAMP_FRAMES)
            face = faces.get(span.pattern, step)
        yield _compose(background, face, appearance, _head_motion(frame / FPS, motion_hz, phases))


def _span_at(spans: Sequence[ExpressionSpan], seconds: float) -> ExpressionSpan | None:
    return next((span for span in spans if span.start_s <= seconds < span.stop_s), None)


def _head_motion(seconds: float, hz: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return the shift to the right and down in pixels, the rotation in degrees and the growth."""
    amplitude = np.array([14.0, 8.0, 3.0, 0.03])
    motion: np.ndarray = amplitude * np.sin(2 * np.pi * hz * seconds + phases)
    return motion


def _compose(
    background: np.ndarray, face: np.ndarray, appearance: Appearance, motion: np.ndarray
) -> np.ndarray:
    right, down, rotation, growth = (float(value) for value in motion)
    center_x = (FACE_CENTER[0] - LEFT) * appearance.scale
    if appearance.mirrored:
        center_x = face.shape[1] - center_x
    center_y = (FACE_CENTER[1] - TOP) * appearance.scale
    # Rotate and scale about the center of the face, then move it to its position in the frame.
    matrix = cv2.getRotationMatrix2D((center_x, center_y), rotation, 1.0 + growth)
    matrix[:, 2] += (
        appearance.center[0] + right - center_x,
        appearance.center[1] + down - center_y,
    )
    placed = cv2.warpAffine(face, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    transparency = cv2.bitwise_not(cv2.extractChannel(placed, 3))
    behind = cv2.multiply(background, cv2.cvtColor(transparency, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    composed: np.ndarray = cv2.add(behind, cv2.cvtColor(placed, cv2.COLOR_RGBA2RGB))
    return composed


def draw_mark(frame: np.ndarray, number: int, bits: int = MARK_BITS) -> None:
    """Draw a number from 0 to 2 ** bits - 1: a white cell, a black cell, then its bits."""
    cells = [1, 0, *(number >> bit & 1 for bit in reversed(range(bits)))]
    for column, cell in enumerate(cells, start=1):
        left = column * MARK_CELL
        frame[MARK_CELL : 2 * MARK_CELL, left : left + MARK_CELL] = 235 if cell else 20


def read_mark(frame: np.ndarray, bits: int = MARK_BITS) -> int | None:
    """Return the number that `draw_mark` drew into a frame, (height, width, 3) uint8, or None."""
    center = MARK_CELL + MARK_CELL // 2
    columns = center + MARK_CELL * np.arange(bits + 2)
    cells = frame[center - 4 : center + 4, :][:, columns].mean(axis=(0, 2))
    white, black, *values = cells
    if white < 180 or black > 70:
        return None
    return sum(int(cell > 127) << bit for bit, cell in enumerate(reversed(values)))


def write_video(
    path: Path, config: SyntheticConfig, participant: ParticipantTruth, trial: TrialTruth
) -> None:
    """Write the video of a trial; its first frame is at the stimulus onset."""
    write_frames(path, render_frames(config, participant, trial), (WIDTH, HEIGHT), FPS)


def write_frames(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], fps: int) -> None:
    """Write a video as H.264; the extension of ``path`` states the container.

    Parameters
    ----------
    path
        The file.
    frames
        (height, width, 3) uint8 RGB.
    size
        Width and height.
    fps
        Frames per second.
    """
    container_format = path.suffix.removeprefix(".")
    options = {"fflags": "+bitexact"}
    with (
        atomic_path(path) as temporary,
        av.open(file_url(temporary), "w", format=container_format, options=options) as container,
    ):
        stream = container.add_stream("libx264", rate=fps)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.codec_context.thread_count = 1
        # No B-frames, because AVI stores no presentation timestamps.
        stream.options = {"preset": "ultrafast", "crf": "26", "g": str(fps), "bf": "0"}
        for number, rgb in enumerate(frames):
            yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
