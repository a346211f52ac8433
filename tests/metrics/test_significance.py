from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.significance import compare_models, holm

OPTIONS = ResamplingOptions()


def compare(first: np.ndarray, second: np.ndarray, stimulus: np.ndarray, **options):
    (result,) = compare_models(
        {"A": first, "B": second},
        Clusters.of(stimulus=stimulus),
        "A",
        ResamplingOptions(**options),
    )
    return result


def test_compare_models_is_a_paired_t_test_over_clusters():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 2, (2, 60)).astype(float)
    stimulus = np.arange(60) // 6
    result = compare(first, second, stimulus)
    per_stimulus = (first - second).reshape(10, 6).mean(axis=1)
    assert result.difference == pytest.approx(per_stimulus.mean())
    assert result.p_value == pytest.approx(stats.ttest_1samp(per_stimulus, 0).pvalue)
    expected = stats.ttest_1samp(per_stimulus, 0).confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx(tuple(expected))


def test_compare_models_equal_differences_in_all_clusters_have_no_p_value():
    first, second = np.ones(20), np.zeros(20)
    result = compare(first, second, np.arange(20) // 2)
    assert math.isnan(result.p_value)
    assert result.better == ""
    assert "cannot be compared: the difference is the same" in result.sentence


def test_compare_models_identical_predictions_have_p_1():
    correct = np.tile([0.0, 1.0], 10)
    assert compare(correct, correct, np.arange(20) // 2).p_value == 1


def test_compare_models_needs_five_clusters():
    first, second = np.random.default_rng(0).integers(0, 2, (2, 40)).astype(float)
    result = compare(first, second, np.arange(40) // 10)
    assert math.isnan(result.p_value)
    assert "4 stimuli, at least 5 are needed" in result.sentence


def test_compare_models_uses_the_trials_that_both_models_have_an_input_for():
    first, second = np.random.default_rng(0).integers(0, 2, (2, 60)).astype(float)
    stimulus = np.arange(60) // 6
    masked = np.where(np.arange(60) % 3 == 0, np.nan, second)
    result, expected = compare(first, masked, stimulus), np.arange(60) % 3 != 0
    assert result.n_trials == 40
    assert result.difference == pytest.approx((first - second)[expected].mean())


def test_compare_models_states_equality_within_the_margin():
    random = np.random.default_rng(1)
    first = random.integers(0, 2, 4000).astype(float)
    second = first.copy()
    flipped = random.choice(4000, 40, replace=False)
    second[flipped] = 1 - second[flipped]
    stimulus = np.arange(4000) % 40
    assert compare(first, second, stimulus).equal
    assert "equal within 2 points" in compare(first, second, stimulus).sentence
    assert not compare(first, second, stimulus, margin=0.001).equal


@pytest.mark.parametrize("n_folds", [2, 5])
def test_compare_models_false_positive_rate_of_equally_good_models(n_folds):
    # The folds do not enter the test: 8 trials per fold, one stimulus each.
    random, n_small, n_trials = np.random.default_rng(n_folds), 0, 8 * n_folds
    for _ in range(600):
        difficulty = random.random(n_trials)
        first, second = (random.random((2, n_trials)) < difficulty).astype(float)
        n_small += bool(compare(first, second, np.arange(n_trials)).p_value < 0.05)
    assert n_small <= 48  # expected at most 30 of 600; 99.9 % binomial interval


def test_holm_corrects_ordered_p_values_and_ignores_nan():
    adjusted = holm([0.01, np.nan, 0.04, 0.03])
    assert adjusted[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(adjusted[1])
