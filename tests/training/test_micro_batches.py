"""Smaller micro-batches when memory runs out."""

from __future__ import annotations

import pytest
import torch

from helpers import RecordingProgress
from milmer_cli.errors import MilmerError

OUT_OF_MEMORY = "CUDA out of memory."


@pytest.mark.slow
def test_training_step_halves_the_micro_batch_and_keeps_the_batch(toy):
    class Greedy(toy.Net):
        """Runs out of memory with more than three samples."""

        def forward(self, x):
            if self.training and len(x) > 3:
                raise torch.OutOfMemoryError(OUT_OF_MEMORY)
            return super().forward(x)

    progress = RecordingProgress()
    torch.manual_seed(0)
    model, reference = Greedy(dropout=0.0), toy.net(dropout=0.0)
    data = toy.Points(22, 0), toy.Points(6, 1)
    history = toy.train(model, *data, progress=progress)
    toy.train(reference, *data)
    assert history.micro_batch_size == 2
    assert any("continuing with 2" in warning for warning in progress.warnings)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_training_step_counts_no_sample_twice_when_it_is_repeated(toy):
    class Moody(toy.Net):
        calls = 0

        def forward(self, x):
            self.calls += self.training
            if self.training and self.calls == 2:  # the second micro-batch of the first step
                raise torch.OutOfMemoryError(OUT_OF_MEMORY)
            return super().forward(x)

    torch.manual_seed(0)
    model, reference = Moody(dropout=0.0), toy.net(dropout=0.0)
    data = toy.Points(24, 0), toy.Points(6, 1)
    repeated = toy.train(model, *data, "run.micro_batch_size=4")
    undisturbed = toy.train(reference, *data)
    assert repeated.micro_batch_size == 2
    expected = undisturbed.epochs[0]
    assert repeated.epochs[0].train_loss == pytest.approx(expected.train_loss, rel=1e-4)
    assert repeated.epochs[0].train_accuracy == expected.train_accuracy


def test_train_model_reports_memory_that_runs_out_in_the_optimizer(toy, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    monkeypatch.setattr(torch.optim.AdamW, "step", fail)
    with pytest.raises(MilmerError, match="too little memory for the optimizer") as caught:
        toy.train(toy.net(), toy.Points(20, 0), toy.Points(6, 1))
    assert "micro_batch_size" in caught.value.hint
