from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import QUADRANTS
from milmer_cli.errors import MilmerError
from milmer_cli.evaluation.band_power import BANDS_HZ, band_power, predict_lda
from milmer_cli.store import PreparedStore


def open_segments(prepared):
    store = PreparedStore.open(prepared)
    segments = store.segments()
    return LabeledSegments(store, segments, segments.stimulus % 4, QUADRANTS)


def test_band_power_of_a_sine_wave(prepared):
    labeled = open_segments(prepared)
    segments = labeled.segments
    power = band_power(labeled, (1.0, 50.0)).reshape(len(segments), 4, len(BANDS_HZ))
    label = segments.stimulus % 4
    with_eeg = np.flatnonzero(segments.eeg_found)
    np.testing.assert_array_equal(power[with_eeg, :, 1].argmax(axis=1), label[with_eeg])
    # 20 uV at 10 Hz: 200 uV^2, most of it in the 5 Hz of the alpha band
    own = power[with_eeg, label[with_eeg], 1]
    np.testing.assert_allclose(10**own * 5, 200, rtol=0.35)
    assert np.isnan(power[~segments.eeg_found]).all()
    assert (~segments.eeg_found).sum() == 2


def test_band_power_limits_bands_to_the_passband(prepared):
    assert band_power(open_segments(prepared), (7.0, 31.0)).shape[1] == 4 * 2


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
