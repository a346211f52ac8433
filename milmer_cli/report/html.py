"""One self-contained page a result: no script, no network, readable on a phone and on paper.

The functions take plain values and `Scores`; what a page says is decided here, how it looks in
``templates/``.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from PIL import Image

from milmer_cli.metrics import METRICS, Scores, format_p, headline
from milmer_cli.report import figures, prediction_figures
from milmer_cli.report.prediction_figures import Timeline
from milmer_cli.report.theme import class_numbers, to_svg

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Protocol

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "kappa": "Cohen's kappa",
    "auc": "AUC, one against the rest",
    "brier": "Brier score (lower is better)",
    "calibration_error": "Calibration error (lower is better)",
}
SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "calibration_error")
"""Scores shown in percent."""

QUADRANT_WORDS = {
    "HAHV": "high arousal, high valence",
    "LAHV": "low arousal, high valence",
    "LALV": "low arousal, low valence",
    "HALV": "high arousal, low valence",
}
APART = {
    "segment": "Training and test hold pieces of the same trials.",
    "trial": "Tested on trials that training did not see, of participants and clips that it did.",
    "participant": "Tested on participants that training did not see, with clips that it did.",
    "stimulus": "Tested on clips that training did not see, of participants that it did.",
    "participant-stimulus": "Tested on participants and clips of which training saw neither.",
}
"""What a protocol keeps apart, in words."""

MOST_STRIPS = 60
"""Segments whose faces a page shows; of a longer recording, this many evenly spaced."""

FACE_SIDE = 96
"""Side of a face on the page, in pixels."""


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
    """Scores under one protocol, with the folds that they come from."""

    protocol: Protocol
    scores: Scores
    folds: Sequence[FoldRow] = ()


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
    """

    title: str
    results: Sequence[ProtocolResult]
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, eq=False)
class ChosenFace:
    """A face that the model kept: (height, width, 3) uint8 RGB, and its share of the attention."""

    image: np.ndarray
    weight: float


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
        For each segment the chosen faces; empty for one without, empty altogether without video.
    trust
        The line that says how good the model was where it was tested: `metrics.headline` of its
        evaluation, or a sentence that it was never tested.
    truth
        Class that the participant's ratings give, where known.
    notes, settings, facts
        As in `EvaluationReport`.
    """

    title: str
    timeline: Timeline
    faces: Sequence[Sequence[ChosenFace]] = ()
    trust: str = ""
    truth: str | None = None
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()


def evaluation_page(report: EvaluationReport) -> str:
    """Render the page of an evaluation as one string of HTML."""
    honest = [result for result in report.results if result.protocol != "segment"]
    main = (honest or list(report.results))[0]
    ladder = None
    if len(report.results) > 1:
        rungs = [(result.protocol, result.scores) for result in report.results]
        ladder = to_svg(
            figures.ladder(rungs), "ladder", "Accuracy with its interval under each protocol"
        )
    return _render(
        "evaluation.html.j2",
        report=report,
        main=_protocol_view(main),
        views=[_protocol_view(result) for result in report.results],
        ladder=ladder,
        reading=ladder_reading(report.results),
        settings=list(_flat(report.settings)),
    )


def prediction_page(report: PredictionReport) -> str:
    """Render the page of a prediction as one string of HTML."""
    data = report.timeline
    names = data.class_names
    kept = data.probabilities[~data.abstained]
    mean = kept.mean(axis=0) if len(kept) else None
    top = None if mean is None else int(mean.argmax())
    strips = list(_strips(report))
    return _render(
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
        if len(names) == 4 and len(kept)
        else None,
        strips=strips,
        strips_left_out=(len(report.faces) - len(strips)) if report.faces else 0,
        rows=list(_rows(data)),
        class_numbers=class_numbers(len(names)),
        settings=list(_flat(report.settings)),
    )


def write_page(path: Path, page: str) -> None:
    """Write a page to ``path``, whole or not at all."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(page, encoding="utf-8")
    aside.replace(path)


def verdict(scores: Scores, protocol: Protocol) -> tuple[str, str]:
    """Say in words what a result shows: (``good``, ``plain`` or ``bad``, a sentence)."""
    found = scores.segment["accuracy"]
    rate = scores.majority_test if math.isnan(scores.majority) else scores.majority
    if protocol == "segment":
        return "bad", (
            "LEAKY: pieces of the same trial are in training and in test. This number says how "
            "well trials are remembered, and nothing about new recordings."
        )
    if scores.chance.p >= 0.05:
        return "plain", (
            f"Not shown to be better than chance ({format_p(scores.chance.p)}, labels shuffled by "
            "trial within participant)."
        )
    if math.isnan(found.low) or found.low <= rate:
        return "plain", (
            "Better than shuffled labels, but not shown to be better than always naming the "
            f"commonest class of the training part ({100 * rate:.1f} %)."
        )
    return "good", (
        "Better than shuffled labels, and than always naming the commonest class of the training "
        "part."
    )


def ladder_reading(results: Sequence[ProtocolResult]) -> list[str]:
    """Say how much of the leaky number is leak, for each stricter protocol beside it."""
    by_name = {result.protocol: result.scores for result in results}
    if "segment" not in by_name:
        return []
    leaky = by_name["segment"].segment["accuracy"].value
    lines = []
    for name, scores in by_name.items():
        if name == "segment":
            continue
        value = scores.segment["accuracy"].value
        line = (
            f"From segment to {name}: {100 * leaky:.1f} % falls to {100 * value:.1f} %."
            if value < leaky
            else f"From segment to {name}: {100 * leaky:.1f} % does not fall ({100 * value:.1f} %)."
        )
        if value < leaky and scores.chance.p >= 0.05:
            line += " Nothing above chance is left: what the segment protocol shows is leak."
        lines.append(line)
    return lines


def _protocol_view(result: ProtocolResult) -> dict[str, Any]:
    scores, name = result.scores, result.protocol
    tone, sentence = verdict(scores, name)
    what = f"under the {name} protocol"
    return {
        "result": result,
        "scores": scores,
        "protocol": name,
        "apart": APART[name],
        "headline": headline(scores, name),
        "tone": tone,
        "verdict": sentence,
        "rate": scores.majority_test if math.isnan(scores.majority) else scores.majority,
        "metrics": [_metric_row(scores, metric) for metric in METRICS],
        "confusion": to_svg(
            figures.confusion(scores.confusion, scores.class_names),
            f"confusion-{name}",
            f"Confusion matrix {what}",
        ),
        "participants": to_svg(
            figures.participants(scores), f"people-{name}", f"Accuracy of each participant {what}"
        ),
    }


def _metric_row(scores: Scores, name: str) -> dict[str, str]:
    n_classes = len(scores.class_names)
    guess = {
        "accuracy": f"{100 * scores.chance.low:.1f} to {100 * scores.chance.high:.1f} %",
        "balanced_accuracy": f"{100 / n_classes:.1f} %",
        "kappa": "0",
        "auc": "0.500",
        "brier": f"{1 - 1 / n_classes:.3f}",
    }
    row = {"name": METRIC_NAMES[name], "chance": guess.get(name, "")}
    for level in ("segment", "trial"):
        found = getattr(scores, level)[name]
        scale, digits = (100, 1) if name in SHARES else (1, 3)
        unit = " %" if name in SHARES else ""
        row[level] = _number(found.value * scale, digits) + (
            unit if not math.isnan(found.value) else ""
        )
        row[f"{level}_interval"] = (
            ""
            if math.isnan(found.low)
            else f"{_number(found.low * scale, digits)} to {_number(found.high * scale, digits)}"
        )
    return row


def _strips(report: PredictionReport) -> Iterator[dict[str, Any]]:
    data, numbers = report.timeline, class_numbers(len(report.timeline.class_names))
    shown = min(len(report.faces), MOST_STRIPS)
    if not shown:
        return
    for row in np.unique(np.linspace(0, len(report.faces) - 1, shown).round().astype(int)):
        predicted = int(data.predicted[row])
        heaviest = max((face.weight for face in report.faces[row]), default=1.0) or 1.0
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
                for face in report.faces[row]
            ],
        }


def _rows(data: Timeline) -> Iterator[dict[str, Any]]:
    numbers = class_numbers(len(data.class_names))
    for row in range(len(data.onset)):
        predicted = int(data.predicted[row])
        yield {
            "span": _span(data, row),
            "name": "abstained" if predicted < 0 else data.class_names[predicted],
            "number": None if predicted < 0 else numbers[predicted],
            "probabilities": data.probabilities[row].tolist(),
            "faces": None if data.faces_found is None else float(data.faces_found[row]),
            "eeg": None if data.eeg_found is None else bool(data.eeg_found[row]),
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


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", str(value)


def _number(value: float, digits: int) -> str:
    return "undefined" if math.isnan(value) else f"{value:.{digits}f}"


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{100 * value:.1f} %"


def _render(template: str, **values: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("milmer_cli.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, number=_number, p=format_p)
    return environment.get_template(template).render(**values)
