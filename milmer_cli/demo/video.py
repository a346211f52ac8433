"""Film a participant: a moving face whose expression is as planned; H.264 in AVI, 50 fps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from milmer_cli.demo.face import FACE_CENTRE, LEFT, TOP, express
from milmer_cli.demo.patterns import NEUTRAL, Expression, pattern
from milmer_cli.demo.plan import stream
from milmer_cli.demo.spec import DemoSpec, ParticipantTruth, Span, TrialTruth

FPS = 50
WIDTH, HEIGHT = 720, 576
RAMP_FRAMES = 3
"""An expression comes and goes over so many frames, inside its span."""
MARK_CELL = 24
MARK_BITS = 6


@dataclass(frozen=True)
class Look:
    """How one participant is filmed.

    Attributes
    ----------
    scale
        Size of the face; its box is about 87 pixels times this.
    centre
        Where the face is in the frame, x and y in pixels.
    mirrored
        Whether left and right are exchanged.
    gamma, tint, side
        Lighting: contrast, gain of red, green and blue, and how much brighter the right is than the
        left.
    backdrop
        (HEIGHT, WIDTH, 3) uint8.
    """

    scale: float
    centre: tuple[float, float]
    mirrored: bool
    gamma: float
    tint: np.ndarray
    side: float
    backdrop: np.ndarray


@lru_cache(maxsize=2)
def look(spec: DemoSpec, number: int) -> Look:
    """Draw how a participant is filmed."""
    rng = stream(spec, 5, number)
    scale = float(rng.uniform(1.5, 1.9))
    # Low enough that the cut edge of the picture stays below the frame.
    lowest = HEIGHT + 24 - (338 - FACE_CENTRE[1]) * scale
    return Look(
        scale=scale,
        centre=(float(rng.uniform(300, 420)), float(max(lowest, rng.uniform(240, 280)))),
        mirrored=bool(rng.integers(2)),
        gamma=float(rng.uniform(0.8, 1.25)),
        tint=rng.uniform(0.85, 1.05) + rng.uniform(-0.05, 0.05, 3),
        side=float(rng.uniform(-0.25, 0.25)),
        backdrop=backdrop(rng, (HEIGHT, WIDTH)),
    )


def backdrop(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return a wall: a slow change of colour with faint blotches, (height, width, 3) uint8."""
    corners = rng.uniform(70, 180) + rng.uniform(-18, 18, 3) + rng.uniform(-16, 16, (2, 2, 3))
    wall = cv2.resize(corners, size[::-1], interpolation=cv2.INTER_LINEAR)
    blotches = cv2.resize(rng.normal(0, 6, (9, 12)), size[::-1], interpolation=cv2.INTER_CUBIC)
    painted: np.ndarray = np.clip(wall + blotches[..., None], 0, 255).astype(np.uint8)
    return painted


def light(rgb: np.ndarray, gamma: float, tint: np.ndarray, side: float) -> np.ndarray:
    """Light a picture, (height, width, 3) uint8: see `Look`."""
    curve = 255.0 * (np.arange(256) / 255.0) ** gamma
    across = 1.0 + side * np.linspace(-1.0, 1.0, rgb.shape[1])[None, :, None]
    lit: np.ndarray = np.clip(curve[rgb] * tint * across, 0, 255).astype(np.uint8)
    return lit


class _Faces:
    """The faces of one participant, ready to be put before the backdrop; each is made once."""

    def __init__(self, spec: DemoSpec, look: Look) -> None:
        self._spec = spec
        self._look = look
        self._made: dict[tuple[int | None, int], np.ndarray] = {}

    def get(self, index: int | None, step: int) -> np.ndarray:
        """Return a face ``step`` frames into an expression: RGB times opacity, and opacity."""
        key = (index, step) if step else (None, 0)
        if key not in self._made:
            expression: Expression = NEUTRAL
            if index is not None and step:
                expression = pattern(self._spec, index).expression.scaled(step / RAMP_FRAMES)
            self._made[key] = self._make(expression)
        return self._made[key]

    def _make(self, expression: Expression) -> np.ndarray:
        look = self._look
        face = express(look.scale, expression)
        opacity = face[..., 3:] / 255.0
        rgb = light(np.ascontiguousarray(face[..., :3]), look.gamma, look.tint, look.side)
        face = np.dstack((np.round(rgb * opacity).astype(np.uint8), face[..., 3]))
        return np.ascontiguousarray(face[:, ::-1]) if look.mirrored else face


@lru_cache(maxsize=2)
def _faces(spec: DemoSpec, number: int) -> _Faces:
    return _Faces(spec, look(spec, number))


def frames(spec: DemoSpec, truth: ParticipantTruth, trial: TrialTruth) -> Iterator[np.ndarray]:
    """Yield the frames of a trial's video, (HEIGHT, WIDTH, 3) uint8 RGB."""
    how = look(spec, truth.number)
    faces = _faces(spec, truth.number)
    rng = stream(spec, 6, truth.number, trial.trial)
    sway_hz = rng.uniform(0.1, 0.5, 4)
    phases = rng.uniform(0, 2 * np.pi, 4)
    count = round(spec.stimulus_s * FPS)
    wall = how.backdrop.copy()
    if trial.mark_hz is not None:
        draw_mark(wall, trial.stimulus)
    for number in range(count):
        span = _span_at(trial.spans, (number + 0.5) / FPS)
        if span is not None and span.pattern is None:
            yield wall
            continue
        face = faces.get(None, 0)
        if span is not None:
            first, last = round(span.start_s * FPS), round(span.stop_s * FPS) - 1
            step = min(number - first + 1, last - number + 1, RAMP_FRAMES)
            face = faces.get(span.pattern, step)
        yield _compose(wall, face, how, _sway(number / FPS, sway_hz, phases))


def _span_at(spans: tuple[Span, ...], seconds: float) -> Span | None:
    return next((span for span in spans if span.start_s <= seconds < span.stop_s), None)


def _sway(seconds: float, hz: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return how the head moves: right and down in pixels, turn in degrees, growth as a share."""
    size = np.array([14.0, 8.0, 3.0, 0.03])
    moved: np.ndarray = size * np.sin(2 * np.pi * hz * seconds + phases)
    return moved


def _compose(wall: np.ndarray, face: np.ndarray, how: Look, sway: np.ndarray) -> np.ndarray:
    right, down, turn, growth = (float(part) for part in sway)
    anchor_x = (FACE_CENTRE[0] - LEFT) * how.scale
    if how.mirrored:
        anchor_x = face.shape[1] - anchor_x
    anchor_y = (FACE_CENTRE[1] - TOP) * how.scale
    # Turn and grow about the face, then carry it to its place.
    matrix = cv2.getRotationMatrix2D((anchor_x, anchor_y), turn, 1.0 + growth)
    matrix[:, 2] += (how.centre[0] + right - anchor_x, how.centre[1] + down - anchor_y)
    placed = cv2.warpAffine(face, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    around = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(placed, 3)), cv2.COLOR_GRAY2RGB)
    behind = cv2.multiply(wall, around, scale=1 / 255)
    composed: np.ndarray = cv2.add(behind, cv2.cvtColor(placed, cv2.COLOR_RGBA2RGB))
    return composed


def draw_mark(frame: np.ndarray, stimulus: int) -> None:
    """Write a number from 0 to 63 into a corner: a white and a black cell, then its bits."""
    bits = [1, 0, *(stimulus >> bit & 1 for bit in reversed(range(MARK_BITS)))]
    for place, bit in enumerate(bits):
        left = (place + 1) * MARK_CELL
        frame[MARK_CELL : 2 * MARK_CELL, left : left + MARK_CELL] = 235 if bit else 20


def read_mark(frame: np.ndarray) -> int | None:
    """Return the number `draw_mark` wrote into a frame, (height, width, 3) uint8, or None."""
    middle = MARK_CELL + MARK_CELL // 2
    columns = middle + MARK_CELL * np.arange(MARK_BITS + 2)
    cells = frame[middle - 4 : middle + 4, :][:, columns].mean(axis=(0, 2))
    white, black, *bits = cells
    if white < 180 or black > 70:
        return None
    return sum(int(cell > 127) << bit for bit, cell in enumerate(reversed(bits)))


def film(path: Path, spec: DemoSpec, truth: ParticipantTruth, trial: TrialTruth) -> None:
    """Make the video of a trial; its first frame is at the start of the stimulus."""
    with av.open(str(path), "w", format="avi", options={"fflags": "+bitexact"}) as container:
        track = container.add_stream("libx264", rate=FPS)
        track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        track.codec_context.thread_count = 1
        # No B-frames: AVI has no place for their time stamps.
        track.options = {"preset": "ultrafast", "crf": "26", "g": str(FPS), "bf": "0"}
        for rgb in frames(spec, truth, trial):
            yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
            container.mux(track.encode(av.VideoFrame.from_ndarray(yuv, format="yuv420p")))
        container.mux(track.encode(None))
