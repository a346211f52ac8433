from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from milmer_cli.metrics.classification import (
    brier_losses,
    confusion_matrix,
    confusion_scores,
    majority_class,
    per_class_scores,
    roc_auc,
    roc_auc_left_out,
)


@pytest.fixture(scope="module")
def predictions():
    random = np.random.default_rng(3)
    truth = random.choice(4, size=400, p=[0.4, 0.3, 0.2, 0.1])
    probabilities = random.dirichlet(np.ones(4), size=400)
    probabilities[np.arange(400), truth] += 0.2
    return truth, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_majority_class():
    assert majority_class(np.array([2, 0, 2, 1])) == 2
    assert majority_class(np.array([1, 0, 0, 1])) == 0


def test_confusion_scores_known_answer():
    # truth 0 0 0 1, predicted 0 0 1 1
    scores = confusion_scores(confusion_matrix(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2))
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert scores["weighted_f1"] == pytest.approx((3 * 4 / 5 + 2 / 3) / 4)
    assert scores["kappa"] == pytest.approx((0.75 - 0.5) / 0.5)  # expected: 3/4 1/2 + 1/4 1/2


def test_confusion_scores_agree_with_scikit_learn(predictions):
    truth, probabilities = predictions
    predicted = probabilities.argmax(axis=1)
    scores = confusion_scores(confusion_matrix(truth, predicted, 4))
    assert scores["balanced_accuracy"] == pytest.approx(
        reference.balanced_accuracy_score(truth, predicted)
    )
    assert scores["kappa"] == pytest.approx(reference.cohen_kappa_score(truth, predicted))
    for average in ("macro", "weighted"):
        expected = reference.f1_score(truth, predicted, average=average)
        assert scores[f"{average}_f1"] == pytest.approx(expected)


def test_per_class_scores_agree_with_scikit_learn(predictions):
    truth, probabilities = predictions
    predicted = probabilities.argmax(axis=1)
    scores = per_class_scores(confusion_matrix(truth, predicted, 4))
    expected = reference.precision_recall_fscore_support(truth, predicted)
    for name, column in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert scores[name] == pytest.approx(column)


@pytest.mark.parametrize("digits", [16, 1])
def test_roc_auc_agrees_with_scikit_learn_also_with_ties(predictions, digits):
    truth, probabilities = predictions
    values = probabilities.round(digits)
    expected = [reference.roc_auc_score(truth == k, values[:, k]) for k in range(4)]
    assert roc_auc(truth, values) == pytest.approx(expected)


def test_roc_auc_is_the_mean_over_folds_weighted_by_size(predictions):
    truth, probabilities = predictions
    fold = np.repeat([0, 1], [100, 300])
    first, second = (
        roc_auc(truth[fold == index], probabilities[fold == index]) for index in (0, 1)
    )
    found = roc_auc(truth, probabilities, fold)
    assert found == pytest.approx((100 * first + 300 * second) / 400)


def test_roc_auc_left_out_equals_the_auc_of_the_other_rows(predictions):
    truth, probabilities = predictions
    values, cluster, fold = probabilities.round(1), np.arange(400) % 7, np.arange(400) // 150
    found = roc_auc_left_out(truth, values, cluster, 7, fold)
    for index in range(7):
        rest = cluster != index
        assert found[index] == pytest.approx(roc_auc(truth[rest], values[rest], fold[rest]))


def test_brier_losses_known_answer():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert brier_losses(np.array([0, 0, 1]), probabilities).tolist() == [0.0, 2.0, 0.5]


def test_undefined_values_are_nan_and_not_zero():
    # Class 2 neither occurs nor is predicted; class 1 occurs but is never predicted.
    matrix = confusion_matrix(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    classes = per_class_scores(matrix)
    assert np.isnan(classes["recall"]).tolist() == [False, False, True]
    assert np.isnan(classes["precision"]).tolist() == [False, True, True]
    assert classes["f1"][1] == 0
    assert np.isnan(classes["f1"][2])
    assert confusion_scores(matrix)["balanced_accuracy"] == 0.5
    single = confusion_scores(confusion_matrix(np.zeros(3, int), np.zeros(3, int), 2))
    assert single["accuracy"] == 1
    assert np.isnan(single["kappa"])
    assert np.isnan(roc_auc(np.zeros(3, int), np.full((3, 2), 0.5))).all()
