from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.metrics import METRICS, resampling, score


def made(n_trials: int, per_trial: int, seed: int = 0, skill: float = 0.0):
    """Segments of a trial are all right or all wrong together."""
    random = np.random.default_rng(seed)
    trial = np.repeat(np.arange(n_trials), per_trial)
    classes = random.integers(4, size=n_trials)
    guess = np.where(random.random(n_trials) < skill, classes, random.integers(4, size=n_trials))
    probabilities = np.full((len(trial), 4), 0.1)
    probabilities[np.arange(len(trial)), guess[trial]] = 0.7
    return classes[trial], probabilities, trial


def test_bootstrap_matches_the_formula_for_a_mean_of_whole_trials():
    truth, probabilities, trial = made(200, 10, skill=0.5)
    drawn = resampling.bootstrap(truth, probabilities, trial, 4000, 0)
    right = (probabilities.argmax(axis=1) == truth)[::10]
    assert set(drawn) == set(METRICS)
    assert drawn["accuracy"].mean() == pytest.approx(right.mean(), abs=0.005)
    assert drawn["accuracy"].std() == pytest.approx(right.std() / np.sqrt(200), rel=0.05)


def test_each_resampled_score_is_that_of_the_drawn_rows():
    truth, probabilities, trial = made(12, 3, skill=0.4)
    probabilities = probabilities + np.random.default_rng(1).random(probabilities.shape) / 5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    drawn = resampling.bootstrap(truth, probabilities, trial, 20, 5)
    counts = np.random.default_rng(5).multinomial(12, np.full(12, 1 / 12), size=20)
    for number in (0, 7, 19):
        rows = np.repeat(np.arange(36), counts[number][trial])
        again = score(
            truth[rows],
            probabilities[rows],
            np.full(len(rows), "s01"),
            trial[rows],
            list("abcd"),
            resamples=2,
            permutations=2,
        )
        for name in METRICS:
            assert drawn[name][number] == pytest.approx(again.segment[name].value, abs=1e-6)


def test_intervals_cover_the_truth_as_often_as_they_say():
    inside = 0
    for seed in range(200):
        truth, probabilities, trial = made(80, 4, seed, skill=0.3)
        drawn = resampling.bootstrap(truth, probabilities, trial, 300, seed)["accuracy"]
        low, high = np.percentile(drawn, [2.5, 97.5])
        inside += low <= 0.3 + 0.7 / 4 <= high
    assert 180 <= inside <= 199  # 190 expected; binomial, 99.9 %, with the bootstrap's small bias


def test_permutation_p_is_uniform_when_nothing_is_there():
    small = 0
    for seed in range(300):
        truth, probabilities, _ = made(40, 1, seed)
        votes = np.eye(4)[probabilities.argmax(axis=1)]
        who = np.repeat([0, 1, 2, 3], 10)
        null = resampling.permuted_accuracy(truth, votes, who, 200, seed)
        found = np.mean(probabilities.argmax(axis=1) == truth)
        small += resampling.permutation_p(found, null) <= 0.1
    assert small / 300 <= 0.15


def test_shuffling_stays_within_the_participant():
    # who it is tells the class: naming it is no skill, and shuffling within people shows that
    truth = np.repeat([0, 1], 20)
    votes = np.eye(2)[truth]
    within = resampling.permuted_accuracy(truth, votes, truth, 100, 0)
    assert np.all(within == 1)
    assert resampling.permutation_p(1.0, within) == 1
    across = resampling.permuted_accuracy(truth, votes, np.zeros(40), 100, 0)
    assert resampling.permutation_p(1.0, across) == pytest.approx(1 / 101)


def test_shuffled_accuracies_have_the_mean_of_independent_labels():
    truth, votes = (
        np.array([0, 0, 0, 1]),
        np.array([[5.0, 0.0], [0.0, 5.0], [5.0, 0.0], [0.0, 5.0]]),
    )
    null = resampling.permuted_accuracy(truth, votes, np.zeros(4), 20000, 0)
    assert null.mean() == pytest.approx(0.75 * 0.5 + 0.25 * 0.5, abs=0.01)


def test_binomial_chance_by_hand():
    assert resampling.binomial_p(2, 2, 0.25) == pytest.approx(1 / 16)
    assert resampling.binomial_p(0, 5, 0.25) == 1
    low, high = resampling.binomial_band(40, 0.25, 0.95)
    assert (round(40 * low), round(40 * high)) == (5, 16)


def test_those_who_saw_the_same_clips_are_shuffled_alike():
    # four people, who all rate a clip alike and of whom a model says the same: 12 clips, not 48
    random = np.random.default_rng(0)
    clip = np.tile(np.arange(12), 4)
    who = np.repeat(np.arange(4), 12)
    truth, guess = random.integers(4, size=12)[clip], random.integers(4, size=12)[clip]
    votes = np.eye(4)[guess]
    together = resampling.permuted_accuracy(truth, votes, who, 4000, 0, clip)
    apart = resampling.permuted_accuracy(truth, votes, who, 4000, 0)
    assert together.mean() == pytest.approx(apart.mean(), abs=0.01)
    assert together.std() == pytest.approx(2 * apart.std(), rel=0.1)
    alone = resampling.permuted_accuracy(truth[:12], votes[:12], who[:12], 4000, 0)
    assert together.std() == pytest.approx(alone.std(), rel=0.1)


def test_p_is_uniform_when_clips_are_shared_and_nothing_is_there():
    small, clip, who = 0, np.tile(np.arange(16), 4), np.repeat(np.arange(4), 16)
    for seed in range(300):
        random = np.random.default_rng(seed)
        truth, guess = random.integers(4, size=16)[clip], random.integers(4, size=16)[clip]
        null = resampling.permuted_accuracy(truth, np.eye(4)[guess], who, 200, seed, clip)
        small += resampling.permutation_p(np.mean(truth == guess), null) <= 0.1
    assert small / 300 <= 0.15
