from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from milmer_cli.metrics import values


@pytest.fixture(scope="module")
def predictions():
    random = np.random.default_rng(3)
    truth = random.choice(4, size=400, p=[0.4, 0.3, 0.2, 0.1])
    probabilities = random.dirichlet(np.ones(4), size=400)
    probabilities[np.arange(400), truth] += 0.2
    return truth, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_scores_worked_out_by_hand():
    # truth 0 0 0 1, predicted 0 0 1 1
    found = values.from_confusion(
        values.confusion(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2)
    )
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["weighted_f1"] == pytest.approx((3 * 4 / 5 + 2 / 3) / 4)
    assert found["kappa"] == pytest.approx((0.75 - 0.5) / 0.5)  # chance: 3/4 1/2 + 1/4 1/2


def test_agrees_with_scikit_learn(predictions):
    truth, probabilities = predictions
    predicted = probabilities.argmax(axis=1)
    found = values.from_confusion(values.confusion(truth, predicted, 4))
    assert found["balanced_accuracy"] == pytest.approx(
        reference.balanced_accuracy_score(truth, predicted)
    )
    assert found["kappa"] == pytest.approx(reference.cohen_kappa_score(truth, predicted))
    for kind in ("macro", "weighted"):
        wanted = reference.f1_score(truth, predicted, average=kind)
        assert found[f"{kind}_f1"] == pytest.approx(wanted)
    each = values.per_class(values.confusion(truth, predicted, 4))
    wanted = reference.precision_recall_fscore_support(truth, predicted)
    for name, column in zip(("precision", "recall", "f1", "support"), wanted, strict=True):
        assert each[name] == pytest.approx(column)


def test_auc_agrees_with_scikit_learn_with_ties_and_with_weights(predictions):
    truth, probabilities = predictions
    weights = np.random.default_rng(0).integers(0, 3, size=(2, 400)).astype(np.float32)
    weights[0] = 1
    for rounded in (probabilities, probabilities.round(1)):
        found = values.auc(truth, rounded, weights)
        for row, kept in zip(found, weights, strict=True):
            wanted = [
                reference.roc_auc_score(truth == k, rounded[:, k], sample_weight=kept)
                for k in range(4)
            ]
            assert row == pytest.approx(wanted, abs=1e-6)


def test_brier_by_hand():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert values.brier(np.array([0, 0, 1]), probabilities).tolist() == [0.0, 2.0, 0.5]


def test_calibration_gap_by_hand():
    # 0.95 sure and right half of the time, 0.55 sure and always right
    probabilities = np.array([[0.95, 0.05]] * 4 + [[0.55, 0.45]] * 4)
    truth = np.array([0, 0, 1, 1, 0, 0, 0, 0])
    bins, sure, right = values.calibration_bins(truth, probabilities)
    gap = np.abs(np.bincount(bins, right - sure)).sum() / 8
    assert gap == pytest.approx((0.45 + 0.45) / 2)
    assert values.calibration_bins(np.array([0]), np.array([[1.0, 0.0]]))[0] == values.BINS - 1


def test_what_is_undefined_is_nan_and_not_zero():
    # class 2 never occurs and is never named; class 1 occurs and is never named
    matrix = values.confusion(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    each = values.per_class(matrix)
    assert np.isnan(each["recall"]).tolist() == [False, False, True]
    assert np.isnan(each["precision"]).tolist() == [False, True, True]
    assert each["f1"][1] == 0
    assert np.isnan(each["f1"][2])
    assert values.from_confusion(matrix)["balanced_accuracy"] == 0.5
    alone = values.from_confusion(values.confusion(np.zeros(3, int), np.zeros(3, int), 2))
    assert alone["accuracy"] == 1
    assert np.isnan(alone["kappa"])
    areas = values.auc(np.zeros(3, int), np.full((3, 2), 0.5), np.ones((1, 3), np.float32))
    assert np.isnan(areas).all()
