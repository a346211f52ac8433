from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.eeg.channels import montage_1005
from milmer_cli.eeg.epochs import make_epochs


def test_make_epochs_places_electrodes_of_any_spelling():
    names = ["EEG Fp1", "T3", "X1"]
    epochs = make_epochs(np.zeros((2, 3, 4)), 4.0, names, np.array([1, 1]))
    expected = montage_1005().get_positions()["ch_pos"]
    placed = epochs.get_montage().get_positions()["ch_pos"]
    # the head coordinates of MNE are a rotation and shift of the montage's: distances are kept
    distance = np.linalg.norm(placed["EEG Fp1"] - placed["T3"])
    assert distance == pytest.approx(np.linalg.norm(expected["Fp1"] - expected["T7"]), rel=1e-6)
    assert placed["T3"][0] < 0 < placed["EEG Fp1"][1]  # to the left; to the front
    assert np.isnan(placed["X1"]).all()
    assert epochs.ch_names == names


def test_make_epochs_converts_to_volts():
    eeg = np.full((1, 1, 4), 25.0, np.float32)
    epochs = make_epochs(eeg, 4.0, ["Cz"], np.array([7]), ["Cz"])
    np.testing.assert_allclose(epochs.get_data(), 25e-6)
    assert epochs.info["bads"] == ["Cz"]
    assert epochs.event_id == {"trial 7": 7}
