from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from milmer_cli.data.split_file import ProtocolFolds
from milmer_cli.data.splits import make_folds
from milmer_cli.errors import InputError, SettingsError
from milmer_cli.evaluation.adaptation import (
    TrainedClassifier,
    adapt_to_participants,
    draw_trials,
    require_calibration_trials,
)
from milmer_cli.evaluation.folds import EvaluationFold
from milmer_cli.settings import load_settings

N_TRIALS = (0, 1, 2, 4, 8)


def classifier_of(labeled, fold, shifted: bool, seed: int = 0) -> TrainedClassifier:
    """Features from which the classes can be read; each participant may permute the classes."""
    rng = np.random.default_rng(seed)
    number = np.unique(labeled.segments.participant, return_inverse=True)[1]
    state = (labeled.labels + (1 + number % 3) * shifted) % 4
    features = 3 * np.eye(4)[state] + 0.5 * rng.normal(size=(len(state), 4))
    features = np.column_stack([features, rng.normal(size=(len(state), 4))])
    probabilities = 0.1 + 0.6 * np.eye(4)[state]
    return TrainedClassifier(features, probabilities[fold.validation], probabilities[fold.test])


@pytest.fixture(scope="module")
def fold_of(make_labeled):
    labeled = make_labeled(10, 20, 2)
    folds = make_folds(labeled, "participant", 5, 0.25, 0)
    return labeled, EvaluationFold("participant", 0, 1, "1", folds[0])


def accuracies(labeled, fold, adapted) -> np.ndarray:
    kept = np.isfinite(adapted[0]).all(axis=1)
    return (adapted[:, kept].argmax(-1) == labeled.labels[fold.fold.test[kept]]).mean(axis=1)


def test_adaptation_learns_the_classes_of_each_participant(fold_of):
    labeled, _ = fold_of
    found = []
    for number, sets in enumerate(make_folds(labeled, "participant", 5, 0.25, 0)):
        fold = EvaluationFold("participant", 0, number + 1, "", sets)
        trained = classifier_of(labeled, sets, shifted=True)
        adapted = adapt_to_participants(labeled, fold, trained, N_TRIALS)
        found.append(accuracies(labeled, fold, adapted))
    curve = np.mean(found, axis=0)
    assert curve[0] == 0
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] > 0.9


def test_adaptation_with_0_trials_is_the_trained_classifier_on_the_same_rows(fold_of):
    labeled, fold = fold_of
    trained = classifier_of(labeled, fold.fold, shifted=True)
    adapted = adapt_to_participants(labeled, fold, trained, N_TRIALS)
    kept = np.isfinite(adapted).all(axis=2)
    assert (kept == kept[0]).all()
    np.testing.assert_array_equal(adapted[0][kept[0]], trained.test[kept[0]])
    trials = labeled.segments.trial_id[fold.fold.test]
    assert len(np.unique(trials[kept[0]])) == 2 * (20 - 8)
    assert not set(trials[kept[0]]) & set(trials[~kept[0]])


def test_adaptation_keeps_a_classifier_that_is_right(fold_of):
    labeled, fold = fold_of
    trained = classifier_of(labeled, fold.fold, shifted=False)
    found = accuracies(labeled, fold, adapt_to_participants(labeled, fold, trained, N_TRIALS))
    assert (found == 1).all()


def test_adaptation_predicts_each_tested_segment_independently(fold_of):
    labeled, fold = fold_of
    trained = classifier_of(labeled, fold.fold, shifted=True)
    adapted = adapt_to_participants(labeled, fold, trained, N_TRIALS)
    kept = np.flatnonzero(np.isfinite(adapted[0]).all(axis=1))
    features, test = trained.features.copy(), trained.test.copy()
    features[fold.fold.test[kept[:5]]] = 1e6
    test[kept[:5]] = 0.25
    poisoned = dataclasses.replace(trained, features=features, test=test)
    again = adapt_to_participants(labeled, fold, poisoned, N_TRIALS)
    np.testing.assert_array_equal(again[:, kept[5:]], adapted[:, kept[5:]])
    assert not np.array_equal(again[:, kept[:5]], adapted[:, kept[:5]])


def test_adaptation_leaves_out_participants_with_too_few_trials(fold_of):
    labeled, fold = fold_of
    trained = classifier_of(labeled, fold.fold, shifted=True)
    names = labeled.segments.participant[fold.fold.test]
    few = (names == names[0]) & (labeled.segments.trial[fold.fold.test] > 8)
    fold = dataclasses.replace(fold, fold=dataclasses.replace(fold.fold, test=fold.fold.test[~few]))
    trained = dataclasses.replace(trained, test=trained.test[~few])
    adapted = adapt_to_participants(labeled, fold, trained, N_TRIALS)
    kept = np.isfinite(adapted[0]).all(axis=1)
    assert set(names[~few][kept]) == set(names) - {names[0]}


def test_adaptation_keeps_segments_without_features(fold_of):
    labeled, fold = fold_of
    trained = classifier_of(labeled, fold.fold, shifted=True)
    features = trained.features.copy()
    features[fold.fold.test[::3]] = np.nan
    features[fold.fold.train[::3]] = np.nan
    trained = dataclasses.replace(trained, features=features)
    adapted = adapt_to_participants(labeled, fold, trained, N_TRIALS)
    kept = np.isfinite(adapted[0]).all(axis=1)
    without = kept & np.isnan(features[fold.fold.test]).any(axis=1)
    assert without.any()
    np.testing.assert_array_equal(adapted[-1][without], trained.test[without])


def test_draw_trials_balances_the_classes():
    classes = np.array([0] * 10 + [1] * 3 + [3] * 7)
    for seed in range(5):
        drawn = classes[draw_trials(classes, np.random.default_rng(seed))]
        assert sorted(drawn) == sorted(classes)
        assert sorted(drawn[:3]) == sorted(drawn[3:6]) == [0, 1, 3]
    first = {draw_trials(classes, np.random.default_rng(seed))[0] for seed in range(20)}
    assert len(first) > 3


def test_require_calibration_trials_needs_new_participants_with_more_trials(make_labeled):
    labeled = make_labeled(4, 6, 2)
    by_trial, by_participant = (
        ProtocolFolds(protocol, 0, tuple(make_folds(labeled, protocol, 2, 0.5, 0)))
        for protocol in ("trial", "participant")
    )
    require_calibration_trials(labeled, [by_trial], ())
    require_calibration_trials(labeled, [by_trial, by_participant], (0, 5))
    with pytest.raises(InputError, match="expected a protocol that tests new participants"):
        require_calibration_trials(labeled, [by_trial], (0, 1))
    with pytest.raises(InputError, match=r"--calibration-trials 6: .*got at most 6"):
        require_calibration_trials(labeled, [by_participant], (0, 6))


@pytest.mark.parametrize("given", ["8,1", "[1,8]", "'0,8,1'", "['1','8,8']"])
def test_calibration_trials_are_sorted_from_0(given):
    settings = load_settings(overrides=[f"evaluate.calibration_trials={given}"])
    assert settings.evaluate.calibration_trials == (0, 1, 8)


@pytest.mark.parametrize("given", ["-1", "one", "1.5"])
def test_calibration_trials_are_whole_numbers(given):
    with pytest.raises(SettingsError, match="calibration_trials"):
        load_settings(overrides=[f"evaluate.calibration_trials={given}"])
