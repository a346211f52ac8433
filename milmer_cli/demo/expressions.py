"""Faces by class of expression, in other light and poses than the videos, to fine-tune on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from milmer_cli.demo.face import FACE_CENTRE, LEFT, TOP, express
from milmer_cli.demo.patterns import EXPRESSION_CLASSES, Expression
from milmer_cli.demo.plan import stream
from milmer_cli.demo.spec import DemoSpec
from milmer_cli.demo.video import backdrop, light

SIDE = 200
SCALE = 1.35
"""Size of the faces, in sizes of the picture: large enough for dlib, which misses faces below 80
pixels."""


def write_expressions(folder: Path, spec: DemoSpec, name: str) -> None:
    """Write the images of one class, ``spec.expression_images`` JPEG files of `SIDE` pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = stream(spec, 8, list(EXPRESSION_CLASSES).index(name))
    for number in range(spec.expression_images):
        image = Image.fromarray(_photograph(EXPRESSION_CLASSES[name], rng))
        image.save(folder / f"{name}_{number:03d}.jpg", quality=90)


def _photograph(expression: Expression, rng: np.random.Generator) -> np.ndarray:
    moves = np.array(list(vars(expression).values())) * rng.uniform(0.7, 1.1)
    moves += rng.uniform(-0.1, 0.1, moves.size)
    face = express(SCALE, Expression(*(float(move) for move in moves)))
    middle = ((FACE_CENTRE[0] - LEFT) * SCALE, (FACE_CENTRE[1] - TOP) * SCALE)
    matrix = cv2.getRotationMatrix2D(middle, rng.uniform(-6.0, 6.0), rng.uniform(0.85, 1.15))
    matrix[:, 2] += SIDE * rng.uniform(0.42, 0.58, 2) - middle
    posed = cv2.warpAffine(face, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    opacity = posed[..., 3:] / 255.0
    tint = rng.uniform(0.8, 1.1) + rng.uniform(-0.06, 0.06, 3)
    lit = light(
        np.ascontiguousarray(posed[..., :3]), rng.uniform(0.75, 1.3), tint, rng.uniform(-0.3, 0.3)
    )
    image = lit * opacity + backdrop(rng, (SIDE, SIDE)) * (1.0 - opacity)
    image += rng.normal(0.0, rng.uniform(0.0, 3.0), image.shape)
    if rng.integers(2):
        image = image[:, ::-1]
    taken: np.ndarray = np.clip(image, 0, 255).astype(np.uint8)
    return taken
