from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.evaluation.band_power import (
    BANDS_HZ,
    ENTROPY_BANDS_HZ,
    alpha_asymmetry,
    band_power,
    differential_entropy,
    limit_bands,
)

SFREQ = 128.0


def sine(amplitude_uv, frequency_hz, seconds=4.0):
    return amplitude_uv * np.sin(2 * np.pi * frequency_hz * np.arange(int(seconds * SFREQ)) / SFREQ)


def test_band_power_of_a_sine_wave():
    eeg = np.random.default_rng(0).normal(size=(1, 2, 512)) * 0.01
    eeg[0, 1] += sine(20, 10.0)
    power = band_power(eeg, SFREQ, (1.0, 50.0)).reshape(2, len(BANDS_HZ))
    assert power[1].argmax() == 1
    # 20 uV at 10 Hz: 200 uV^2 in the 5 Hz of the alpha band
    np.testing.assert_allclose(10 ** power[1, 1] * 5, 200, rtol=0.05)


def test_band_power_limits_bands_to_the_passband():
    eeg = np.random.default_rng(0).normal(size=(3, 4, 128))
    assert band_power(eeg, SFREQ, (7.0, 31.0)).shape == (3, 4 * 2)
    assert limit_bands(ENTROPY_BANDS_HZ, (7.0, 31.0)) == [(8.0, 13.0), (13.0, 30.0)]


def test_differential_entropy_of_white_noise():
    variance = 25.0
    eeg = np.random.default_rng(0).normal(scale=variance**0.5, size=(60, 2, 1024))
    entropy = differential_entropy(eeg, SFREQ, (1.0, 45.0)).reshape(60, 2, len(ENTROPY_BANDS_HZ))
    for number, (low, high) in enumerate(ENTROPY_BANDS_HZ):
        in_band = variance * (high - low) / (SFREQ / 2)  # white: equal power in each Hz
        expected = 0.5 * np.log(2 * np.pi * np.e * in_band)
        # the mean of exp(2 h) is that of the variance, without the bias of the logarithm
        found = 0.5 * np.log(np.exp(2 * entropy[:, :, number]).mean())
        assert found == pytest.approx(expected, abs=0.03)


def test_alpha_asymmetry_is_the_log_ratio_of_right_to_left():
    eeg = np.stack([sine(10, 10.0), sine(30, 10.0), sine(10, 10.0)])[None]
    found = alpha_asymmetry(eeg, SFREQ, (1.0, 45.0), [(1, 0), (2, 0)])
    np.testing.assert_allclose(found, [[np.log(9), 0]], atol=1e-6)
