from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn
from torch.utils.data import Dataset

from helpers import RecordingProgress
from milmer_cli.device import Device
from milmer_cli.inference.predict_proba import map_batches, predict_logits, predict_proba
from milmer_cli.settings import load_settings


class Samples(Dataset):
    """Sample i has the input (i, -i) and the label i % 3."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        return {
            "x": torch.tensor([item, -item], dtype=torch.float32),
            "labels": torch.tensor(item % 3),
            "index": torch.tensor(item),
        }


class Linear(nn.Module):
    """A model that accepts ``x`` only."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_labels=3)
        self.layer = nn.Linear(2, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.dropout(self.layer(x)))


@pytest.fixture
def device():
    return Device.from_settings(load_settings(overrides=["run.device=cpu"]).run)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Linear()


def test_predict_logits_keeps_the_order_of_the_data_set(model, device):
    labels, logits = predict_logits(model, Samples(7), device, 3)
    x = torch.tensor([[i, -i] for i in range(7)], dtype=torch.float32)
    np.testing.assert_allclose(logits, model.layer(x).detach().numpy(), rtol=1e-6)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert logits.dtype == np.float64


def test_predict_proba_is_the_softmax_for_any_batch_size(model, device):
    _, logits = predict_logits(model, Samples(7), device, 7)
    for batch_size in (1, 3, 100):
        probabilities = predict_proba(model, Samples(7), device, batch_size)
        np.testing.assert_allclose(probabilities, softmax(logits, axis=1), rtol=1e-5)


def test_predict_proba_of_no_samples_is_empty(model, device):
    assert predict_proba(model, Samples(0), device, 4).shape == (0, 3)


def test_predict_proba_applies_the_transform_for_inference(model, device):
    def scale(batch, training):
        assert not training
        assert set(batch) == {"x"}
        return {"x": 0 * batch["x"]}

    probabilities = predict_proba(model, Samples(4), device, 2, transform=scale)
    assert np.ptp(probabilities, axis=0).max() == 0


def test_predict_proba_reports_samples_as_progress(model, device):
    progress = RecordingProgress()
    predict_proba(model, Samples(7), device, 3, progress, task="score")
    assert progress.totals == {"score": 7}
    assert progress.amounts == {"score": 7}
    assert progress.finished == ["score"]


def test_map_batches_calls_the_function_in_inference_mode(model, device):
    model.train()

    def modes(batch):
        return torch.is_inference_mode_enabled(), model.training, batch["index"].tolist()

    assert map_batches(modes, model, Samples(3), device, 2) == [
        (True, False, [0, 1]),
        (True, False, [2]),
    ]


def test_map_batches_leaves_the_random_generator_as_it_was(model, device):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    map_batches(lambda batch: None, model, Samples(3), device, 2)
    assert torch.equal(torch.get_rng_state(), before)
