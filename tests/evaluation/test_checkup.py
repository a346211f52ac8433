from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from milmer_cli.compute import Compute
from milmer_cli.evaluation.checkup import CONDITIONS, DRAWS, SHARES, checkup
from milmer_cli.settings import load_settings


class Seen:
    def __init__(self, logits: torch.Tensor, weights: torch.Tensor) -> None:
        self.logits, self.instance_weights = logits, weights


class Counting(nn.Module):
    """Names class 1 while its best face is there, class 2 when a half is gone, 3 without EEG."""

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
        kind = torch.where(faces_found[:, self.best], 1, 0)
        kind = torch.where(eeg_found, kind, 3)
        kind = torch.where(faces_found.any(1), kind, 2)
        return Seen(nn.functional.one_hot(kind, 4).float() * 9, weights)


class Bags(torch.utils.data.Dataset):
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
def compute():
    return Compute.choose(load_settings(overrides=["run.device=cpu"]).run)


def test_each_condition_takes_away_what_it_says(compute):
    found = checkup(Counting(best=4), Bags(6, 10), compute, 4, seed=0)
    named = {name: found[name].argmax(axis=1) for name in CONDITIONS}
    assert set(named["both"]) == {1}
    assert set(named["EEG only"]) == {2}
    assert set(named["face only"]) == {3}
    assert set(named["half of the faces"]) <= {0, 1}
    assert found["whole"].all()


def test_the_chosen_face_goes_first_and_random_ones_by_chance(compute):
    model, n = Counting(best=4), 40
    found = checkup(model, Bags(n, 10), compute, 7, seed=0)
    assert found["chosen"].shape == (n, len(SHARES))
    assert found["chosen"][0].tolist() == [1, 0, 0, 0, 0, 2]
    assert found["random"].shape == (n, DRAWS, len(SHARES))
    kept = (found["random"] == 1).mean(axis=(0, 1))
    np.testing.assert_allclose(kept, [1, 0.8, 0.6, 0.4, 0.2, 0], atol=0.1)
    assert model.encoded == n, "the backbone sees every face once"


def test_what_is_drawn_depends_on_the_segment_and_not_on_the_batch(compute):
    one = checkup(Counting(best=2), Bags(9, 6), compute, 2, seed=3)
    other = checkup(Counting(best=2), Bags(9, 6), compute, 9, seed=3)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    changed = checkup(Counting(best=2), Bags(9, 6), compute, 9, seed=4)
    assert not np.array_equal(one["random"], changed["random"])


def test_segments_that_lack_something_from_the_start_are_told(compute):
    found = checkup(Counting(best=0), Bags(4, 5, missing=True), compute, 4, seed=0)
    assert found["whole"].tolist() == [False, False, True, True]
