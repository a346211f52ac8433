from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.evaluation.classifiers import (
    CLASSIFIERS,
    calibration_splits,
    fit_classifier,
    predict_lda,
)


def separable(n=90, n_features=6):
    """Three classes in groups of three rows."""
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(3), n // 3)
    features = random.normal(size=(n, n_features))
    features[:, 0] += 12 * truth
    return features, truth, np.arange(n) // 3


def covariances(n=90, n_channels=4):
    """Equal variances; only the correlation of two channels depends on the class."""
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(3), n // 3)
    values = np.empty((n, n_channels, n_channels))
    for row, label in enumerate(truth):
        true = np.eye(n_channels)
        true[0, 1] = true[1, 0] = 0.7 * (label - 1)
        samples = random.multivariate_normal(np.zeros(n_channels), true, size=128)
        values[row] = np.cov(samples.T)
    return values, truth, np.arange(n) // 3


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_fit_classifier_predicts_separable_classes(name):
    if "tangent" in name:
        pytest.importorskip("pyriemann")
    features, truth, groups = covariances() if "tangent" in name else separable()
    train, test = np.arange(0, 90, 2), np.arange(1, 90, 2)
    fitted = fit_classifier(name, features[train], truth[train], groups[train], 4)
    probabilities = fitted.predict(features[test])
    assert probabilities.shape == (45, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities[:, 3] == 0).all()
    assert np.mean(probabilities.argmax(axis=1) == truth[test]) > 0.8
    assert sum(values.size for values in fitted.arrays) > features[0].size


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_fit_classifier_ignores_training_rows_without_features(name):
    if "tangent" in name:
        pytest.importorskip("pyriemann")
    features, truth, groups = covariances() if "tangent" in name else separable()
    with_nan = np.concatenate([features, np.full_like(features[:2], np.nan)])
    first = fit_classifier(name, features, truth, groups, 3)
    second = fit_classifier(name, with_nan, np.append(truth, [0, 0]), np.append(groups, [0, 0]), 3)
    for one, other in zip(first.arrays, second.arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(second.predict(with_nan[-1:]), [[1 / 3, 1 / 3, 1 / 3]])


def test_calibration_splits_keep_groups_together():
    _, truth, groups = separable()
    splits = calibration_splits(truth, groups)
    assert len(splits) == 3
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert set(truth[train]) == {0, 1, 2}
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in splits])), range(90))


def test_calibration_splits_with_a_class_in_one_group():
    (split,) = calibration_splits(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 2, 2]))
    np.testing.assert_array_equal(split[0], split[1])
    features = np.random.default_rng(0).normal(size=(5, 2))
    targets, groups = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 2, 2])
    fitted = fit_classifier("SVM", features, targets, groups, 2)
    np.testing.assert_allclose(fitted.predict(features).sum(axis=1), 1)


def test_predict_lda_is_fitted_on_the_training_set_only():
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 40)
    features = random.normal(size=(120, 6))
    features[:, 0] += 6 * truth
    train, test = np.arange(0, 120, 2), np.arange(1, 120, 2)
    probabilities = predict_lda(features, truth, train, test, 3)
    assert np.mean(probabilities.argmax(axis=1) == truth[test]) > 0.95
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    changed = features.copy()
    changed[test] = 1e6  # must not change means, deviations or directions
    again = predict_lda(np.vstack([changed, features]), np.tile(truth, 2), train, test + 120, 3)
    np.testing.assert_array_equal(probabilities, again)


def test_predict_lda_without_features_predicts_class_frequencies():
    features = np.array([[0.0], [0.1], [5.0], [np.nan], [np.nan]])
    truth = np.array([0, 0, 1, 1, 0])
    probabilities = predict_lda(features, truth, np.arange(4), np.array([4]), 2)
    np.testing.assert_allclose(probabilities, [[2 / 3, 1 / 3]])
    with pytest.raises(MilmerError, match="expected at least 2 classes in the training set, got 1"):
        predict_lda(features, truth, np.array([0, 1, 3]), np.array([2]), 2)


def test_fit_classifier_rejects_empty_features():
    with pytest.raises(MilmerError, match="no frequency band is within the passband"):
        fit_classifier("LDA", np.zeros((4, 0)), np.array([0, 0, 1, 1]), np.arange(4), 2)
