"""Rows of the prediction page: selected faces of a segment, table of segments, attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from milmer_cli.prediction.result import ABSTAINED, PredictResult, SegmentPrediction
from milmer_cli.reports.html import image_data_url
from milmer_cli.reports.plots.style import class_color_indices

NEARLY_UNIFORM = 1.25
"""Ratio to the mean below which attention is called nearly uniform."""


def face_strips(result: PredictResult) -> Iterator[dict[str, Any]]:
    """Yield the selected faces of each segment in ``result.faces``, in the order of time."""
    for row, faces in sorted(result.faces.items()):
        yield {
            **_label(result, result.segments[row]),
            "faces": [
                {
                    "source": image_data_url(face.image),
                    "weight": face.weight,
                    "width": 100 * min(face.weight, 1.0),
                }
                for face in faces
            ],
        }


def attention_sentence(attention: np.ndarray, unit: str) -> str:
    """State whether attention is nearly uniform, and its range relative to uniform attention.

    Parameters
    ----------
    attention
        (n,) not negative, of at least two units; otherwise the sentence is empty.
    unit
        Name of a unit: channel or face.
    """
    if len(attention) < 2 or not attention.sum() > 0:
        return ""
    ratio = attention / attention.mean()
    spread = f"{ratio.min():.2f} to {ratio.max():.2f} times the mean"
    if ratio.max() < NEARLY_UNIFORM and ratio.min() > 1 / NEARLY_UNIFORM:
        return f"The attention is nearly uniform: each {unit} has {spread}."
    return f"A {unit} has {spread}."


def face_attention_sentence(result: PredictResult) -> str:
    """State whether the weights of the faces are nearly uniform in all segments."""
    weights = [
        segment.instance_weights[segment.instance_weights > 0] for segment in result.segments
    ]
    ratios = [w / w.mean() for w in weights if len(w) > 1]
    return attention_sentence(np.concatenate(ratios), "face") if ratios else ""


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
