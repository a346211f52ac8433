"""Any EEG network with the interface of a Milmer model."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from milmer_cli.errors import SettingsError
from milmer_cli.models import eeg_network
from milmer_cli.models.eeg_network import EegNetwork, EegShape, build_eeg_network

SHAPE = EegShape(("Fp1", "FZ", "Cz", "Oz"), 128, 128.0)
CLASSES = ("a", "b", "c")


class MeanOverTime(nn.Module):
    """Logits: the mean of the first channels."""

    def __init__(self, n_channels, n_samples, n_classes, dropout=0.5):
        super().__init__()
        self.sizes = (n_channels, n_samples, n_classes)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, eeg):
        return eeg.mean(-1)[:, : self.sizes[2]] * self.scale


class BraindecodeNames(MeanOverTime):
    def __init__(self, n_chans, n_outputs, n_times, sfreq, chs_info):
        super().__init__(n_chans, n_times, n_outputs)
        self.sfreq, self.chs_info = sfreq, chs_info


class NeedsAnotherArgument(nn.Module):
    def __init__(self, depth):
        super().__init__()


class TokensInsteadOfLogits(MeanOverTime):
    def forward(self, eeg):
        return eeg


def own(cls):
    return f"{__name__}:{cls.__name__}"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """This module can be imported by its name, like a module on PYTHONPATH."""
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(**globals()))


def test_build_eeg_network_passes_sizes_by_name():
    model = build_eeg_network(own(MeanOverTime), SHAPE, CLASSES)
    assert model.network.sizes == (4, 128, 3)
    assert model.config.num_labels == 3
    assert model.config.modalities == "eeg"


def test_build_eeg_network_passes_the_names_of_braindecode_and_the_positions():
    network = build_eeg_network(own(BraindecodeNames), SHAPE, CLASSES).network
    assert network.sizes == (4, 128, 3)
    assert network.sfreq == 128.0
    assert [channel["ch_name"] for channel in network.chs_info] == ["Fp1", "Fz", "Cz", "Oz"]
    left, right = network.chs_info[0]["loc"][0], network.chs_info[1]["loc"][0]
    assert left < -0.01 < right  # meters, Fp1 is left of Fz


def test_argument_values_have_no_positions_for_unknown_channels():
    shape = EegShape(("Fp1", "EXG1"), 128, 128.0)
    assert "chs_info" not in eeg_network.argument_values(shape, 3)


def test_eeg_network_sets_missing_channels_to_zero_and_divides_by_the_temperature():
    model = EegNetwork(MeanOverTime(4, 128, 3), CLASSES).eval()
    eeg = torch.full((3, 4, 128), 6.0)
    eeg[1] = torch.nan
    found = torch.tensor([True, False, True])
    channels = torch.tensor([[True] * 4, [True] * 4, [False, True, True, True]])
    logits = model(eeg, found, channels).logits
    assert logits.tolist() == [[6, 6, 6], [0, 0, 0], [0, 6, 6]]
    model.config.temperatures = {"eeg": 2.0}
    assert model(eeg, found, channels).logits.tolist() == [[3, 3, 3], [0, 0, 0], [0, 3, 3]]
    assert model.train()(eeg, found, channels).logits[0].tolist() == [6, 6, 6]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (own(NeedsAnotherArgument), "does not accept the EEG of the store: .*depth"),
        (own(TokensInsteadOfLogits), r"expected 3 logits per segment .* shape \(2, 4, 128\)"),
        (f"{__name__}:Absent", "expected a class of the module .*, got 'Absent'"),
        (f"{__name__}:SHAPE", "expected a class of the module .*, got 'SHAPE'"),
        (
            "collections:Counter",
            "to be a torch.nn.Module, got Counter",
        ),
        ("no_such_module_1:Net", "module no_such_module_1, which cannot be imported: No module"),
    ],
)
def test_build_eeg_network_refuses_unsuitable_classes_in_one_sentence(name, message):
    with pytest.raises(SettingsError, match=message) as raised:
        build_eeg_network(name, SHAPE, CLASSES)
    assert str(raised.value.args[0]).startswith("evaluate.baselines: ")
    assert raised.value.hint


@pytest.mark.parametrize("name", ["EEGNet", "ShallowFBCSPNet", "TSception", "DGCNN"])
def test_build_eeg_network_builds_networks_of_braindecode(braindecode, name):
    shape = EegShape(("Fp1", "Fz", "Cz", "C3", "C4", "T7", "T8", "Oz"), 256, 128.0)
    torch.manual_seed(0)
    model = build_eeg_network(f"braindecode:{name}", shape, CLASSES)
    assert type(model.network).__name__ == name
    eeg = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 8, 256)).astype(np.float32))
    assert model(eeg).logits.shape == (5, 3)


def test_build_eeg_network_refuses_sequences_of_braindecode(braindecode):
    shape = EegShape(("Fp1", "Fz", "Cz", "Oz"), 256, 128.0)
    with pytest.raises(SettingsError, match="expected 3 logits per segment from braindecode"):
        build_eeg_network("braindecode:SignalJEPA", shape, CLASSES)
