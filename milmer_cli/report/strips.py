"""Segment by segment: the faces that were chosen, and the rows of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from milmer_cli.report.pages import face_source
from milmer_cli.report.prediction_figures import Timeline
from milmer_cli.report.theme import class_numbers

MOST_STRIPS = 60
"""Segments whose faces a page shows; of a longer recording, this many, evenly spaced."""


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
                    "source": face_source(face.image),
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
