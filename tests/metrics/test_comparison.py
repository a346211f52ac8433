from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from milmer_cli.errors import MilmerError
from milmer_cli.metrics.comparison import compare, corrected_t_test, deletion_area, holm


def test_without_shared_training_data_it_is_the_paired_t_test():
    differences = np.array([0.02, 0.05, -0.01, 0.04, 0.03])
    mean, low, high, p = corrected_t_test(differences, test_share=0.0)
    wanted = stats.ttest_1samp(differences, 0)
    interval = wanted.confidence_interval(0.95)
    assert (mean, p) == pytest.approx((differences.mean(), wanted.pvalue))
    assert (low, high) == pytest.approx((interval.low, interval.high))


def test_correction_worked_out_by_hand():
    # differences 1 2 3: mean 2, variance 1; 3 folds, test 1/2 of training: error^2 = 1/3 + 1/2
    mean, low, high, p = corrected_t_test(np.array([1.0, 2.0, 3.0]), test_share=0.5)
    error = math.sqrt(5 / 6)
    assert mean == 2
    assert p == pytest.approx(2 * stats.t.sf(2 / error, 2))
    assert high - mean == pytest.approx(4.302653 * error, rel=1e-6)
    assert mean - low == pytest.approx(high - mean)


def test_it_keeps_its_level_where_the_plain_test_does_not():
    # differences of K-fold CV share a part through their training data: correlation 1/K
    random = np.random.default_rng(0)
    k, plain, corrected = 10, 0, 0
    for _ in range(2000):
        shared = random.normal(0, math.sqrt(1 / k))
        differences = shared + random.normal(0, math.sqrt(1 - 1 / k), size=k)
        plain += stats.ttest_1samp(differences, 0).pvalue < 0.05
        corrected += corrected_t_test(differences, 1 / (k - 1))[3] < 0.05
    assert corrected / 2000 <= 0.06
    assert plain / 2000 >= 0.10


def test_extremes():
    assert corrected_t_test(np.zeros(5), 0.25) == (0, 0, 0, 1.0)
    assert corrected_t_test(np.full(5, 0.1), 0.25)[3] == 0
    mean, low, _, p = corrected_t_test(np.array([0.3]), 0.25)
    assert mean == 0.3
    assert math.isnan(low)
    assert math.isnan(p)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([np.nan, 0.02]) == pytest.approx([np.nan, 0.02], nan_ok=True)


def test_pairs_or_a_reference():
    random = np.random.default_rng(1)
    noise = random.normal(0, 0.01, size=10)
    scores = {
        "both": 0.5 + noise,
        "eeg": 0.3 + noise + random.normal(0, 0.01, 10),
        "face": 0.5 + noise + random.normal(0, 0.01, 10),
    }
    every = compare(scores, 1 / 9)
    assert [(c.first, c.second) for c in every] == [
        ("both", "eeg"),
        ("both", "face"),
        ("eeg", "face"),
    ]
    assert every[0].difference == pytest.approx(np.mean(scores["both"] - scores["eeg"]))
    assert every[0].sentence().startswith("both is better than eeg (p < 0.001 ")
    assert every[2].sentence().startswith("face is better than eeg")
    assert "No difference between both and face is shown" in every[1].sentence()
    against = compare(scores, 1 / 9, reference="both")
    assert [(c.first, c.second) for c in against] == [("eeg", "both"), ("face", "both")]
    assert against[0].p_holm == pytest.approx(2 * against[0].p)


def test_folds_without_a_score_are_left_out_of_a_pair():
    found = compare({"a": np.array([0.5, np.nan, 0.7]), "b": np.array([0.4, 0.1, 0.5])}, 0.5)[0]
    assert found.folds == 2
    assert found.difference == pytest.approx(0.15)
    lonely = compare({"a": np.array([0.5]), "b": np.array([0.4])}, 0.5)[0]
    assert "cannot be compared on 1 folds" in lonely.sentence()
    with pytest.raises(MilmerError, match="different folds"):
        compare({"a": np.zeros(3), "b": np.zeros(2)}, 0.5)
    with pytest.raises(MilmerError, match="no model c"):
        compare({"a": np.zeros(3), "b": np.zeros(3)}, 0.5, reference="c")


def test_deletion_area_by_hand():
    share = np.array([0.0, 0.5, 1.0])
    found = deletion_area(share, np.array([0.6, 0.2, 0.2]), np.array([0.6, 0.6, 0.2]))
    assert found == pytest.approx(0.2)
    assert deletion_area(share, np.array([0.6, 0.4, 0.2]), np.array([0.6, 0.4, 0.2])) == 0
