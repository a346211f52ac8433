from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.metrics.permutation import PermutationTest, permutation_test
from milmer_cli.metrics.resampling import ResamplingOptions

OPTIONS = ResamplingOptions(n_permutations=199)


def grid(n_participants: int, n_stimuli: int) -> tuple[np.ndarray, np.ndarray]:
    """Participant and stimulus of each trial if every participant saw every stimulus."""
    participant, stimulus = np.indices((n_participants, n_stimuli))
    return participant.ravel(), stimulus.ravel()


def run(truth: np.ndarray, predicted: np.ndarray, *columns: np.ndarray) -> PermutationTest:
    votes = np.eye(4)[predicted]
    return permutation_test(truth, votes, *columns, OPTIONS)


def correlated_classes(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Classes that depend on the participant and on the stimulus, and vary from trial to trial."""
    n_participants, n_stimuli = shape
    preference = random.normal(0, 1, (n_participants, 1, 4))
    preference = preference + random.normal(0, 1.5, (1, n_stimuli, 4))
    return (preference + random.gumbel(size=(*shape, 4))).argmax(axis=2)


def seen_pairs(shape: tuple[int, int], missing: float, random: np.random.Generator) -> np.ndarray:
    if missing == 0.5:  # every participant saw another half of the stimuli
        return np.argsort(random.random(shape), axis=1) < shape[1] // 2
    return random.random(shape) >= missing


@pytest.mark.parametrize("missing", [0.0, 0.12, 0.5])
def test_permutation_test_false_positive_rate_with_shared_stimuli(missing):
    random, shape, n_small = np.random.default_rng(0), (12, 16), 0
    for _ in range(400):
        truth, predicted = correlated_classes(shape, random), correlated_classes(shape, random)
        seen = seen_pairs(shape, missing, random)
        n_small += run(truth[seen], predicted[seen], *np.nonzero(seen)).p_value <= 0.05
    assert 8 <= n_small <= 34  # expected 20 of 400; 99.8 % binomial interval


def test_permutation_test_false_positive_rate_without_shared_stimuli():
    random, n_small = np.random.default_rng(1), 0
    for _ in range(400):
        truth, predicted = random.integers(4, size=60), random.integers(4, size=60)
        n_small += run(truth, predicted, np.arange(60) // 12, np.arange(60)).p_value <= 0.05
    assert 8 <= n_small <= 34


def test_permutation_test_of_correct_predictions_is_as_small_as_possible():
    truth = np.random.default_rng(0).integers(0, 4, 72)
    result = run(truth, truth, *grid(6, 12))
    assert result.p_value == pytest.approx(1 / 200)
    assert result.low < 0.25 < result.high


def test_permutation_test_does_not_reward_the_majority_class_of_a_participant():
    # Each participant always reports one class, and the model answers with it.
    participant, stimulus = grid(4, 10)
    result = run(participant, participant, participant, stimulus)
    assert np.isnan(result.p_value)
    assert "too few different arrangements" in result.undefined


def test_permutation_test_is_undefined_with_five_trials_of_four_participants():
    truth = np.array([0, 1, 2, 3, 0])
    participant = np.array([0, 1, 2, 3, 3])
    result = run(truth, np.array([0, 1, 2, 3, 1]), participant, np.arange(5))
    assert np.isnan(result.p_value)
    assert "5 test trials" in result.undefined


def test_permutation_test_counts_a_repeated_stimulus_once_per_presentation():
    participant, stimulus = np.repeat(np.arange(6), 12), np.tile(np.repeat(np.arange(6), 2), 6)
    truth = np.random.default_rng(0).integers(0, 4, 72)
    assert run(truth, truth, participant, stimulus).p_value == pytest.approx(1 / 200)
