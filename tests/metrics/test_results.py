from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from milmer_cli.metrics import (
    MajorityRates,
    ResamplingOptions,
    Scores,
    SegmentPredictions,
    format_p,
    headline,
    score,
)
from milmer_cli.metrics.resampling import MIN_TEST_TRIALS

LINE = (
    "accuracy 41.7 % [33.1, 50.2] (trial level, 95 % interval over stimuli), "
    "38.2 % at segment level, majority class 27.1 % (of the participant 30.0 %), chance 50 %, "
    "p = 0.012; "
)
SAME_PARTICIPANTS = "generalizes to new trials with new stimuli of the same participants"


@pytest.fixture(scope="module")
def scores() -> Scores:
    truth = np.arange(24) % 2
    predictions = SegmentPredictions(
        truth, np.eye(2)[truth], np.arange(24) % 6, np.arange(24), ("low", "high")
    )
    scores = score(predictions, ResamplingOptions(n_bootstraps=20, n_permutations=20))
    estimate = replace(scores.accuracy, value=0.417, low=0.331, high=0.502)
    return replace(
        scores,
        segment={**scores.segment, "accuracy": replace(estimate, value=0.382)},
        trial={**scores.trial, "accuracy": estimate},
        trial_majority=MajorityRates(0.271, 0.3, math.nan, 0.26),
        chance=replace(scores.chance, p_value=0.5, p_value_trial=0.012),
    )


def test_headline_has_protocol_interval_majority_rates_p_value_and_scope(scores):
    assert headline(scores, "trial") == f"trial protocol: {LINE}{SAME_PARTICIPANTS}"


def test_headline_marks_leaky_results(scores):
    segment, trial = headline(scores, "segment"), headline(scores, "trial", leaky=True)
    assert f"protocol (LEAKY): {LINE}generalizes to nobody: segments" in segment
    assert f"protocol (LEAKY): {LINE}generalizes to nobody: the test set was used" in trial


def test_headline_names_the_sampled_axes(scores):
    options = replace(scores.resampling, axes=("participant", "stimulus"), confidence_level=0.9)
    line = headline(replace(scores, resampling=options), "participant-stimulus")
    assert "(trial level, 90 % interval over participants and stimuli)" in line


def test_headline_without_interval(scores):
    estimate = replace(scores.trial_accuracy, low=math.nan, high=math.nan)
    changed = replace(scores, trial={**scores.trial, "accuracy": estimate})
    assert "no interval" in headline(changed, "trial")


def test_headline_states_why_the_p_value_is_undefined(scores):
    changed = replace(
        scores,
        chance=replace(scores.chance, p_value_trial=math.nan),
        undefined={"p_value_trial": "too few arrangements"},
    )
    assert "p undefined (too few arrangements); generalizes" in headline(changed, "trial")


def test_headline_has_no_accuracy_with_too_few_test_trials():
    truth = np.arange(MIN_TEST_TRIALS) % 4
    predicted = truth.copy()
    predicted[0] = 1
    few, enough = (
        score(
            SegmentPredictions(
                truth[:n], np.eye(4)[predicted[:n]], np.zeros(n), np.arange(n), tuple("abcd")
            ),
            ResamplingOptions(n_bootstraps=20, n_permutations=20),
        )
        for n in (MIN_TEST_TRIALS - 1, MIN_TEST_TRIALS)
    )
    line = headline(few, "trial")
    assert line == (
        "trial protocol: 12 of 13 test trials correct (no accuracy: at least 14 test trials are "
        "needed); majority class 30.8 %, chance 25 %"
    )
    assert not few.above_chance
    assert "accuracy 92.9 %" in headline(enough, "trial")


def test_min_test_trials_is_the_fewest_that_tell_twice_the_chance_level_from_chance():
    p_values = {n: stats.binom.sf(n // 2 - 1, n, 0.25) for n in (12, MIN_TEST_TRIALS)}
    assert p_values == pytest.approx({12: 0.054, 14: 0.038}, abs=0.001)


def test_format_p():
    texts = [format_p(p_value) for p_value in (0.0005, 0.012, math.nan)]
    assert texts == ["p < 0.001", "p = 0.012", "p undefined"]
