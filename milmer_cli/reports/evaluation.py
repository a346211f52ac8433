"""The page of an evaluation. The layout is in ``templates/evaluation.html.j2``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from milmer_cli.data.labels import class_names
from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.results import EvaluationResult, ProtocolResult
from milmer_cli.metrics import METRICS
from milmer_cli.metrics.results import generalizes_to, interval_note
from milmer_cli.reports.evaluation_tables import evaluation_tables
from milmer_cli.reports.html import render, split_settings
from milmer_cli.reports.plots import calibration as calibration_plots
from milmer_cli.reports.plots import evaluation as plots
from milmer_cli.reports.plots.style import add_protocol_title, to_svg
from milmer_cli.reports.text import PROTOCOL_DESCRIPTIONS, metric_row

RATED, LABELED = "rated by the participant", "label of the trial"
"""Axis labels of true classes that follow from ratings, and of those that the data set states."""


def evaluation_page(result: EvaluationResult) -> str:
    """Render the page of an evaluation as one string of HTML."""
    main = result.main
    views = [_protocol_view(protocol) for protocol in result.protocols]
    interpretations = result.interpretations
    return render(
        "evaluation.html.j2",
        title=f"Evaluation of {result.title}",
        main=next(view for view in views if view["result"] is main),
        views=views,
        notes=list(_notes(result)),
        ladder=_ladder(result) if len(views) > 1 else None,
        evaluation_verdict=result.verdict,
        interpretation=interpretations.pop(MAIN),
        other_interpretations=interpretations,
        comparisons=main.comparisons,
        tables=list(evaluation_tables(result)),
        deletion=main.deletion,
        diagnostic_notes=_diagnostic_notes(main),
        **_diagnostic_figures(main),
        electrodes=main.electrodes,
        **split_settings(result.settings.model_dump(mode="json")),
        facts=list(_facts(result)),
    )


def confusion_figure(result: ProtocolResult) -> Figure:
    """Plot the confusion matrix of the main model under a protocol."""
    scores = result.scores
    names = tuple(scores.class_names)
    of_ratings = (class_names(target) for target in ("quadrant", "valence", "arousal"))
    truth = RATED if names in of_ratings else LABELED
    figure = plots.plot_confusion_matrix(scores.trial_confusion, names, truth)
    return add_protocol_title(figure, result.protocol, result.leaky, result.transductive)


def ladder_figure(result: EvaluationResult) -> Figure:
    """Plot the accuracy of the main model under every protocol."""
    marks: dict[str, str] = {p.protocol: p.marks for p in result.protocols if p.marks}
    return plots.plot_protocol_ladder([(p.protocol, p.scores) for p in result.protocols], marks)


def _protocol_view(result: ProtocolResult) -> dict[str, Any]:
    scores, protocol = result.scores, result.protocol
    tone, conclusion = result.conclusion
    participants = add_protocol_title(
        plots.plot_participant_accuracies(scores), protocol, result.leaky, result.transductive
    )
    return {
        "result": result,
        "scores": scores,
        "protocol": protocol,
        "marks": result.marks,
        "description": PROTOCOL_DESCRIPTIONS[protocol],
        "interval_note": interval_note(scores),
        "generalizes_to": generalizes_to(protocol, result.leaky, result.transductive),
        "tone": tone,
        "conclusion": conclusion,
        "best": result.best_baseline,
        "metrics": [metric_row(scores, metric) for metric in METRICS],
        "adaptation": _adaptation(result),
        "confusion": to_svg(
            confusion_figure(result),
            f"confusion-{protocol}",
            f"Confusion matrix of trials under the {protocol} protocol",
        ),
        "participants": to_svg(
            participants,
            f"participants-{protocol}",
            f"Accuracy over trials of each participant under the {protocol} protocol",
        ),
    }


def _adaptation(result: ProtocolResult) -> Markup | None:
    """Plot the accuracy against the number of calibration trials; None without any."""
    if result.adaptation is None:
        return None
    figure = add_protocol_title(
        calibration_plots.plot_adaptation(result.adaptation),
        result.protocol,
        result.leaky,
        result.transductive,
    )
    title = "Accuracy against the number of labeled trials of a new participant"
    return to_svg(figure, f"adaptation-{result.protocol}", title)


def _ladder(result: EvaluationResult) -> Markup:
    figure = ladder_figure(result)
    return to_svg(figure, "ladder", "Accuracy over trials with its interval under each protocol")


def _diagnostic_figures(main: ProtocolResult) -> dict[str, Markup | None]:
    """Plot the diagnostics of the main model, by their names in the template; None without data."""
    names = ("deletion", "electrodes", "reliability", "coverage")
    figures: dict[str, tuple[Figure, str]] = {}
    if main.deletion is not None:
        figure = calibration_plots.plot_deletion_curve(main.deletion, main.scores)
        figures["deletion"] = figure, "Accuracy after removing faces"
    if main.electrodes is not None:
        figure = calibration_plots.plot_missing_electrodes(main.electrodes, main.scores)
        figures["electrodes"] = figure, "Accuracy against the number of missing electrodes"
    if main.reliability is not None:
        figure = calibration_plots.plot_reliability_diagram(*main.reliability)
        figures["reliability"] = figure, "Reliability diagram: accuracy against confidence"
    if main.coverage is not None:
        figure = calibration_plots.plot_coverage_curve(main.coverage)
        figures["coverage"] = figure, "Accuracy against the share of predicted segments"
    views: dict[str, Markup | None] = dict.fromkeys(f"{name}_figure" for name in names)
    for name, (figure, title) in figures.items():
        titled = add_protocol_title(figure, main.protocol, main.leaky, main.transductive)
        views[f"{name}_figure"] = to_svg(titled, f"{name}-curve", title)
    return views


def _diagnostic_notes(main: ProtocolResult) -> str:
    """State that the calibration was measured on too few segments; empty if it was not."""
    before, _ = main.reliability or (None, None)
    return before.too_few if before else ""


def _notes(result: EvaluationResult) -> Iterator[str]:
    if result.run is not None:
        yield "Test performance of a trained run on its own test set; no model was trained."
    if stores := result.provenance.get("cross_dataset"):
        yield (
            f"CROSS-DATASET: trained on {stores['train_on']} only, and tested once on all of "
            f"{stores['test_on']}. Participants with the same name are different people."
        )
    if result.main.epoch_selected_on_test:
        yield (
            "LEAKY: the epoch was selected on the test set, as in the published code. All numbers "
            "on this page are too high."
        )
    if result.main.transductive:
        yield (
            "TRANSDUCTIVE: the EEG of the test set was used without its labels. The result applies "
            "to a new participant only when a recording of this participant is available."
        )
    if result.noise_floor is not None:
        yield result.noise_floor.sentence
    if result.left_out:
        reasons = "; ".join(f"{title} {reason}" for title, reason in result.left_out.items())
        yield f"Baselines that are left out: {reasons}."
    if result.settings.evaluate.per_participant:
        yield "A separate model was trained for each participant."
    if result.n_excluded:
        no_class = "no rating, a dropped tie"
        if result.settings.data.target == "label":
            no_class = "no label"
        yield (
            f"{result.n_excluded} of {result.n_segments} segments were excluded: {no_class}, or no "
            "usable data of the model's modalities."
        )


def _facts(result: EvaluationResult) -> Iterator[tuple[str, str]]:
    provenance = result.provenance
    if stores := provenance.get("cross_dataset"):
        yield "trained on", stores["train_on"]
        yield "tested on", stores["test_on"]
    else:
        yield "store", provenance["store"]
    yield "fingerprint of the store", provenance["store_fingerprint"]
    yield "fingerprint of the segments", provenance["segments_fingerprint"]
    if result.run is not None:
        yield "run", str(result.run)
    if splits := provenance.get("splits"):
        yield "splits", f"{splits['name']} (SHA-256 {splits['sha256']})"
    yield "device", provenance["device"]
    yield "seeds", ", ".join(map(str, provenance["seeds"]))
    yield from provenance["versions"].items()
