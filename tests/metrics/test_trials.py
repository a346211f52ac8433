from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.metrics.trials import Trials


def test_trials_mean_is_within_each_repeat():
    trials = Trials.of(np.array(["b", "a", "b", "b"]), np.array([0, 0, 0, 1]))
    values = np.array([[1.0, 0.0], [0.2, 0.8], [0.0, 1.0], [0.3, 0.7]])
    assert trials.first.tolist() == [1, 0, 3]
    assert trials.mean(values) == pytest.approx(np.array([[0.2, 0.8], [0.5, 0.5], [0.3, 0.7]]))


def test_trials_correct_is_nan_without_a_row():
    trials = Trials.of(np.array([0, 0, 1, 1]), np.zeros(4))
    truth = np.array([0, 0, 1, 1])
    # One wrong segment outweighs a correct one; it is left out by the mask.
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.5, 0.5], [0.2, 0.8]])
    assert trials.correct(truth, probabilities).tolist() == [0, 1]
    mask = np.array([True, False, False, False])
    assert trials.correct(truth, probabilities, mask) == pytest.approx([1, np.nan], nan_ok=True)
