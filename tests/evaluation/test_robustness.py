from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from milmer_cli.device import Device
from milmer_cli.evaluation.robustness import (
    COMPLETE,
    CONDITIONS,
    DELETED_SHARES,
    N_ORDERS,
    RANDOM_DELETED,
    SELECTED_DELETED,
    evaluate_robustness,
)
from milmer_cli.settings import load_settings


class Output:
    def __init__(self, logits: torch.Tensor, weights: torch.Tensor) -> None:
        self.logits, self.instance_weights = logits, weights


class Counting(nn.Module):
    """Predicts 1 with its best face, 0 without it, 2 without any face, 3 without EEG."""

    def __init__(self, best: int) -> None:
        super().__init__()
        self.best = best
        self.encoded = 0

    def encode_faces(self, faces: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        self.encoded += len(faces)
        return torch.zeros(*found.shape, 1, 1)

    def forward(self, eeg, eeg_found, face_tokens, faces_found):
        weights = faces_found * torch.linspace(0.1, 0.2, faces_found.shape[1])
        weights[:, self.best] = faces_found[:, self.best] * 0.9
        label = torch.where(faces_found[:, self.best], 1, 0)
        label = torch.where(eeg_found, label, 3)
        label = torch.where(faces_found.any(1), label, 2)
        return Output(nn.functional.one_hot(label, 4).float() * 9, weights)


class BagDataset(torch.utils.data.Dataset):
    def __init__(self, n: int, instances: int, missing: bool = False) -> None:
        self.n, self.instances, self.missing = n, instances, missing

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, item: int):
        found = torch.ones(self.instances, dtype=torch.bool)
        if self.missing and item == 0:
            found[:] = False
        return {
            "eeg": torch.zeros(2, 4),
            "eeg_found": torch.tensor(not (self.missing and item == 1)),
            "faces": torch.zeros(self.instances, 2, 2, 3, dtype=torch.uint8),
            "faces_found": found,
            "labels": torch.tensor(0),
            "index": torch.tensor(item),
        }


@pytest.fixture
def device():
    return Device.from_settings(load_settings(overrides=["run.device=cpu"]).run)


def test_evaluate_robustness_conditions(device):
    found = evaluate_robustness(Counting(best=4), BagDataset(6, 10), device, 4, seed=0)
    predicted = {name: found[name].argmax(axis=1) for name in CONDITIONS}
    assert set(predicted["both"]) == {1}
    assert set(predicted["EEG only"]) == {2}
    assert set(predicted["face only"]) == {3}
    assert set(predicted["half of the faces"]) <= {0, 1}
    assert found[COMPLETE].all()


def test_evaluate_robustness_deletion_order(device):
    model, n = Counting(best=4), 40
    found = evaluate_robustness(model, BagDataset(n, 10), device, 7, seed=0)
    assert found[SELECTED_DELETED].shape == (n, len(DELETED_SHARES))
    assert found[SELECTED_DELETED][0].tolist() == [1, 0, 0, 0, 0, 2]
    assert found[RANDOM_DELETED].shape == (n, N_ORDERS, len(DELETED_SHARES))
    kept = (found[RANDOM_DELETED] == 1).mean(axis=(0, 1))
    np.testing.assert_allclose(kept, [1, 0.8, 0.6, 0.4, 0.2, 0], atol=0.1)
    assert model.encoded == n  # once per segment


def test_evaluate_robustness_does_not_depend_on_the_batch_size(device):
    one = evaluate_robustness(Counting(best=2), BagDataset(9, 6), device, 2, seed=3)
    other = evaluate_robustness(Counting(best=2), BagDataset(9, 6), device, 9, seed=3)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    changed = evaluate_robustness(Counting(best=2), BagDataset(9, 6), device, 9, seed=4)
    assert not np.array_equal(one[RANDOM_DELETED], changed[RANDOM_DELETED])


def test_evaluate_robustness_marks_incomplete_segments(device):
    found = evaluate_robustness(Counting(best=0), BagDataset(4, 5, missing=True), device, 4, seed=0)
    assert found[COMPLETE].tolist() == [False, False, True, True]
