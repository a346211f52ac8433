"""Face images by expression class for fine-tuning, with other light and poses than the videos."""

from __future__ import annotations

import functools
from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from milmer_cli.datasets.synthetic.config import RandomStream, SyntheticConfig, random_generator
from milmer_cli.datasets.synthetic.effects import EXPRESSION_CLASSES, Expression
from milmer_cli.datasets.synthetic.face_image import FACE_CENTER, LEFT, TOP, render_face
from milmer_cli.datasets.synthetic.face_video import apply_lighting, draw_background
from milmer_cli.io import atomic_write

IMAGE_SIZE = 200
SCALE = 1.35
"""Size of the face relative to the photograph. It exceeds the 80 pixels that dlib requires."""


def write_expression_images(folder: Path, config: SyntheticConfig, class_name: str) -> None:
    """Write the JPEG files of one class, ``config.expression_images`` of `IMAGE_SIZE` pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    class_index = list(EXPRESSION_CLASSES).index(class_name)
    rng = random_generator(config, RandomStream.EXPRESSION_IMAGES, class_index)
    for number in range(config.expression_images):
        image = Image.fromarray(_render_image(EXPRESSION_CLASSES[class_name], rng))
        path = folder / f"{class_name}_{number:03d}.jpg"
        atomic_write(path, functools.partial(image.save, format="JPEG", quality=90))


def _render_image(expression: Expression, rng: np.random.Generator) -> np.ndarray:
    """Return a face of random strength, pose, light and background, (size, size, 3) uint8."""
    movements = np.array(astuple(expression)) * rng.uniform(0.7, 1.1)
    movements += rng.uniform(-0.1, 0.1, movements.size)
    face = render_face(SCALE, Expression(*(float(movement) for movement in movements)))
    center = ((FACE_CENTER[0] - LEFT) * SCALE, (FACE_CENTER[1] - TOP) * SCALE)
    matrix = cv2.getRotationMatrix2D(center, rng.uniform(-6.0, 6.0), rng.uniform(0.85, 1.15))
    matrix[:, 2] += IMAGE_SIZE * rng.uniform(0.42, 0.58, 2) - center
    posed = cv2.warpAffine(face, matrix, (IMAGE_SIZE, IMAGE_SIZE), flags=cv2.INTER_LINEAR)
    opacity = posed[..., 3:] / 255.0
    tint = rng.uniform(0.8, 1.1) + rng.uniform(-0.06, 0.06, 3)
    lit = apply_lighting(
        np.ascontiguousarray(posed[..., :3]), rng.uniform(0.75, 1.3), tint, rng.uniform(-0.3, 0.3)
    )
    image = lit * opacity + draw_background(rng, (IMAGE_SIZE, IMAGE_SIZE)) * (1.0 - opacity)
    image += rng.normal(0.0, rng.uniform(0.0, 3.0), image.shape)
    if rng.integers(2):
        image = image[:, ::-1]
    pixels: np.ndarray = np.clip(image, 0, 255).astype(np.uint8)
    return pixels
