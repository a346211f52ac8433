"""What the pages say in words and figures: names of scores, verdicts, readings of the ladder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from milmer_cli.metrics import Scores, format_p

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


def verdict(scores: Scores, protocol: Protocol, epoch_on_test: bool = False) -> tuple[str, str]:
    """Say in words what a result shows: (``good``, ``plain`` or ``bad``, a sentence)."""
    found = scores.segment["accuracy"]
    rate = scores.majority_test if math.isnan(scores.majority) else scores.majority
    chosen = (
        "the epoch was chosen on the test part itself, so the best of many looks is shown"
        if epoch_on_test
        else ""
    )
    if protocol == "segment":
        also = f" And {chosen}." if chosen else ""
        return "bad", (
            "LEAKY: pieces of the same trial are in training and in test. This number says how "
            f"well trials are remembered, and nothing about new recordings.{also}"
        )
    if chosen:
        return "bad", f"LEAKY: {chosen}. It says too much about new recordings."
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


def ladder_reading(results: Sequence[tuple[Protocol, Scores]]) -> list[str]:
    """Say how much of the leaky number is leak, for each stricter protocol beside it."""
    by_name = dict(results)
    if "segment" not in by_name:
        return _clip_reading(by_name)
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
    return lines + _clip_reading(by_name)


def _clip_reading(by_name: dict[Protocol, Scores]) -> list[str]:
    """Say so when a model knows clips and not emotions: only unseen clips bring it to chance."""
    if "stimulus" not in by_name or by_name["stimulus"].chance.p < 0.05:
        return []
    known = [
        name
        for name in ("trial", "participant")
        if name in by_name and by_name[name].chance.p < 0.05
    ]
    if not known:
        return []
    return [
        f"Above chance by {' and by '.join(known)}, not by stimulus: with clips that training did "
        "not see nothing is left. The model may read which clip is playing, not the emotion."
    ]


def metric_row(scores: Scores, name: str) -> dict[str, str]:
    """Give the cells of a score: name, values and intervals over segments and trials, chance."""
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
        row[level] = number(found.value * scale, digits) + (
            unit if not math.isnan(found.value) else ""
        )
        row[f"{level}_interval"] = (
            ""
            if math.isnan(found.low)
            else f"{number(found.low * scale, digits)} to {number(found.high * scale, digits)}"
        )
    return row


def number(value: float, digits: int) -> str:
    """Write a number, or that it is undefined."""
    return "undefined" if math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """Write a share in percent, or that it is undefined."""
    return "undefined" if math.isnan(value) else f"{100 * value:.1f} %"
