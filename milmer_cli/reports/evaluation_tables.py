"""Tables of the evaluation page: other models, missing modalities, identity probes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.costs import ModelCost
from milmer_cli.evaluation.results import EEG_ONLY, FACE_ONLY, EvaluationResult, ProtocolResult
from milmer_cli.metrics import Scores
from milmer_cli.reports.text import format_count, format_p_cell, format_percent, format_seconds


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    title
        Heading of the section.
    note
        Paragraph above the table.
    header, rows
        Column names, and one sequence of cells per row.
    """

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def evaluation_tables(result: EvaluationResult) -> Iterator[Table]:
    """Yield the tables for which there are results."""
    main = result.main
    if len(main.models) > 1:
        yield _models(main)
        if len(result.protocols) > 1:
            yield _models_by_protocol(result)
    if main.conditions:
        yield _conditions(main)
    if main.missing_modality:
        yield _missing_modality(main)
    if quality := [row for row in result.quality if row.unusable_eeg or row.unusable_faces]:
        yield Table(
            "Segments of low quality",
            "The quality rule (settings `quality`) masks EEG with too many bad channels and bags "
            "with too few faces, in training, testing and prediction alike. A segment without any "
            "usable data is removed. Participants that are not listed have none.",
            ("Participant", "Segments", "EEG masked", "Faces masked", "Removed"),
            [
                (row.participant, *map(str, (row.segments, row.unusable_eeg)),
                 *map(str, (row.unusable_faces, row.removed)))
                for row in quality
            ],
        )  # fmt: skip
    if probes := list(_probe_rows(result)):
        yield Table(
            "Identity probes",
            "A linear probe (LDA) is fitted on the training set to decode the participant or the "
            "stimulus of each test segment. An accuracy far above chance means that a model can "
            "use this identity instead of the emotion.",
            ("Decoded", "from", "Protocol", "Segment level", "Chance", "Trial level"),
            probes,
        )


def _models(main: ProtocolResult) -> Table:
    return Table(
        "Other models in the same folds",
        f"{_protocol(main)}. The most accurate first. Accuracy over trials with its interval, "
        "balanced accuracy over trials, and accuracy over segments. Each model is scored on the "
        "segments that it has an input for. p: accuracy over trials against chance, permutation of "
        f"the labels of trials. Difference: accuracy of {MAIN} minus that of the other, over the "
        "trials that both have an input for. Costs are means over the folds, measured on this "
        "machine: parameters (or fitted values) and their size, seconds of a training, and of the "
        "prediction of one segment from its EEG and face images.",
        (
            *("Model", "Trial level", "Balanced", "Segment level", "p", "Trials", "Difference"),
            *("Parameters", "Size", "Training", "Prediction"),
        ),
        [
            (
                name,
                *_score_cells(scores),
                str(scores.n_trials),
                _difference(main, name),
                *_cost_cells(main.costs.get(name)),
            )
            for name, scores in main.models_by_accuracy.items()
        ],
    )


def _conditions(main: ProtocolResult) -> Table:
    return Table(
        "Accuracy by condition",
        f"{_protocol(main)}. The test predictions of {MAIN} by experimental condition, from the "
        "same trainings on all conditions that are used. p: as above.",
        ("Condition", "Trial level", "Balanced", "Segment level", "p", "Trials", "Majority class"),
        [
            (
                name,
                *_score_cells(scores),
                str(scores.n_trials),
                format_percent(scores.trial_majority.reference),
            )
            for name, scores in main.conditions.items()
        ],
    )


def _difference(main: ProtocolResult, name: str) -> str:
    """Accuracy of the main model minus that of another one, in points, with its interval."""
    found = next((row for row in main.comparisons if row.second == name), None)
    if found is None or math.isnan(found.difference):
        return "-"
    text = f"{100 * found.difference:+.1f}"
    if math.isnan(found.low):
        return text
    return f"{text} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def _cost_cells(cost: ModelCost | None) -> tuple[str, str, str, str]:
    if cost is None:
        return ("-",) * 4
    return (
        format_count(cost.n_parameters),
        format_count(cost.n_bytes, "B"),
        format_seconds(cost.training_seconds),
        format_seconds(cost.prediction_seconds),
    )


def _models_by_protocol(result: EvaluationResult) -> Table:
    return Table(
        "All models under all protocols",
        "Accuracy over trials with its interval. Compare each with the majority class under the "
        "same protocol.",
        ("Model", *(protocol.label for protocol in result.protocols)),
        [
            (
                name,
                *(
                    _accuracy(protocol.models[name]) if name in protocol.models else "not shared"
                    for protocol in result.protocols
                ),
            )
            for name in dict.fromkeys(
                n for p in (result.main, *result.protocols) for n in p.models_by_accuracy
            )
        ],
    )


def _missing_modality(main: ProtocolResult) -> Table:
    n_segments = next(iter(main.missing_modality.values())).n_segments
    return Table(
        "Effect of missing modalities",
        f"{_protocol(main)}. The same checkpoints on the same {n_segments} segments, which have "
        "all modalities. The confidence is calibrated with one temperature per set of modalities.",
        (
            *("Input", "Trial level", "Balanced", "Segment level", "p"),
            *("Calibration error", "Temperature"),
        ),
        [
            (
                name,
                *_score_cells(scores),
                format_percent(scores.segment["calibration_error"].value),
                _temperature(main, name),
            )
            for name, scores in main.missing_modality.items()
        ],
    )


def _temperature(main: ProtocolResult, condition: str) -> str:
    """Mean temperature over folds of the segments under a condition."""
    modalities = {EEG_ONLY: "eeg", FACE_ONLY: "face"}.get(condition, "both")
    values = main.temperatures.get(modalities)
    return f"{sum(values) / len(values):.2f}" if values else "not calibrated"


def _probe_rows(result: EvaluationResult) -> Iterator[tuple[str, ...]]:
    """Yield each probe once: under the main protocol, or else under another that is not LEAKY.

    Under a protocol with new participants (or stimuli) their identity cannot be decoded.
    """
    others = [p for p in result.protocols if p is not result.main and not p.leaky]
    shown = set()
    for protocol in (result.main, *others):
        for probe in protocol.probes:
            if (probe.target, probe.features) in shown:
                continue
            shown.add((probe.target, probe.features))
            yield (
                probe.target,
                probe.features,
                protocol.label,
                format_percent(probe.accuracy),
                format_percent(probe.chance_level),
                format_percent(probe.trial_accuracy),
            )


def _score_cells(scores: Scores) -> tuple[str, str, str, str]:
    return (
        _accuracy(scores),
        format_percent(scores.trial["balanced_accuracy"].value),
        format_percent(scores.accuracy.value),
        format_p_cell(scores.chance.p_value_trial),
    )


def _accuracy(scores: Scores) -> str:
    accuracy = scores.trial_accuracy
    if math.isnan(accuracy.low):
        return format_percent(accuracy.value)
    return (
        f"{format_percent(accuracy.value)} ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"
    )


def _protocol(result: ProtocolResult) -> str:
    return f"{result.protocol.capitalize()} protocol{f' ({result.marks})' if result.marks else ''}"
