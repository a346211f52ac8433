"""One self-contained page a result: no script, no network, readable on a phone and on paper.

The functions take plain values and `Scores`; what a page says is decided here, how it looks in
``templates/``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from milmer_cli.metrics import METRICS, Scores, headline
from milmer_cli.metrics.comparison import deletion_area
from milmer_cli.report import clock_figures, figures, prediction_figures, trust_figures
from milmer_cli.report.clock_figures import ClockTraces
from milmer_cli.report.pages import flat, render, write_page
from milmer_cli.report.prediction_figures import ScalpMap, Timeline
from milmer_cli.report.strips import ChosenFace, face_strips, segment_rows
from milmer_cli.report.theme import class_numbers, to_svg
from milmer_cli.report.wording import (
    APART,
    QUADRANT_WORDS,
    ladder_reading,
    metric_row,
    verdict,
)

__all__ = [
    "ChosenFace", "EvaluationReport", "FoldRow", "PredictionReport", "ProtocolResult", "Table",
    "evaluation_page", "main_result", "prediction_page", "write_page",
]  # fmt: skip

if TYPE_CHECKING:
    from milmer_cli.metrics.calibration import Reliability
    from milmer_cli.metrics.comparison import Comparison
    from milmer_cli.report.trust_figures import DeletionCurve
    from milmer_cli.settings.schema import Protocol


@dataclass(frozen=True)
class FoldRow:
    """One fold in the table of folds. ``epoch`` is the one that was kept, None when not trained."""

    name: str
    n_train: int
    n_validation: int
    n_test: int
    epoch: int | None
    accuracy: float
    balanced_accuracy: float
    majority: float


@dataclass(frozen=True)
class ProtocolResult:
    """Scores under one protocol, with the folds that they come from.

    Attributes
    ----------
    protocol, scores, folds
        What is shown.
    epoch_on_test
        Whether the test part chose the epoch, which makes any protocol LEAKY.
    by_seed
        Accuracy over segments with each seed, where there are several.
    """

    protocol: Protocol
    scores: Scores
    folds: Sequence[FoldRow] = ()
    epoch_on_test: bool = False
    by_seed: Mapping[int, float] = field(default_factory=dict)

    @property
    def leaky(self) -> bool:
        """Whether the number is LEAKY, and must say so wherever it stands."""
        return self.epoch_on_test or self.protocol == "segment"


@dataclass(frozen=True)
class Table:
    """A table in words: baselines, missing modalities, probes. Cells are shown as given."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation page shows.

    Attributes
    ----------
    title
        Heading, for instance the name of the run.
    results
        One a protocol; the first is the headline, unless it is LEAKY and another is not.
    notes
        Sentences that the reader must see first: what was left out, what is unusual.
    settings
        The resolved settings, nested by section.
    facts
        Fingerprints, versions, device, seed, command: label and value.
    comparisons
        Models against each other under the headline's protocol.
    tables
        Whatever else was measured; the note of each names its protocol and its chance.
    deletion
        Whether the selection matters, under the headline's protocol.
    reliability
        Calibration under the headline's protocol: as trained, and after the temperature where one
        was fitted.
    readings
        What the ladder says about other models, by their names.
    """

    title: str
    results: Sequence[ProtocolResult]
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()
    comparisons: Sequence[Comparison] = ()
    tables: Sequence[Table] = ()
    deletion: DeletionCurve | None = None
    reliability: tuple[Reliability, Reliability | None] | None = None
    readings: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PredictionReport:
    """What a prediction page shows.

    Attributes
    ----------
    title
        Heading, for instance the name of the video.
    timeline
        What the model said, segment by segment.
    faces
        Segment -> its chosen faces, for the segments that are shown (at most `MOST_STRIPS`); empty
        without video.
    trust
        The line that says how good the model was where it was tested: `metrics.headline` of its
        evaluation, or a sentence that it was never tested.
    truth
        Class that the participant's ratings give, where known.
    notes, settings, facts
        As in `EvaluationReport`.
    reliability
        Calibration that the model had where it was tested: as trained, and after its temperature.
    temperature
        What the confidence was divided by in training, where it was.
    scalp
        Attention to the EEG channels.
    clocks
        Blinks in the video and in the EEG, and what they say, where that was asked for.
    """

    title: str
    timeline: Timeline
    faces: Mapping[int, Sequence[ChosenFace]] = field(default_factory=dict)
    trust: str = ""
    truth: str | None = None
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()
    reliability: tuple[Reliability, Reliability | None] | None = None
    temperature: float | None = None
    scalp: ScalpMap | None = None
    clocks: tuple[ClockTraces, str] | None = None


def evaluation_page(report: EvaluationReport) -> str:
    """Render the page of an evaluation as one string of HTML."""
    main = main_result(report.results)
    leaky = {result.protocol for result in report.results if result.leaky}
    views = [_protocol_view(result) for result in report.results]
    ladder = None
    if len(report.results) > 1:
        rungs = [(result.protocol, result.scores) for result in report.results]
        ladder = to_svg(
            figures.ladder(rungs, leaky), "ladder", "Accuracy with its interval under each protocol"
        )
    return render(
        "evaluation.html.j2",
        report=report,
        main=next(view for view in views if view["result"] is main),
        views=views,
        ladder=ladder,
        deletion=_deletion(report, main),
        reliability=_reliability(report.reliability, main),
        reading=ladder_reading([(result.protocol, result.scores) for result in report.results]),
        settings=list(flat(report.settings)),
    )


def main_result(results: Sequence[ProtocolResult]) -> ProtocolResult:
    """Give the result that is the headline: the first, unless it is LEAKY and another is not."""
    honest = [result for result in results if not result.leaky]
    return (honest or list(results))[0]


def prediction_page(report: PredictionReport) -> str:
    """Render the page of a prediction as one string of HTML."""
    data = report.timeline
    names = data.class_names
    kept = data.probabilities[~data.abstained]
    mean = kept.mean(axis=0) if len(kept) else None
    top = None if mean is None else int(mean.argmax())
    strips = list(face_strips(data, report.faces))
    return render(
        "prediction.html.j2",
        report=report,
        data=data,
        top=None if top is None else names[top],
        top_number=None if top is None else class_numbers(len(names))[top],
        top_words="" if top is None else QUADRANT_WORDS.get(names[top], ""),
        mean=[] if mean is None else list(zip(names, class_numbers(len(names)), mean, strict=True)),
        timeline_wide=to_svg(
            prediction_figures.timeline(data, 9.4), "time", "Probability of each class over time"
        ),
        timeline_narrow=to_svg(
            prediction_figures.timeline(data, 4.8), "time-s", "Probability of each class over time"
        ),
        plane=to_svg(
            prediction_figures.plane(data), "plane", "Path through the valence-arousal plane"
        )
        if set(names) == set(QUADRANT_WORDS) and len(kept)
        else None,
        strips=strips,
        scalp=None
        if report.scalp is None
        else to_svg(
            prediction_figures.scalp(report.scalp), "scalp", "Attention to each EEG channel"
        ),
        clocks=_clocks(report.clocks),
        reliability=_reliability(report.reliability),
        rows=list(segment_rows(data)),
        class_numbers=class_numbers(len(names)),
        settings=list(flat(report.settings)),
    )


def _protocol_view(result: ProtocolResult) -> dict[str, Any]:
    scores, name = result.scores, result.protocol
    tone, sentence = verdict(scores, name, result.epoch_on_test)
    what = f"under the {name} protocol"
    return {
        "result": result,
        "scores": scores,
        "protocol": name,
        "leaky": result.leaky,
        "apart": APART[name],
        "headline": headline(scores, name, result.leaky),
        "tone": tone,
        "verdict": sentence,
        "rate": scores.majority_test if math.isnan(scores.majority) else scores.majority,
        "metrics": [metric_row(scores, metric) for metric in METRICS],
        "confusion": to_svg(
            figures.stamped(
                figures.confusion(scores.confusion, scores.class_names), name, result.leaky
            ),
            f"confusion-{name}",
            f"Confusion matrix {what}",
        ),
        "participants": to_svg(
            figures.stamped(figures.participants(scores), name, result.leaky),
            f"people-{name}",
            f"Accuracy of each participant {what}",
        ),
    }


def _deletion(report: EvaluationReport, main: ProtocolResult) -> dict[str, Any] | None:
    curve = report.deletion
    if curve is None:
        return None
    area = deletion_area(curve.share, curve.chosen, curve.random)
    drawn = figures.stamped(trust_figures.deletion(curve, main.scores), main.protocol, main.leaky)
    return {
        "figure": to_svg(drawn, "deletion", "Accuracy as instances are deleted"),
        "area": area,
        "beyond": bool(np.any(curve.chosen[1:-1] < curve.random_low[1:-1])),
    }


def _reliability(
    found: tuple[Reliability, Reliability | None] | None, main: ProtocolResult | None = None
) -> Markup | None:
    if found is None:
        return None
    drawn = trust_figures.reliability(*found)
    if main is not None:
        drawn = figures.stamped(drawn, main.protocol, main.leaky)
    return to_svg(drawn, "reliability", "Confidence against the share that was right")


def _clocks(found: tuple[ClockTraces, str] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    traces, sentence = found
    what = "Blinks in the video and in the EEG"
    return {
        "sentence": sentence,
        "wide": to_svg(clock_figures.clocks(traces, 9.0), "clocks", what),
        "narrow": to_svg(clock_figures.clocks(traces, 4.8), "clocks-s", what),
    }
