"""Faces by class of expression, in other light and poses than the videos, to fine-tune on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from milmer_cli.demo.face import FACE_BOX, FACE_CENTRE, LEFT, TOP, express
from milmer_cli.demo.patterns import EXPRESSION_CLASSES, Expression
from milmer_cli.demo.plan import stream
from milmer_cli.demo.spec import DemoSpec
from milmer_cli.demo.video import backdrop, light

SIDE = 160
SCALE = 2.2
"""Size at which faces are warped before they are posed, in sizes of the picture."""


def write_expressions(folder: Path, spec: DemoSpec, name: str) -> None:
    """Write the images of one class, ``spec.expression_images`` JPEG files of `SIDE` pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = stream(spec, 8, list(EXPRESSION_CLASSES).index(name))
    for number in range(spec.expression_images):
        image = Image.fromarray(_photograph(EXPRESSION_CLASSES[name], rng))
        image.save(folder / f"{name}_{number:03d}.jpg", quality=90)


def _photograph(expression: Expression, rng: np.random.Generator) -> np.ndarray:
    moves = np.array(list(vars(expression).values())) * rng.uniform(0.6, 1.1)
    moves += rng.uniform(-0.12, 0.12, moves.size)
    face = express(SCALE, Expression(*(float(move) for move in moves)))
    wide = (FACE_BOX[2] - FACE_BOX[0]) * SCALE
    growth = SIDE / (wide * rng.uniform(1.1, 1.4))
    middle = ((FACE_CENTRE[0] - LEFT) * SCALE, (FACE_CENTRE[1] - TOP) * SCALE)
    matrix = cv2.getRotationMatrix2D(middle, rng.uniform(-12.0, 12.0), growth)
    matrix[:, :2] @= np.array([[rng.uniform(0.9, 1.1), rng.uniform(-0.06, 0.06)], [0.0, 1.0]])
    offset = SIDE / 2 + rng.uniform(-0.06, 0.06, 2) * SIDE
    matrix[:, 2] = offset - matrix[:, :2] @ middle
    posed = cv2.warpAffine(face, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
    opacity = posed[..., 3:] / 255.0
    tint = rng.uniform(0.75, 1.15) + rng.uniform(-0.1, 0.1, 3)
    lit = light(
        np.ascontiguousarray(posed[..., :3]), rng.uniform(0.65, 1.5), tint, rng.uniform(-0.4, 0.4)
    )
    image = lit * opacity + backdrop(rng, (SIDE, SIDE)) * (1.0 - opacity)
    image += rng.normal(0.0, rng.uniform(0.0, 6.0), image.shape)
    if rng.integers(2):
        image = image[:, ::-1]
    taken: np.ndarray = np.clip(image, 0, 255).astype(np.uint8)
    return taken
