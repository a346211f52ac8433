"""Moving average of the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers import RecordingProgress
from milmer_cli.inference.predict_proba import predict_proba
from milmer_cli.training.ema import WeightAverageCallback


def test_weight_average_is_validated_and_kept(toy, device):
    model = toy.net()
    trace: list[dict[str, torch.Tensor]] = []
    progress = RecordingProgress(on_advance=lambda: trace.append(toy.weights(model)))
    validation = toy.Points(12, 1)
    settings = ("train.epochs=1", "train.ema_decay=0.5")
    history = toy.train(model, toy.Points(40, 0), validation, *settings, progress=progress)
    expected = toy.weights(toy.net())
    for step, current in enumerate(trace, start=1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = {n: decay * expected[n] + (1 - decay) * current[n] for n in current}
    for name, value in toy.weights(model).items():
        torch.testing.assert_close(value, expected[name])
    probabilities = predict_proba(model, validation, device, 12)
    loss = -np.log(probabilities[np.arange(12), validation.labels]).mean()
    assert loss == pytest.approx(history.best.validation_loss, rel=1e-6)


def test_weight_average_applied_to_restores_the_weights(toy, tmp_path):
    model = toy.net()
    initial = toy.weights(model)
    average = WeightAverageCallback(model, 0.5)
    with torch.no_grad():
        model.inner.weight.add_(1)
    with average.applied_to(model):
        torch.testing.assert_close(toy.weights(model), initial, rtol=0, atol=0)
    torch.testing.assert_close(model.inner.weight, initial["inner.weight"] + 1)


def test_weight_average_skips_frozen_parameters_in_its_file(toy, tmp_path):
    model = toy.net()
    model.inner.requires_grad_(False)
    average = WeightAverageCallback(model, 0.5)
    average.save(tmp_path / "average.safetensors")
    with torch.no_grad():
        model.outer.bias.add_(1)
    other = WeightAverageCallback(model, 0.5)
    other.load(tmp_path / "average.safetensors")
    with average.applied_to(model):
        expected = toy.weights(model)
    with other.applied_to(model):
        torch.testing.assert_close(toy.weights(model), expected, rtol=0, atol=0)
