from __future__ import annotations

import mne
import numpy as np

from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.splines import electrode_splines


def _info() -> mne.Info:
    """Electrodes on a sphere around the origin of the head coordinates."""
    positions = mne.channels.make_standard_montage("biosemi32").get_positions()["ch_pos"]
    on_sphere = {name: 0.095 * p / np.linalg.norm(p) for name, p in positions.items()}
    info = mne.create_info(list(GENEVA), 128.0, "eeg")
    info.set_montage(mne.channels.make_dig_montage(on_sphere, coord_frame="head"))
    return info


def test_spherical_splines_weights_equal_those_of_mne():
    info, data = _info(), np.random.default_rng(0).normal(size=(32, 6))
    evoked = mne.EvokedArray(data.copy(), info, verbose="error")
    evoked.info["bads"] = ["C3", "Fp1"]
    expected = evoked.interpolate_bads(origin=(0.0, 0.0, 0.0), verbose="error").data
    bad = np.array([name in ("C3", "Fp1") for name in GENEVA])
    weights = electrode_splines(info, GENEVA).weights(~bad)
    np.testing.assert_allclose((weights @ data)[bad], expected[bad], atol=1e-6)


def test_spherical_splines_weights_leave_a_channel_out_of_its_own_prediction():
    splines = electrode_splines(_info(), GENEVA)
    good = np.ones(32, bool)
    everything = splines.weights(good)
    np.testing.assert_allclose(everything.sum(axis=1), 1)
    np.testing.assert_allclose(np.diag(everything), 0, atol=1e-9)
    good[7] = False
    np.testing.assert_allclose(everything[7], splines.weights(good)[7], atol=1e-9)


def test_spherical_splines_weights_of_too_few_good_channels_are_zero():
    good = np.zeros(32, bool)
    good[:3] = True
    assert not electrode_splines(_info(), GENEVA).weights(good).any()


def test_electrode_splines_without_positions_are_none():
    info = mne.create_info(["Fz", "E17"], 128.0, "eeg")
    assert electrode_splines(info, ["Fz", "E17"]) is None
