"""Texts of the pages: names of metrics and protocols, and formatting of numbers."""

from __future__ import annotations

import math

from milmer_cli.metrics import Scores, format_p

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "kappa": "Cohen's kappa",
    "auc": "ROC AUC, one against the rest",
    "brier": "Brier score (lower is better)",
    "calibration_error": "Expected calibration error (lower is better)",
}
IN_PERCENT = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "calibration_error")
"""Metrics that are shown in percent."""

QUADRANT_WORDS = {
    "HAHV": "high arousal, high valence",
    "LAHV": "low arousal, high valence",
    "LALV": "low arousal, low valence",
    "HALV": "high arousal, low valence",
}
PROTOCOL_DESCRIPTIONS = {
    "segment": "The training and test sets contain segments of the same trials.",
    "trial": ("Test trials are not in the training set, but their participants and stimuli are."),
    "session": (
        "Test recording sessions are not in the training set, but other sessions of their "
        "participants are."
    ),
    "participant": (
        "Test participants are not in the training set, but the stimuli that they watched are."
    ),
    "stimulus": (
        "Test stimuli are not in the training set, but the participants who watched them are."
    ),
    "participant-stimulus": (
        "Neither the test participants nor the test stimuli are in the training set."
    ),
    "cross-dataset": (
        "The model is trained on one data set and tested on another one: other participants, "
        "stimuli and recordings."
    ),
}


def metric_row(scores: Scores, metric: str) -> dict[str, str]:
    """Return the table cells of a metric: name, values and intervals, chance level."""
    n_classes = len(scores.class_names)
    chance = {
        "accuracy": f"{100 / n_classes:.1f} %",
        "balanced_accuracy": f"{100 / n_classes:.1f} %",
        "kappa": "0",
        "auc": "0.500",
        "brier": f"{1 - 1 / n_classes:.3f}",
    }
    row = {"name": METRIC_NAMES[metric], "chance": chance.get(metric, "")}
    scale, digits, unit = (100, 1, " %") if metric in IN_PERCENT else (1, 3, "")
    for level, estimates in (("segment", scores.segment), ("trial", scores.trial)):
        estimate = estimates[metric]
        value, low, high = (
            format_number(x * scale, digits) for x in (estimate.value, estimate.low, estimate.high)
        )
        row[level] = value if math.isnan(estimate.value) else value + unit
        row[f"{level}_interval"] = "" if math.isnan(estimate.low) else f"{low} to {high}"
    return row


def format_interval(low: float, high: float) -> str:
    """Format bounds of rates: ``33.1 to 50.2 %``; empty if undefined."""
    return "" if math.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f} %"


def format_number(value: float, digits: int) -> str:
    """Format a number; NaN is shown as "undefined"."""
    return "undefined" if math.isnan(value) else f"{value:.{digits}f}"


def format_percent(value: float) -> str:
    """Format a rate in percent; NaN is shown as "undefined"."""
    return "undefined" if math.isnan(value) else f"{100 * value:.1f} %"


def format_count(value: float, unit: str = "") -> str:
    """Format a number with a prefix: ``27.5 M``, ``110 MB``; 0 is shown as a dash."""
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.0f} {unit}".strip() if value else "-"


def format_seconds(value: float) -> str:
    """Format a duration: ``12 ms``, ``4.1 s``, ``3.2 min`` or ``1.5 h``; 0 is shown as a dash."""
    for unit, factor, limit in (("ms", 1e-3, 1), ("s", 1, 100), ("min", 60, 6000)):
        if value < limit:
            return f"{value / factor:.2g} {unit}" if value else "-"
    return f"{value / 3600:.2g} h"


def format_p_cell(p_value: float) -> str:
    """Format a p-value for a table with the header "p": ``0.012`` or ``< 0.001``."""
    return format_p(p_value).removeprefix("p ").removeprefix("= ")
