"""Late fusion on probabilities of known quality."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from milmer_cli.evaluation.late_fusion import RULES, combine, fit_stacking, log_mean, mean, stacking
from milmer_cli.metrics.calibration import apply_temperature, fit_temperature
from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.significance import compare_models
from milmer_cli.settings import load_settings

N, N_CLASSES = 400, 4
TRUTH = np.tile(np.arange(N_CLASSES), N // N_CLASSES)
VALIDATION, TEST = np.arange(0, N, 2), np.arange(1, N, 2)
TRUTH = np.repeat(np.random.default_rng(1).permuted(TRUTH[: N // 2]), 2)


def calibrated(logits):
    """Probabilities with a temperature that is fitted on the validation set."""
    temperature = max(1.0, fit_temperature(TRUTH[VALIDATION], logits[VALIDATION]))
    return apply_temperature(logits, temperature)


def logits_of(evidence, noise=1.0, seed=0):
    return evidence + np.random.default_rng(seed).normal(scale=noise, size=(N, N_CLASSES))


def fused(name, eeg, face):
    if name in RULES:
        return RULES[name](eeg, face)
    fitted = fit_stacking(eeg[VALIDATION], face[VALIDATION], TRUTH[VALIDATION], N_CLASSES)
    return stacking(fitted)(eeg, face)


def accuracy(probabilities):
    return np.mean(probabilities[TEST].argmax(axis=1) == TRUTH[TEST])


@pytest.mark.parametrize("name", ["mean", "log-mean", "stacking"])
def test_late_fusion_of_complementary_modalities_is_better_than_both(name):
    # the EEG separates classes 0, 1 from 2, 3 and the faces 0, 2 from 1, 3
    classes = np.arange(N_CLASSES)
    same_half = (TRUTH[:, None] // 2 == classes // 2) * 3.0
    same_parity = (TRUTH[:, None] % 2 == classes % 2) * 3.0
    eeg, face = calibrated(logits_of(same_half)), calibrated(logits_of(same_parity, seed=1))
    best = max(accuracy(eeg), accuracy(face))
    assert best < 0.6
    assert accuracy(fused(name, eeg, face)) > best + 0.15


@pytest.mark.parametrize("name", ["mean", "log-mean", "stacking"])
def test_late_fusion_with_an_uninformative_modality_is_not_worse(name):
    evidence = np.eye(N_CLASSES)[TRUTH] * 2.0
    eeg, face = calibrated(logits_of(evidence)), calibrated(logits_of(0.0, noise=2.0, seed=1))
    correct = {
        label: (values[TEST].argmax(axis=1) == TRUTH[TEST]).astype(float)
        for label, values in (("late fusion", fused(name, eeg, face)), ("EEG only", eeg))
    }
    clusters = Clusters.of(stimulus=np.arange(len(TEST)) % 20)
    options = ResamplingOptions.from_settings(load_settings(), "trial")
    (comparison,) = compare_models(correct, clusters, "late fusion", options)
    assert comparison.difference == 0 or comparison.high >= 0  # includes 0, or favors fusion
    assert accuracy(face) < 0.35


def test_combine_uses_the_only_modality_of_a_segment():
    eeg, face = np.array([[0.8, 0.2]] * 3), np.array([[0.4, 0.6]] * 3)
    has_eeg, has_faces = np.array([True, True, False]), np.array([True, False, True])
    expected = [[0.6, 0.4], [0.8, 0.2], [0.4, 0.6]]
    np.testing.assert_allclose(combine(mean, eeg, face, has_eeg, has_faces), expected)
    stacked = combine(log_mean, eeg, face, has_eeg, has_faces)
    ratio = np.sqrt(0.8 * 0.4) / np.sqrt(0.2 * 0.6)
    np.testing.assert_allclose(stacked[0], [ratio / (1 + ratio), 1 / (1 + ratio)])


def test_log_mean_of_a_certain_model_is_finite():
    values = log_mean(np.array([[1.0, 0.0]]), np.array([[0.3, 0.7]]))
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values.sum(axis=1), 1)


def test_fit_stacking_does_not_depend_on_the_test_set():
    eeg, face = (softmax(logits_of(0.0, seed=seed), axis=1) for seed in (0, 1))
    before = fit_stacking(eeg[VALIDATION], face[VALIDATION], TRUTH[VALIDATION], N_CLASSES)
    eeg[TEST], face[TEST] = 0.25, np.nan
    after = fit_stacking(eeg[VALIDATION], face[VALIDATION], TRUTH[VALIDATION], N_CLASSES)
    for first, second in zip(before.arrays, after.arrays, strict=True):
        np.testing.assert_array_equal(first, second)
