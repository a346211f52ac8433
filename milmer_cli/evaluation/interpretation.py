"""Interpretation of scores in words: the verdict, and the comparison of protocols."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from milmer_cli.evaluation.baselines import CATALOG, WITHOUT_NETWORK
from milmer_cli.metrics import Scores, format_p
from milmer_cli.metrics.shortcuts import IDENTITIES
from milmer_cli.metrics.significance import Comparison, strongest
from milmer_cli.settings.schema import Protocol

SIMPLE_BASELINES = (*WITHOUT_NETWORK, *IDENTITIES.values())
"""Baselines that train no network: a useful model is better than all of them."""
NETWORK_BASELINES = frozenset(baseline.title for baseline in CATALOG) - {*WITHOUT_NETWORK}
Tone = Literal["good", "warning", "neutral", "bad"]
"""Better than chance and every simple baseline; a simple baseline is as good; no conclusion or not
above chance; LEAKY."""


def best_baseline(comparisons: Sequence[Comparison]) -> Comparison | None:
    """Return the comparison with the most accurate simple baseline; None without any."""
    return strongest([found for found in comparisons if found.second in SIMPLE_BASELINES])


def interpret_scores(
    scores: Scores,
    protocol: Protocol,
    comparisons: Sequence[Comparison] = (),
    epoch_selected_on_test: bool = False,
) -> tuple[Tone, str]:
    """State in one or two sentences what the accuracy shows.

    The same comparisons decide here, in the table of models and on the terminal.

    Parameters
    ----------
    scores
        Scores under the protocol.
    protocol
        What the training and test sets do not share.
    comparisons
        The model compared with the others; those with a simple baseline count.
    epoch_selected_on_test
        Whether the test set selected the epoch.
    """
    if protocol == "segment":
        also = " The epoch was selected on the test set as well." if epoch_selected_on_test else ""
        return "bad", (
            "LEAKY: segments of the same trial are in the training set and in the test set. The "
            "accuracy shows how well trials are memorized and nothing about new recordings." + also
        )
    if epoch_selected_on_test:
        return "bad", (
            "LEAKY: the epoch was selected on the test set. The accuracy is too high for new "
            "recordings."
        )
    if scores.too_few_trials:
        return "neutral", f"No conclusion: {scores.too_few_trials}."
    p_value = scores.chance.p_value_trial
    if math.isnan(p_value):
        return "neutral", f"Not comparable with chance: {scores.undefined['p_value_trial']}."
    if not scores.above_chance:
        return "neutral", (
            f"Not significantly above chance ({format_p(p_value)}, permutation of the labels of "
            "trials)."
        )
    above = f"Above chance ({format_p(p_value)})"
    simple = [found for found in comparisons if found.second in SIMPLE_BASELINES]
    if best := strongest([found for found in simple if found.better != found.first]):
        if best.undefined:
            return "warning", f"{above}, but not compared with the best baseline: {best.sentence}"
        as_good = "better" if best.better else "as good"
        return "warning", f"{above}, but a baseline is {as_good}: {best.sentence}"
    if not simple:
        return "neutral", f"{above}; not compared with a baseline."
    better_than = f"{above}, and better than {', '.join(found.second for found in simple)}."
    others = [found for found in comparisons if found.second in NETWORK_BASELINES]
    others = [found for found in others if found.better != found.first]
    if best := strongest([found for found in others if found.better == found.second]):
        return "warning", f"{better_than} But {best.second} is better: {best.sentence}"
    if others:
        better_than += f" No difference is shown to {', '.join(found.second for found in others)}."
    return "good", better_than


def interpret_ladder(scores: Mapping[Protocol, Scores]) -> list[str]:
    """State how the accuracy over trials changes from leaky to strict protocols.

    Parameters
    ----------
    scores
        Scores of one model by protocol.

    Returns
    -------
    list of str
        Sentences; empty if nothing can be compared.
    """
    sentences = []
    if "segment" in scores:
        leaky = scores["segment"].trial_accuracy.value
        above_chance = scores["segment"].above_chance
        for protocol, strict in scores.items():
            if protocol == "segment":
                continue
            value = strict.trial_accuracy.value
            change = "drops to" if value < leaky else "does not drop:"
            sentence = (
                f"From segment to {protocol}: {100 * leaky:.1f} % {change} {100 * value:.1f} %."
            )
            if above_chance and value < leaky and not strict.above_chance:
                sentence += (
                    " Nothing remains above chance: the accuracy under the segment protocol is a "
                    "leak."
                )
            sentences.append(sentence)
    return sentences + _interpret_stimulus(scores)


def _interpret_stimulus(scores: Mapping[Protocol, Scores]) -> list[str]:
    """Detect a model that recognizes stimuli: above chance only if the stimuli are shared."""
    if "stimulus" not in scores or scores["stimulus"].above_chance:
        return []
    protocols: tuple[Protocol, ...] = ("trial", "session", "participant")
    above = [p for p in protocols if p in scores and scores[p].above_chance]
    if not above:
        return []
    return [
        f"Above chance under the {' and the '.join(above)} protocol, but not under the stimulus "
        "protocol: nothing remains for stimuli that are not in the training set. The model may "
        "recognize the stimulus instead of the emotion."
    ]
