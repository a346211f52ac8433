"""Known answers of the cluster-robust standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from milmer_cli.metrics.classification import roc_auc
from milmer_cli.metrics.intervals import (
    Clusters,
    StandardError,
    combine_variances,
    mean_standard_error,
    score_standard_errors,
)
from milmer_cli.metrics.resampling import ResamplingOptions

OPTIONS = ResamplingOptions(n_bootstraps=20000)


def test_mean_standard_error_of_equal_clusters_is_that_of_their_means():
    values = np.array([0.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    cluster = np.array(["a", "a", "b", "b", "c", "c"])
    error = mean_standard_error(values, Clusters.of(participant=cluster))
    assert error.value == pytest.approx(np.std([0.5, 1.0, 0.0], ddof=1) / math.sqrt(3))
    assert error.degrees_of_freedom == 2


def test_combine_subtracts_the_intersection_and_never_falls_below_it():
    assert combine_variances([3.0, 2.0], 1.0, [10, 40]).value == pytest.approx(2.0)
    assert combine_variances([0.1, 0.1], 1.0, [10, 40]).value == pytest.approx(1.0)


def test_combine_degrees_of_freedom_follow_the_axis_that_matters():
    assert combine_variances([1.0, 1e-9], 0.0, [5, 40]).degrees_of_freedom == pytest.approx(
        4, abs=0.1
    )
    assert combine_variances([1e-9, 1.0], 0.0, [5, 40]).degrees_of_freedom == pytest.approx(
        39, abs=0.1
    )


def test_standard_error_reach_is_a_t_quantile():
    assert StandardError(0.1, 4).half_width(0.95) == pytest.approx(0.1 * 2.7764, rel=1e-4)
    assert math.isnan(StandardError(0.0, 4).half_width(0.95))


def test_mean_standard_error_of_one_cluster_is_undefined():
    error = mean_standard_error(np.array([0.0, 1.0]), Clusters.of(participant=np.array(["a", "a"])))
    assert math.isnan(error.value)


NESTED = {
    "participant": np.repeat(["a", "b", "c"], [4, 4, 6]),
    "session": np.repeat(["a1", "a2", "b1", "b2", "c1", "c2", "c3"], 2),
}


def test_clusters_along_sessions_fixes_the_participants():
    values = np.array([0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0], float)
    clusters = Clusters.along(("session",), NESTED)
    error = mean_standard_error(values, clusters)
    sums = values.reshape(-1, 2).sum(axis=1)
    variance = sum(
        len(own) * own.var(ddof=1) for own in (sums[:2], sums[2:4], sums[4:])
    )  # of a total over independent sessions, within each participant
    assert error.value == pytest.approx(math.sqrt(variance) / len(values))
    assert error.degrees_of_freedom == 7 - 3
    assert clusters.too_few == ""
    assert (
        clusters.at(np.arange(8)).too_few == "4 sessions of 2 participants, at least 6 are needed"
    )


def test_clusters_along_sessions_do_not_count_differences_between_participants():
    values = np.repeat([0.0, 1.0, 0.0], [4, 4, 6])
    assert mean_standard_error(values, Clusters.along(("session",), NESTED)).value == 0
    independent = Clusters.of(session=NESTED["session"])
    assert mean_standard_error(values, independent).value > 0.1


def test_standard_errors_over_sessions_are_those_of_their_means():
    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 96)
    probabilities = random.dirichlet(np.ones(3), 96)
    n_sessions = (2, 2, 8)  # of each participant; only the first two vary
    probabilities[32:] = np.eye(3)[truth[32:]]
    columns = {
        "participant": np.repeat(np.arange(3), 8 * np.array(n_sessions)),
        "session": np.arange(96) // 8,
    }
    clusters = Clusters.along(("session",), columns)
    found = score_standard_errors(truth, probabilities, clusters, np.zeros(96), OPTIONS)
    correct = (probabilities.argmax(axis=1) == truth).astype(float)
    assert found["accuracy"].value == pytest.approx(
        mean_standard_error(correct, clusters).value, rel=0.02
    )
    assert found["accuracy"].degrees_of_freedom == 12 - 3


def test_standard_errors_of_accuracy_and_brier_are_those_of_their_means():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 60)
    probabilities = random.dirichlet(np.ones(3), 60)
    clusters = Clusters.of(participant=np.arange(60) // 10)
    found = score_standard_errors(truth, probabilities, clusters, np.zeros(60), OPTIONS)
    correct = (probabilities.argmax(axis=1) == truth).astype(float)
    squared = ((probabilities - np.eye(3)[truth]) ** 2).sum(axis=1)
    assert found["accuracy"].value == pytest.approx(
        mean_standard_error(correct, clusters).value, rel=0.02
    )
    assert found["brier"].value == pytest.approx(
        mean_standard_error(squared, clusters).value, rel=0.02
    )


def test_standard_errors_of_auc_agree_with_the_spread_over_new_data():
    spread, estimated = [], []
    for seed in range(200):
        random = np.random.default_rng(seed)
        truth = np.repeat(random.integers(0, 2, 40), 5)
        shift = np.repeat(random.normal(0, 1, 40), 5)  # segments of a trial resemble each other
        score = 1 / (1 + np.exp(-(truth + shift + random.normal(0, 1, 200))))
        probabilities = np.stack([1 - score, score], axis=1)
        clusters = Clusters.of(participant=np.arange(200) // 5)
        spread.append(roc_auc(truth, probabilities)[1])
        estimated.append(
            score_standard_errors(
                truth, probabilities, clusters, None, ResamplingOptions(n_bootstraps=2)
            )["auc"].value
        )
    assert np.mean(estimated) == pytest.approx(np.std(spread), rel=0.2)
