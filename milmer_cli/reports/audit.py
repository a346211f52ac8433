"""The page of an audit. The layout is in ``templates/audit.html.j2``."""

from __future__ import annotations

from collections.abc import Iterator

from milmer_cli.audit.leaks import DESCRIPTIONS
from milmer_cli.audit.result import AuditResult
from milmer_cli.formats import FORMATS
from milmer_cli.metrics import METRICS
from milmer_cli.metrics.results import interval_note
from milmer_cli.metrics.significance import strongest
from milmer_cli.reports.html import render, split_settings
from milmer_cli.reports.plots import calibration as calibration_plots
from milmer_cli.reports.plots import evaluation as plots
from milmer_cli.reports.plots.style import to_svg
from milmer_cli.reports.text import metric_row


def audit_page(result: AuditResult) -> str:
    """Render the page of an audit as one string of HTML."""
    scores = result.scores
    reliability = None
    if result.reliability is not None:
        figure = calibration_plots.plot_reliability_diagram(result.reliability, None)
        reliability = to_svg(
            figure, "reliability", "Reliability diagram: accuracy against confidence"
        )
    return render(
        "audit.html.j2",
        title=result.path.name,
        result=result,
        scores=scores,
        interval_note=interval_note(scores),
        descriptions=DESCRIPTIONS,
        best=strongest(result.comparisons),
        tone=_tone(result),
        metrics=[
            metric_row(scores, name)
            for name in METRICS
            if result.reliability or name not in ("auc", "brier", "calibration_error")
        ],
        confusion=to_svg(
            plots.plot_confusion_matrix(scores.trial_confusion, scores.class_names, "true class"),
            "confusion",
            "Confusion matrix of trials",
        ),
        participants=to_svg(
            plots.plot_participant_accuracies(scores),
            "participants",
            "Accuracy of each participant",
        ),
        reliability=reliability,
        **split_settings({}),
        facts=list(_facts(result)),
    )


def _tone(result: AuditResult) -> str:
    """Color of the verdict: amber if a baseline that uses only identities is as good."""
    if result.leaky:
        return "bad"
    as_good = any(found.better != found.first for found in result.comparisons)
    return "warning" if as_good else "neutral"


def _facts(result: AuditResult) -> Iterator[tuple[str, str]]:
    options = result.scores.resampling
    yield "table", result.path.name
    yield "format of audit.json", str(FORMATS["audit"].version)
    yield "permutations", str(options.n_permutations)
    yield "bootstrap samples", str(options.n_bootstraps)
    yield "seed", str(options.seed)
