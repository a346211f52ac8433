"""Rows of the prediction page: the selected faces of a segment, and the table of segments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milmer_cli.prediction.result import ABSTAINED, PredictResult, SegmentPrediction
from milmer_cli.reports.html import image_data_url
from milmer_cli.reports.plots.style import class_color_indices


def face_strips(result: PredictResult) -> Iterator[dict[str, Any]]:
    """Yield the selected faces of each segment in ``result.faces``, in the order of time."""
    for row, faces in sorted(result.faces.items()):
        largest = max((face.weight for face in faces), default=1.0) or 1.0
        yield {
            **_label(result, result.segments[row]),
            "faces": [
                {
                    "source": image_data_url(face.image),
                    "weight": face.weight,
                    "width": 100 * face.weight / largest,
                }
                for face in faces
            ],
        }


def segment_rows(result: PredictResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of segments."""
    for segment in result.segments:
        yield {
            **_label(result, segment),
            "probabilities": segment.probabilities.tolist(),
            "faces": segment.face_share,
            "eeg": segment.eeg_good,
        }


def _label(result: PredictResult, segment: SegmentPrediction) -> dict[str, Any]:
    """Time span, class, and the index of the color of the class."""
    names = result.class_names
    return {
        "span": f"{segment.onset_s:g} to {segment.onset_s + result.segment_s:g} s",
        "name": segment.label or ABSTAINED,
        "number": class_color_indices(len(names))[names.index(segment.label)]
        if segment.label
        else None,
    }
