"""Views of photographed faces with known landmarks: caps, electrodes, masks, glasses, tilt, light.

Two photographs in the public domain, which two dependencies contain: NASA's portrait of Eileen
Collins (scikit-image) and the U.S. Navy's portrait of Grace Hopper (matplotlib), who wears a cap
and glasses. The landmarks were read from enlarged crops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image
from skimage import data

from milmer_cli.datasets.synthetic.headgear import HeadFrame, draw_cap, draw_electrodes

WIDTH, HEIGHT = 720, 576


@dataclass(frozen=True)
class Portrait:
    """A photograph of one face.

    Attributes
    ----------
    image
        (height, width, 3) uint8 RGB.
    landmarks
        (5, 2) pixels: eye on the left of the image, other eye, tip of the nose, corners of the
        mouth.
    outline
        (center, half axes) of the ellipse around the head that is cut out, in eye distances from
        the middle of the eyes.
    """

    image: np.ndarray
    landmarks: np.ndarray

    @property
    def head(self) -> HeadFrame:
        """Position and size of the head."""
        return HeadFrame.from_eyes(self.landmarks[0], self.landmarks[1])


def collins() -> Portrait:
    """Eileen Collins, without the mission patch below her face."""
    landmarks = np.array(
        [(202.5, 101.0), (247.0, 104.0), (223.0, 125.0), (204.0, 142.0), (242.0, 143.0)]
    )
    return Portrait(data.astronaut()[:330, 40:400].copy(), landmarks - (40, 0))


def hopper() -> Portrait:
    """Grace Hopper."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    landmarks = np.array(
        [(222.0, 190.0), (305.0, 187.0), (265.0, 236.0), (236.0, 278.0), (308.0, 271.0)]
    )
    return Portrait(np.asarray(Image.open(path).convert("RGB")).copy(), landmarks)


def draw_mask(image: np.ndarray, head: HeadFrame) -> None:
    """Cover nose, mouth and chin with a surgical mask."""
    points = [(-0.95, 0.45), (0.0, 0.32), (0.95, 0.45), (0.85, 1.4), (0.0, 1.85), (-0.85, 1.4)]
    cv2.fillPoly(image, [head.pixels(points)], (170, 205, 220))
    for y in (0.75, 1.0, 1.25):
        cv2.polylines(image, [head.pixels([(-0.9, y), (0.9, y)])], False, (140, 175, 190), 1)


def draw_glasses(image: np.ndarray, head: HeadFrame) -> None:
    """Draw thick frames around both eyes."""
    width = max(1, round(head.eye_distance * 0.07))
    for x in (-0.5, 0.5):
        center = head.pixels([(x, 0.05)])[0]
        axes = (round(head.eye_distance * 0.36), round(head.eye_distance * 0.27))
        cv2.ellipse(image, tuple(int(v) for v in center), axes, 0, 0, 360, (25, 20, 20), width)
    cv2.polylines(image, [head.pixels([(-0.14, 0.0), (0.14, 0.0)])], False, (25, 20, 20), width)


def cover_mouth(image: np.ndarray, head: HeadFrame) -> None:
    """Cover the mouth with a hand."""
    cv2.fillPoly(
        image, [head.pixels([(-0.7, 0.75), (0.75, 0.65), (0.8, 1.6), (-0.6, 1.7)])], (176, 132, 110)
    )


def cover_half(image: np.ndarray, head: HeadFrame) -> None:
    """Cover the right half of the face."""
    cv2.fillPoly(
        image, [head.pixels([(0.1, -1.3), (1.4, -1.3), (1.4, 2.0), (0.1, 2.0)])], (176, 132, 110)
    )


def cap(image: np.ndarray, head: HeadFrame) -> None:
    draw_cap(image, head)


def cap_and_electrodes(image: np.ndarray, head: HeadFrame) -> None:
    draw_cap(image, head)
    draw_electrodes(image, head)


Drawing = Callable[[np.ndarray, HeadFrame], None]


@dataclass(frozen=True)
class View:
    """A face placed into a video frame.

    Attributes
    ----------
    image
        (HEIGHT, WIDTH, 3) uint8 RGB.
    landmarks
        (5, 2) true landmarks, in pixels.
    """

    image: np.ndarray
    landmarks: np.ndarray


def make_view(
    portrait: Portrait,
    rng: np.random.Generator,
    drawings: Sequence[Drawing] = (),
    eye_distance: float = 70.0,
    tilt: float = 0.0,
    gain: float = 1.0,
    blur: float = 0.0,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
) -> View:
    """Place a portrait into a frame.

    Parameters
    ----------
    portrait
        The face.
    rng
        Draws the position, the background and the camera noise.
    drawings
        What is drawn onto the photograph.
    eye_distance
        Distance of the eyes in the frame, in pixels.
    tilt
        Degrees, clockwise.
    gain
        Factor of the brightness.
    blur
        Standard deviation of the blur, in pixels.
    shape
        (height, width) of the frame.
    """
    image = portrait.image.copy()
    for draw in drawings:
        draw(image, portrait.head)
    height, width = shape
    scale = eye_distance / portrait.head.eye_distance
    middle = portrait.landmarks.mean(axis=0)
    matrix = cv2.getRotationMatrix2D(tuple(middle), -tilt, scale)
    extent = 1.6 * eye_distance
    x = rng.uniform(min(extent, width / 2), max(width - extent, width / 2))
    y = rng.uniform(min(extent, height / 2), max(height - extent, height / 2))
    matrix[:, 2] += np.array([x, y]) - middle
    opacity = np.zeros(image.shape[:2], np.uint8)
    head = portrait.head
    center = head.pixels([(0.0, 0.35)])[0]
    axes = (round(1.75 * head.eye_distance), round(2.35 * head.eye_distance))
    cv2.ellipse(opacity, tuple(int(v) for v in center), axes, 0, 0, 360, 255, -1)
    opacity = cv2.GaussianBlur(opacity, (0, 0), 0.06 * head.eye_distance)
    if scale < 1:  # avoid aliasing
        sigma = 0.4 * (1 / scale - 1)
        image = cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.1 else image
    placed = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(opacity, matrix, (width, height))[..., None] / 255.0
    frame = placed * alpha + background(rng, shape) * (1 - alpha)
    frame = frame * gain + rng.normal(0, 3, frame.shape)
    frame = np.clip(frame, 0, 255).astype(np.uint8)
    if blur:
        frame = cv2.GaussianBlur(frame, (0, 0), blur)
    landmarks = portrait.landmarks @ matrix[:, :2].T + matrix[:, 2]
    return View(frame, landmarks)


def background(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Draw a wall, (height, width, 3) float."""
    height, width = shape
    corners = rng.uniform(60, 190) + rng.uniform(-20, 20, (2, 2, 3))
    wall = cv2.resize(corners, (width, height))
    blotches = cv2.resize(rng.normal(0, 8, (9, 12)), (width, height), interpolation=cv2.INTER_CUBIC)
    return wall + blotches[..., None]
