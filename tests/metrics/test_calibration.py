from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import softmax

from milmer_cli.errors import MilmerError
from milmer_cli.metrics.calibration import (
    COLDEST,
    apply_temperature,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)


def drawn(temperature: float, n: int = 20000, seed: int = 0):
    """Labels drawn from softmax(logits / temperature): that temperature is the right one."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, size=(n, 4))
    cumulative = softmax(logits / temperature, axis=1).cumsum(axis=1)
    return (random.random((n, 1)) > cumulative).sum(axis=1).clip(0, 3), logits


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_the_temperature_the_labels_were_drawn_with(temperature):
    truth, logits = drawn(temperature)
    assert fit_temperature(truth, logits) == pytest.approx(temperature, rel=0.03)


def test_calibrates_without_changing_an_answer():
    truth, logits = drawn(3.0)
    temperature = fit_temperature(truth, logits)
    before, after = apply_temperature(logits, 1.0), apply_temperature(logits, temperature)
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert after.sum(axis=1) == pytest.approx(1)
    assert reliability(truth, before).error > 0.15
    assert reliability(truth, after).error < 0.02


def test_log_probabilities_do_as_well_as_logits():
    truth, logits = drawn(2.0, n=500)
    found = fit_temperature(truth, np.log(softmax(logits, axis=1)))
    assert found == pytest.approx(fit_temperature(truth, logits), rel=1e-4)


def test_never_worse_than_none_and_never_out_of_range():
    for seed in range(20):
        truth, logits = drawn(1.0, n=5, seed=seed)
        temperature = fit_temperature(truth, logits)
        fitted = negative_log_likelihood(truth, logits, temperature)
        assert fitted <= negative_log_likelihood(truth, logits) + 1e-12
    perfect = np.eye(4)[[0, 1, 2, 3]] * 5
    assert COLDEST <= fit_temperature(np.arange(4), perfect) < 1


def test_likelihood_by_hand():
    assert negative_log_likelihood(np.array([0]), np.zeros((1, 4))) == pytest.approx(np.log(4))
    logits = np.array([[np.log(9.0), 0.0]])
    assert negative_log_likelihood(np.array([0]), logits) == pytest.approx(-np.log(0.9))
    assert negative_log_likelihood(np.array([0]), logits, 2.0) == pytest.approx(-np.log(0.75))


def test_reliability_by_hand():
    probabilities = np.array([[0.95, 0.05]] * 4 + [[0.55, 0.45]] * 4)
    found = reliability(np.array([0, 0, 1, 1, 0, 0, 0, 1]), probabilities)
    assert found.count.tolist() == [0, 0, 0, 0, 0, 4, 0, 0, 0, 4]
    assert found.confidence[[5, 9]] == pytest.approx([0.55, 0.95])
    assert found.right[[5, 9]] == pytest.approx([0.75, 0.5])
    assert found.error == pytest.approx((0.2 + 0.45) / 2)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["right"][0] is None


def test_nothing_to_fit_on_is_said():
    with pytest.raises(MilmerError, match="at least one prediction"):
        fit_temperature(np.array([], dtype=int), np.zeros((0, 4)))
    with pytest.raises(MilmerError, match="finite"):
        fit_temperature(np.array([0]), np.array([[np.nan, 0.0]]))
    with pytest.raises(MilmerError, match="no prediction"):
        reliability(np.array([], dtype=int), np.zeros((0, 4)))
