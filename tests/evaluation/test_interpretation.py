from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from milmer_cli.evaluation.interpretation import best_baseline, interpret_ladder, interpret_scores
from milmer_cli.metrics import ResamplingOptions, SegmentPredictions, score
from milmer_cli.metrics.significance import Comparison


@pytest.fixture(scope="module")
def make_scores():
    """``make_scores(accuracy, p_value)``."""
    truth = np.arange(24) % 2
    predictions = SegmentPredictions(
        truth, np.eye(2)[truth], np.full(24, "s01"), np.arange(24), ("low", "high")
    )
    base = score(predictions, ResamplingOptions(n_bootstraps=20, n_permutations=20))

    def make(accuracy: float, p_value: float):
        estimate = replace(base.trial_accuracy, value=accuracy)
        return replace(
            base,
            trial={**base.trial, "accuracy": estimate},
            chance=replace(base.chance, p_value_trial=p_value),
            undefined={"p_value_trial": "too few trials"} if math.isnan(p_value) else {},
        )

    return make


def compare(name: str, difference: float, p_value: float) -> Comparison:
    return Comparison("Milmer", name, 100, difference, 0.0, 0.1, p_value, p_value, 1.0, 0.02)


BEATEN = [compare("majority class", 0.2, 0.001), compare("band power + LDA", 0.1, 0.01)]
BETTER = [compare("majority class", 0.2, 0.001), compare("band power + LDA", -0.156, 0.01)]
FUSION_AS_GOOD = [*BEATEN, compare("late fusion (mean)", -0.03, 0.3), compare("mlp", 0.0, 0.9)]
FUSION_BETTER = [*BEATEN, compare("late fusion (mean)", -0.1, 0.01)]
AS_GOOD = [compare("majority class", 0.2, 0.001), compare("stimulus identity", -0.1, 0.3)]
UNDEFINED = [replace(compare("majority class", -0.1, math.nan), undefined="3 participants")]


@pytest.mark.parametrize(
    ("protocol", "p_value", "comparisons", "tone", "words"),
    [
        ("segment", 0.001, BEATEN, "bad", "LEAKY"),
        ("trial", 0.2, BEATEN, "neutral", "Not significantly above chance (p = 0.200"),
        ("trial", math.nan, BEATEN, "neutral", "Not comparable with chance: too few trials."),
        ("trial", 0.01, AS_GOOD, "warning", "a baseline is as good: No difference between Milmer"),
        ("trial", 0.01, BETTER, "warning", "a baseline is better: band power + LDA is better than"),
        (
            "cross-dataset",
            0.01,
            UNDEFINED,
            "warning",
            "Above chance (p = 0.010), but not compared with the best baseline: Milmer and maj",
        ),
        ("trial", 0.01, [], "neutral", "not compared with a baseline"),
        ("participant", 0.01, BEATEN, "good", "better than majority class, band power + LDA."),
        (
            "trial",
            0.01,
            FUSION_AS_GOOD,
            "good",
            "LDA. No difference is shown to late fusion (mean).",
        ),
        ("trial", 0.01, FUSION_BETTER, "warning", "But late fusion (mean) is better"),
    ],
)
def test_interpret_scores(make_scores, protocol, p_value, comparisons, tone, words):
    found = interpret_scores(make_scores(0.5, p_value), protocol, comparisons)
    assert found[0] == tone
    assert words in found[1]


def test_interpret_scores_has_no_conclusion_from_too_few_trials(make_scores):
    found = interpret_scores(replace(make_scores(0.9, 0.001), n_trials=13), "trial", BEATEN)
    assert found == (
        "neutral",
        "No conclusion: 13 test trials, at least 14 are needed for an accuracy.",
    )


def test_best_baseline_is_the_most_accurate_one_that_trains_no_network():
    network = compare("EEG only", -0.5, 0.001)
    assert best_baseline([network, *BETTER]).second == "band power + LDA"
    assert best_baseline([network]) is None


def test_interpret_scores_with_the_epoch_selected_on_the_test_set(make_scores):
    scores = make_scores(0.5, 0.01)
    tone, text = interpret_scores(scores, "trial", epoch_selected_on_test=True)
    assert tone == "bad"
    assert text.startswith("LEAKY: the epoch was selected on the test set.")
    _, text = interpret_scores(scores, "segment", epoch_selected_on_test=True)
    assert "segments of the same trial" in text
    assert "selected on the test set as well" in text


def test_interpret_ladder_detects_a_leak(make_scores):
    leaky, chance, real = (
        make_scores(0.95, 0.001),
        make_scores(0.26, 0.4),
        make_scores(0.6, 0.001),
    )
    (sentence,) = interpret_ladder({"segment": leaky, "trial": chance})
    assert "95.0 % drops to 26.0 %" in sentence
    assert "the accuracy under the segment protocol is a leak" in sentence
    (sentence,) = interpret_ladder({"segment": make_scores(0.3, 0.3), "trial": chance})
    assert "leak" not in sentence
    (sentence,) = interpret_ladder({"segment": leaky, "trial": real})
    assert "leak" not in sentence
    (sentence,) = interpret_ladder({"segment": chance, "trial": real})
    assert "26.0 % does not drop: 60.0 %" in sentence


def test_interpret_ladder_detects_stimulus_recognition(make_scores):
    above, chance = make_scores(0.6, 0.001), make_scores(0.26, 0.4)
    (sentence,) = interpret_ladder({"trial": above, "participant": chance, "stimulus": chance})
    assert sentence.startswith("Above chance under the trial protocol, but not under the stimulus")
    assert interpret_ladder({"trial": above, "stimulus": above}) == []
    assert interpret_ladder({"trial": above, "participant": chance}) == []
