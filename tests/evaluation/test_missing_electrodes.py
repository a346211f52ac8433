"""Removed electrodes: which they are, what the model receives, and the resulting accuracy."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from milmer_cli.device import Device
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.evaluation.missing_electrodes import (
    INTERPOLATED,
    MASKED,
    N_DRAWS,
    MissingElectrodes,
    missing_electrodes,
    missing_levels,
)
from milmer_cli.evaluation.robustness import COMPLETE, evaluate_robustness
from milmer_cli.settings import load_settings

ELECTRODES = MissingElectrodes(GENEVA, ("s01",) * 6 + ("s02",) * 6, seed=3)


class Recorder(nn.Module):
    """Predicts the number of channels that it reads; records its inputs."""

    def __init__(self, n_classes: int = 40) -> None:
        super().__init__()
        self.n_classes, self.inputs = n_classes, []

    def forward(self, eeg, eeg_found, channels_found=None):
        self.inputs.append((eeg.clone(), channels_found))
        found = torch.ones(eeg.shape[:2]) if channels_found is None else channels_found
        classes = found.sum(1).long()
        return SimpleNamespace(logits=nn.functional.one_hot(classes, self.n_classes).float())


class EegBags(torch.utils.data.Dataset):
    """EEG that is a smooth potential over the head, another one for each segment."""

    def __init__(self, n: int, n_channels: int = 32, first_bad: bool = False) -> None:
        self.eeg = torch.randn(n, n_channels, 8, generator=torch.Generator().manual_seed(0))
        self.first_bad = first_bad

    def __len__(self) -> int:
        return len(self.eeg)

    def __getitem__(self, item: int):
        found = torch.ones(self.eeg.shape[1], dtype=torch.bool)
        found[0] = not self.first_bad
        return {
            "eeg": self.eeg[item],
            "eeg_found": torch.tensor(item != 5),
            **({"channels_found": found} if self.first_bad else {}),
            "index": torch.tensor(item),
        }


@pytest.fixture
def device():
    return Device.from_settings(load_settings(overrides=["run.device=cpu"]).run)


def test_missing_levels_are_powers_of_two_up_to_half_of_the_electrodes():
    assert missing_levels(32).tolist() == [0, 1, 2, 4, 8, 16]
    assert missing_levels(14).tolist() == [0, 1, 2, 4]
    assert missing_levels(2).tolist() == [0, 1]


def test_missing_electrodes_are_nested_seeded_and_of_one_participant():
    sets = [set(missing_electrodes(GENEVA, "s01", n, 3, 0)) for n in (1, 2, 4, 8, 16)]
    assert [len(names) for names in sets] == [1, 2, 4, 8, 16]
    assert all(smaller < larger for smaller, larger in pairwise(sets))
    others = [("s02", 3, 0), ("s01", 4, 0), ("s01", 3, 1)]
    for participant, seed, draw in others:
        assert set(missing_electrodes(GENEVA, participant, 8, seed, draw)) != sets[3]


def test_evaluate_robustness_masks_or_interpolates_the_removed_electrodes(device):
    model, data = Recorder(), EegBags(12)
    result = evaluate_robustness(model, data, device, 12, 0, ELECTRODES)
    assert result[MASKED].shape == result[INTERPOLATED].shape == (12, N_DRAWS, 6)
    assert (result[MASKED] == 32 - np.array([0, 1, 2, 4, 8, 16])).all()
    assert (result[INTERPOLATED] == 32).all()
    assert result[COMPLETE].tolist() == [item != 5 for item in range(12)]
    assert torch.equal(model.inputs[0][0], data.eeg)
    masked, interpolated = model.inputs[-2], model.inputs[-1]  # 16 electrodes of the last draw
    assert torch.equal(masked[0], interpolated[0])
    missing = ~masked[1]
    assert (missing[:6] == missing[0]).all()
    assert (missing[6:] == missing[6]).all()
    assert not torch.equal(missing[0], missing[6])
    # a change of what is missing has no effect on what the model receives
    data.eeg = torch.where(missing[..., None], 1e3, data.eeg)
    evaluate_robustness(model, data, device, 12, 0, ELECTRODES)
    torch.testing.assert_close(model.inputs[-1][0], interpolated[0], rtol=0, atol=1e-5)


def test_evaluate_robustness_keeps_the_bad_channels_of_the_store_masked(device):
    model = Recorder()
    result = evaluate_robustness(model, EegBags(12, first_bad=True), device, 12, 0, ELECTRODES)
    assert (result[INTERPOLATED] == 31).all()
    assert set(np.unique(result[MASKED][..., -1])) <= {15, 16}
    assert not any(found[:, 0].any() for _, found in model.inputs)


def test_evaluate_robustness_of_electrodes_does_not_depend_on_the_batch_size(device):
    class MeanSign(Recorder):
        def forward(self, eeg, eeg_found, channels_found=None):
            found = torch.ones(eeg.shape[:2]) if channels_found is None else channels_found.float()
            means = (eeg[..., 0] * found)[:, ::2].sum(1)
            return SimpleNamespace(logits=torch.stack([means, -means], 1))

    one, other = (
        evaluate_robustness(MeanSign(), EegBags(12), device, size, 0, ELECTRODES)
        for size in (5, 12)
    )
    for name in (MASKED, INTERPOLATED):
        np.testing.assert_array_equal(one[name], other[name])
    assert len(np.unique(one[MASKED])) == 2


def test_evaluate_robustness_masks_electrodes_without_positions(device):
    electrodes = MissingElectrodes(("A", "B", "C", "D"), ("s01",) * 3, seed=0)
    model, data = Recorder(), EegBags(3, n_channels=4)
    result = evaluate_robustness(model, data, device, 3, 0, electrodes)
    assert INTERPOLATED not in result
    assert (result[MASKED] == [4, 3, 2]).all()
    assert all(torch.equal(eeg, data.eeg) for eeg, _ in model.inputs)


@pytest.mark.parametrize(
    ("layout", "alignment", "expected"),
    [
        ("plain", None, True),
        ("plain", "standardize", True),
        ("plain", "euclidean", False),
        ("published", None, False),
    ],
)
def test_electrodes_are_removed_from_rows_that_are_electrodes(layout, alignment, expected):
    participants = {
        "s01": SimpleNamespace(channels=()),
        "s02": SimpleNamespace(channels=GENEVA),
    }
    labeled = SimpleNamespace(
        store=SimpleNamespace(
            participant=participants.__getitem__, settings={"eeg": {"layout": layout}}
        ),
        segments=SimpleNamespace(participant=np.array(["s01", "s02"])),
        eeg_alignment=alignment and SimpleNamespace(method=alignment),
    )
    electrodes = MissingElectrodes.of(labeled, 0)
    assert (electrodes is not None) == expected
    assert electrodes is None or electrodes.channels == GENEVA
