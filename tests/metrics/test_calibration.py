from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import softmax

from milmer_cli.errors import MilmerError
from milmer_cli.json_files import json_text
from milmer_cli.metrics.calibration import (
    N_BINS,
    TEMPERATURE_RANGE,
    ReliabilityDiagram,
    apply_temperature,
    confidence_bins,
    fit_temperature,
    negative_log_likelihood,
    reliability_diagram,
)

EMPTY = np.array([], dtype=int)


def simulate(temperature: float, n: int = 20000, seed: int = 0):
    """Logits, and labels drawn from softmax(logits / temperature)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, size=(n, 4))
    cumulative = softmax(logits / temperature, axis=1).cumsum(axis=1)
    return (random.random((n, 1)) > cumulative).sum(axis=1).clip(0, 3), logits


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_fit_temperature_recovers_the_true_temperature(temperature):
    truth, logits = simulate(temperature)
    assert fit_temperature(truth, logits) == pytest.approx(temperature, rel=0.03)


def test_fit_temperature_calibrates_without_changing_predictions():
    truth, logits = simulate(3.0)
    temperature = fit_temperature(truth, logits)
    before, after = apply_temperature(logits, 1.0), apply_temperature(logits, temperature)
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert after.sum(axis=1) == pytest.approx(1)
    assert reliability_diagram(truth, before).error > 0.15
    assert reliability_diagram(truth, after).error < 0.02


def test_fit_temperature_accepts_log_probabilities():
    truth, logits = simulate(2.0, n=500)
    temperature = fit_temperature(truth, np.log(softmax(logits, axis=1)))
    assert temperature == pytest.approx(fit_temperature(truth, logits), rel=1e-4)


def test_fit_temperature_never_increases_the_loss_and_stays_in_range():
    for seed in range(20):
        truth, logits = simulate(1.0, n=5, seed=seed)
        temperature = fit_temperature(truth, logits)
        loss = negative_log_likelihood(truth, logits, temperature)
        assert loss <= negative_log_likelihood(truth, logits) + 1e-12
    separated = np.eye(4)[[0, 1, 2, 3]] * 5
    assert TEMPERATURE_RANGE[0] <= fit_temperature(np.arange(4), separated) < 1


def test_fit_temperature_rejects_invalid_logits():
    with pytest.raises(MilmerError, match="at least one prediction"):
        fit_temperature(EMPTY, np.zeros((0, 4)))
    with pytest.raises(MilmerError, match="1 values not finite"):
        fit_temperature(np.array([0]), np.array([[np.nan, 0.0]]))


def test_negative_log_likelihood_known_answer():
    assert negative_log_likelihood(np.array([0]), np.zeros((1, 4))) == pytest.approx(np.log(4))
    logits = np.array([[np.log(9.0), 0.0]])
    assert negative_log_likelihood(np.array([0]), logits) == pytest.approx(-np.log(0.9))
    assert negative_log_likelihood(np.array([0]), logits, 2.0) == pytest.approx(-np.log(0.75))


def test_confidence_bins_known_answer():
    probabilities = np.array([[0.95, 0.05], [0.45, 0.55], [1.0, 0.0]])
    bins, confidence, correct = confidence_bins(np.array([0, 0, 0]), probabilities)
    assert bins.tolist() == [9, 5, N_BINS - 1]
    assert confidence.tolist() == [0.95, 0.55, 1.0]
    assert correct.tolist() == [1.0, 0.0, 1.0]


def test_reliability_diagram_known_answer():
    probabilities = np.array([[0.95, 0.05]] * 4 + [[0.55, 0.45]] * 4)
    diagram = reliability_diagram(np.array([0, 0, 1, 1, 0, 0, 0, 1]), probabilities)
    assert diagram.count.tolist() == [0, 0, 0, 0, 0, 4, 0, 0, 0, 4]
    assert diagram.confidence[[5, 9]] == pytest.approx([0.55, 0.95])
    assert diagram.accuracy[[5, 9]] == pytest.approx([0.75, 0.5])
    assert diagram.error == pytest.approx((0.2 + 0.45) / 2)


def test_reliability_diagram_json_round_trip():
    diagram = reliability_diagram(*simulate(1.0, n=3)[:1], np.eye(4)[[0, 1, 2]])
    values = json.loads(json_text(diagram))
    assert values["accuracy"][0] is None
    restored = ReliabilityDiagram.from_json(values)
    np.testing.assert_array_equal(restored.accuracy, diagram.accuracy)
    np.testing.assert_array_equal(restored.count, diagram.count)
    assert restored.error == diagram.error


def test_reliability_diagram_needs_predictions():
    with pytest.raises(MilmerError, match="at least one prediction"):
        reliability_diagram(EMPTY, np.zeros((0, 4)))
