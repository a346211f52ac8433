from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.evaluation.bandpower import BANDS_HZ, band_power, lda
from milmer_cli.store import PreparedStore


def test_a_sine_shows_in_its_band_and_channel_only(prepared):
    store = PreparedStore.open(prepared)
    segments = store.segments()
    power = band_power(store, segments, (1.0, 50.0)).reshape(len(segments), 4, len(BANDS_HZ))
    kind = segments.stimulus % 4
    with_eeg = np.flatnonzero(segments.eeg_found)
    np.testing.assert_array_equal(power[with_eeg, :, 1].argmax(axis=1), kind[with_eeg])
    # 20 uV at 10 Hz: 200 uV^2, most of it in the 5 Hz of the alpha band
    own = power[with_eeg, kind[with_eeg], 1]
    np.testing.assert_allclose(10**own * 5, 200, rtol=0.35)
    assert np.isnan(power[~segments.eeg_found]).all()
    assert (~segments.eeg_found).sum() == 2


def test_bands_are_cut_to_what_the_filter_left(prepared):
    store = PreparedStore.open(prepared)
    segments = store.segments()
    assert band_power(store, segments, (7.0, 31.0)).shape[1] == 4 * 2


def test_lda_tells_classes_apart_and_is_fitted_on_the_training_part_only():
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 40)
    features = random.normal(size=(120, 6))
    features[:, 0] += 6 * truth
    train, test = np.arange(0, 120, 2), np.arange(1, 120, 2)
    found = lda(features, truth, train, test, 3)
    assert np.mean(found.argmax(axis=1) == truth[test]) > 0.95
    np.testing.assert_allclose(found.sum(axis=1), 1)
    changed = features.copy()
    changed[test] = 1e6  # neither means, deviations nor directions may move
    again = lda(np.vstack([changed, features]), np.tile(truth, 2), train, test + 120, 3)
    np.testing.assert_array_equal(found, again)


def test_lda_gives_the_training_shares_where_there_are_no_features():
    features = np.array([[0.0], [0.1], [5.0], [np.nan], [np.nan]])
    truth = np.array([0, 0, 1, 1, 0])
    found = lda(features, truth, np.arange(4), np.array([4]), 2)
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3]])
    with pytest.raises(MilmerError, match="one class only"):
        lda(features, truth, np.array([0, 1, 3]), np.array([2]), 2)
