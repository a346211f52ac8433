"""Segment by segment: the faces that were chosen, and the rows of the table."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from milmer_cli.report.prediction_figures import Timeline
from milmer_cli.report.theme import class_numbers

MOST_STRIPS = 60
"""Segments whose faces a page shows; of a longer recording, this many, evenly spaced."""

FACE_SIDE = 96
"""Side of a face on the page, in pixels."""


@dataclass(frozen=True, eq=False)
class ChosenFace:
    """A face that the model kept: (height, width, 3) uint8 RGB, and its share of the attention."""

    image: np.ndarray
    weight: float


def face_strips(
    data: Timeline, faces: Mapping[int, Sequence[ChosenFace]]
) -> Iterator[dict[str, Any]]:
    """Give the faces of the segments that are shown, in order."""
    numbers = class_numbers(len(data.class_names))
    for row, chosen in sorted(faces.items()):
        predicted = int(data.predicted[row])
        heaviest = max((face.weight for face in chosen), default=1.0) or 1.0
        yield {
            "span": _span(data, row),
            "name": "abstained" if predicted < 0 else data.class_names[predicted],
            "number": None if predicted < 0 else numbers[predicted],
            "share": float(data.probabilities[row].max()),
            "faces": [
                {
                    "source": _face_source(face.image),
                    "weight": face.weight,
                    "width": 100 * face.weight / heaviest,
                }
                for face in chosen
            ],
        }


def segment_rows(data: Timeline) -> Iterator[dict[str, Any]]:
    """Give the rows of the table of segments."""
    numbers = class_numbers(len(data.class_names))
    for row in range(len(data.onset)):
        predicted = int(data.predicted[row])
        yield {
            "span": _span(data, row),
            "name": "abstained" if predicted < 0 else data.class_names[predicted],
            "number": None if predicted < 0 else numbers[predicted],
            "probabilities": data.probabilities[row].tolist(),
            "faces": None if data.faces_found is None else float(data.faces_found[row]),
            "eeg": None if data.eeg_good is None else float(data.eeg_good[row]),
        }


def _span(data: Timeline, row: int) -> str:
    return f"{data.onset[row]:g} to {data.onset[row] + data.segment_s:g} s"


def _face_source(image: np.ndarray) -> str:
    """Make a data URL of a face, small enough that a page of them stays light."""
    picture = Image.fromarray(image)
    picture.thumbnail((FACE_SIDE, FACE_SIDE))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
