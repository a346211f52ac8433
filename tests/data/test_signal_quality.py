"""Summaries of the quality rule over a participant."""

import numpy as np
import pytest

from milmer_cli.data.signal_quality import QualitySummary, SignalQuality


def make_quality(name, good, eeg_found=None, faces=None):
    good = np.asarray(good, bool)
    n = len(good)
    found = np.ones(n, bool) if eeg_found is None else np.asarray(eeg_found)
    return SignalQuality(
        participant=name,
        channels=("Fz", "Cz", "Pz", "Oz")[: good.shape[1]],
        trial=np.ones(n, int),
        eeg_found=found,
        eeg_usable=found & ((~good).sum(axis=1) <= 1),
        faces_usable=np.ones(n, bool) if faces is None else faces,
        good=good,
        interpolated=np.zeros_like(good),
    )


def test_bad_share_is_nan_without_eeg():
    good = np.ones((3, 4), bool)
    good[0, :1] = False
    quality = make_quality("s01", good, [True, True, False])
    np.testing.assert_array_equal(quality.bad_share, [0.25, 0, np.nan])
    empty = make_quality("s02", np.ones((2, 0)), [False, False])
    assert np.isnan(empty.bad_share).all()
    assert empty.worst_channels == []


def test_worst_channels_come_first():
    good = np.ones((4, 4), bool)
    good[:3, 2] = good[:1, 0] = False
    quality = make_quality("s01", good, [True, True, True, False])
    assert [name for name, _ in quality.worst_channels] == ["Pz", "Fz"]
    assert quality.worst_channels[0][1] == 1.0
    assert quality.worst_channels[1][1] == pytest.approx(1 / 3)


def test_quality_summary_names_participants_with_unusable_eeg():
    good = np.ones((10, 4), bool)
    poor = good.copy()
    poor[:3, :2] = False
    summary = QualitySummary.of([make_quality("s01", good), make_quality("s02", poor)])
    assert summary.eeg_usable == pytest.approx(0.85)
    assert summary.bad_channels == pytest.approx(0.075)
    assert summary.poor == {"s02": pytest.approx(0.3)}
    rows = dict(summary.rows())
    assert rows["EEG quality"] == "usable in 85.0% of the segments, 7.5% of the channels bad"
    assert rows["poor EEG"] == "1: s02 (30%) of the segments not usable"
    without = QualitySummary.of([make_quality("s03", np.ones((2, 0)), [False, False])])
    assert np.isnan(without.eeg_usable)
    assert without.rows() == []
