from __future__ import annotations

import mne
import numpy as np
import pytest

from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.reference import repair_channels
from milmer_cli.eeg.splines import electrode_splines

SFREQ, SECONDS = 128.0, 20
SPLINES = electrode_splines(mne.create_info(list(GENEVA), SFREQ, "eeg"), GENEVA)
BLEND = round(0.25 * SFREQ)


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    """A field that splines interpolate well, (32, n_samples) microvolts."""
    info = mne.create_info(list(GENEVA), SFREQ, "eeg")
    info.set_montage("biosemi32")
    points = np.array([channel["loc"][:3] for channel in info["chs"]]) * 10
    sources = np.random.default_rng(0).normal(size=(3, round(SFREQ * SECONDS)))
    sources = np.apply_along_axis(np.convolve, 1, sources, np.hanning(40), "same")
    return 10 * points @ sources


def _bad(*spans: tuple[int, int, int]) -> np.ndarray:
    bad = np.zeros((32, SECONDS), bool)
    for row, first, end in spans:
        bad[row, first:end] = True
    return bad


def _break(data: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Put an impossible value wherever a channel is bad."""
    return np.where(np.repeat(bad, round(SFREQ), axis=1), 1e6, data)


def test_repair_channels_interpolates_in_the_bad_windows_only(smooth):
    bad = _bad((5, 4, 9), (20, 7, 12), (5, 19, 20))
    data = _break(smooth, bad)
    average, interpolated = repair_channels(data, bad, SFREQ, SPLINES)
    np.testing.assert_array_equal(interpolated, bad)
    # no bad sample is used anywhere, and the field is restored
    assert np.abs(data - smooth).max() < 0.1 * smooth.std()
    np.testing.assert_allclose(average, smooth.mean(axis=0), atol=0.01 * smooth.std())
    far = np.ones(data.shape, bool)
    for row, first, end in ((5, 4, 9), (20, 7, 12), (5, 19, 20)):
        far[row, round(first * SFREQ) - BLEND : round(end * SFREQ) + BLEND] = False
    np.testing.assert_array_equal(data[far], smooth[far])


def test_repair_channels_makes_no_step(smooth):
    """A channel with an own signal, which splines do not predict, changes gradually."""
    bad = _bad((5, 4, 9), (6, 9, 12))
    own = smooth.copy()
    own[5] += 30
    data = _break(own, bad)
    repair_channels(data, bad, SFREQ, SPLINES)
    largest = np.abs(np.diff(smooth, axis=1)).max()
    assert np.abs(np.diff(data, axis=1)).max() < largest + 30 * np.pi / BLEND
    assert data[5, round(6 * SFREQ)] < own[5, round(6 * SFREQ)] - 20


def test_repair_channels_keeps_them_if_too_many_are_bad(smooth):
    bad = _bad((0, 2, 18), *((row, 8, 12) for row in range(1, 10)))
    data = _break(smooth, bad)
    average, interpolated = repair_channels(data, bad, SFREQ, SPLINES)
    np.testing.assert_array_equal(interpolated.any(axis=0), bad[0] & ~bad[1])
    inside = slice(round(9 * SFREQ), round(11 * SFREQ))
    assert (data[:10, inside] == 1e6).all()
    np.testing.assert_allclose(average[inside], smooth[10:, inside].mean(axis=0))
    before = slice(0, round(8 * SFREQ))
    assert np.abs(data - smooth)[:, before].max() < 0.1 * smooth.std()


def test_repair_channels_without_splines_averages_the_good_channels(smooth):
    bad = _bad((5, 4, 9), *((row, 15, 16) for row in range(32)))
    data = _break(smooth, bad)
    average, interpolated = repair_channels(data, bad, SFREQ, None)
    assert not interpolated.any()
    np.testing.assert_array_equal(data, _break(smooth, bad))
    inside = slice(round(4 * SFREQ), round(9 * SFREQ))
    np.testing.assert_allclose(
        average[inside], np.delete(smooth, 5, axis=0)[:, inside].mean(axis=0)
    )
    without = slice(round(15 * SFREQ), round(16 * SFREQ))
    assert (average[without] == 0).all()
