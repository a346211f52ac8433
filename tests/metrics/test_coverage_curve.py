import numpy as np
import pytest

from milmer_cli.metrics.coverage_curve import coverage_curve
from milmer_cli.metrics.intervals import Clusters


def predictions(confidence, correct, truth=None):
    """Two classes; the predicted class has the given confidence."""
    confidence = np.asarray(confidence, float)
    truth = np.zeros(len(confidence), int) if truth is None else np.asarray(truth)
    predicted = np.where(correct, truth, 1 - truth)
    probabilities = np.stack([1 - confidence, confidence], 1)
    probabilities[predicted == 0] = probabilities[predicted == 0][:, ::-1]
    return truth, probabilities


def clusters(n, n_clusters=10):
    return Clusters.of(stimulus=np.arange(n) % n_clusters)


def test_coverage_curve_is_the_accuracy_of_the_most_confident():
    confidence = np.linspace(0.99, 0.6, 100)
    truth, probabilities = predictions(confidence, np.arange(100) < 50, np.arange(100) % 2)
    order = np.random.default_rng(0).permutation(100)
    curve = coverage_curve(truth[order], probabilities[order], clusters(100), 0.95)
    np.testing.assert_allclose(curve.coverage, np.arange(1, 11) / 10)
    expected = [1, 1, 1, 1, 1, 5 / 6, 5 / 7, 5 / 8, 5 / 9, 0.5]
    np.testing.assert_allclose(curve.accuracy, expected)
    np.testing.assert_allclose(curve.majority_rate, 0.5)


def test_coverage_curve_keeps_equal_confidences_together():
    truth, probabilities = predictions([0.9] * 30 + [0.7] * 70, [True] * 100)
    curve = coverage_curve(truth, probabilities, clusters(100), 0.95)
    np.testing.assert_allclose(curve.coverage, [0.3, 1.0])
    constant = coverage_curve(*predictions([0.8] * 4, [True, True, True, False]), clusters(4), 0.95)
    assert (constant.coverage.tolist(), constant.accuracy.tolist()) == ([1.0], [0.75])


def test_coverage_curve_interval_is_that_of_the_cluster_means():
    """Equal clusters: Student's t interval of the means of 8 clusters."""
    correct = np.repeat([1, 1, 0, 1, 0, 1, 1, 1], 5).astype(bool)
    truth, probabilities = predictions([0.8] * 40, correct)
    by_cluster = Clusters.of(stimulus=np.repeat(np.arange(8), 5))
    curve = coverage_curve(truth, probabilities, by_cluster, 0.95)
    half_width = 2.3646 * np.std([1, 1, 0, 1, 0, 1, 1, 1], ddof=1) / np.sqrt(8)
    assert curve.low[0] == pytest.approx(0.75 - half_width, abs=1e-4)
    assert curve.high[0] == 1.0
    few = coverage_curve(truth, probabilities, Clusters.of(stimulus=np.arange(40) % 4), 0.95)
    assert np.isnan(few.low).all()
