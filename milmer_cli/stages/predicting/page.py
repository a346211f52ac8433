"""The page of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from milmer_cli.recordings.montage import head_places
from milmer_cli.report.html import ChosenFace, PredictionReport, prediction_page
from milmer_cli.report.prediction_figures import ScalpMap, Timeline
from milmer_cli.report.strips import MOST_STRIPS
from milmer_cli.stages.predicting.blinks import ClockCheck
from milmer_cli.stages.predicting.inference import Answer
from milmer_cli.stages.predicting.outcome import PredictResult
from milmer_cli.stages.predicting.trust import metrics_of, reliabilities
from milmer_cli.training.runfolder import Run, versions


def shown_rows(n_segments: int) -> frozenset[int]:
    """Choose the segments whose faces the page shows: known before, so that no other is kept."""
    rows = np.linspace(0, n_segments - 1, min(n_segments, MOST_STRIPS)).round()
    return frozenset(int(row) for row in rows)


def chosen_faces(answer: Answer) -> list[ChosenFace]:
    """Give the faces that the model kept of a segment."""
    images = answer.stretch.images(answer.row)
    kept = []
    for index in answer.chosen:
        image = images[index]
        if image is not None:
            kept.append(ChosenFace(image, float(answer.weights[index])))
    return kept


def page(
    result: PredictResult,
    run: Run,
    faces: Mapping[int, Sequence[ChosenFace]],
    facts: Sequence[tuple[str, str]],
    clocks: ClockCheck | None,
) -> str:
    """Render the page.

    Parameters
    ----------
    result
        What the model said.
    run
        Whose model it was.
    faces
        Chosen faces of the segments that are shown; empty without video.
    facts
        Label and value: where it comes from.
    clocks
        The check of the clocks, where one was asked for.
    """
    segments = result.segments
    with_video, with_eeg = segments[0].faces is not None, segments[0].eeg_good is not None
    timeline = Timeline(
        onset=result.onset,
        segment_s=result.segment_s,
        probabilities=result.probabilities,
        class_names=result.class_names,
        faces_found=np.array([(s.faces or 0) / run.instances for s in segments])
        if with_video
        else None,
        eeg_good=np.array([s.eeg_good for s in segments], float) if with_eeg else None,
        abstained=result.abstained,
    )
    return prediction_page(
        PredictionReport(
            title=str(result.request.get("title", "")),
            timeline=timeline,
            faces=faces,
            trust=result.trust,
            notes=result.notes,
            settings=run.settings.model_dump(mode="json"),
            facts=[*facts, ("label rule", run.label_rule), *versions().items()],
            reliability=reliabilities(run),
            temperature=metrics_of(run).get("calibration", {}).get("temperature"),
            scalp=_scalp(result),
            clocks=None if clocks is None else clocks.drawn(),
        )
    )


def _scalp(result: PredictResult) -> ScalpMap | None:
    if not len(result.attention):
        return None
    places = head_places(result.channels)
    known = np.isfinite(places).all(axis=1)
    if known.sum() < 3:
        return None
    names = tuple(name for name, there in zip(result.channels, known, strict=True) if there)
    return ScalpMap(names, places[known], result.attention[known])
