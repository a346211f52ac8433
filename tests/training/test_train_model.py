"""train_model: learns, keeps its best epoch, is reproducible and reports what it does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from helpers import RecordingProgress, read_csv
from milmer_cli.errors import MilmerError
from milmer_cli.inference.predict_proba import predict_proba
from milmer_cli.training import checkpoints, trainer
from milmer_cli.training.optimization import balanced_class_weights


@pytest.mark.slow
def test_train_model_overfits_one_batch(toy, device):
    data = toy.Points(8, 0, spread=3.0)
    model = toy.net(dropout=0.0)
    toy.train(model, data, data, "train.epochs=150", "train.lr=0.03")
    predicted = predict_proba(model, data, device, 8).argmax(axis=1)
    assert (predicted == data.labels).all()


@pytest.mark.slow
def test_train_model_gives_the_same_weights_for_the_same_seed(toy):
    models = [toy.net(), toy.net(), toy.net()]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        torch.rand(7)  # random numbers drawn before the training must not matter
        toy.train(model, toy.Points(40, 0), toy.Points(12, 1), f"seed={seed}")
    toy.assert_equal_weights(models[0], models[1])
    assert not torch.equal(models[0].inner.weight, models[2].inner.weight)


@pytest.mark.slow
def test_train_model_gives_the_same_weights_with_data_loader_workers(toy):
    models = [toy.net(), toy.net()]
    for model, n_workers in zip(models, (0, 2), strict=True):
        workers = f"run.dataloader_num_workers={n_workers}"
        toy.train(model, toy.Points(24, 0), toy.Points(6, 1), "train.epochs=1", workers)
    toy.assert_equal_weights(*models)


@pytest.mark.slow
def test_train_model_restores_the_best_epoch(toy, device, tmp_path):
    validation = toy.Points(30, 1, spread=2.5)
    for out in (None, tmp_path):
        model = toy.net()
        data = toy.Points(40, 0, spread=2.5)
        history = toy.train(model, data, validation, "train.epochs=8", "train.lr=0.05", out=out)
        best = max(
            history.epochs, key=lambda e: (e.validation_balanced_accuracy, -e.validation_loss)
        )
        assert history.best == best
        assert history.best_epoch < 8, "the best epoch must differ from the last one"
        probabilities = predict_proba(model, validation, device, 5)
        loss = -np.log(probabilities[np.arange(30), validation.labels]).mean()
        assert loss == pytest.approx(best.validation_loss, rel=1e-6)


def test_train_model_never_passes_labels_index_or_the_test_set_to_the_model(toy):
    inputs: list[torch.Tensor] = []

    class Spy(toy.Net):
        def forward(self, x):
            inputs.append(x)
            return super().forward(x)

    data = toy.Points(60, 0)
    toy.train(Spy(), Subset(data, range(30)), Subset(data, range(30, 45)))
    seen = {tuple(row.tolist()) for batch in inputs for row in batch}
    rows = [tuple(row.tolist()) for row in data.x]
    assert seen == set(rows[:45])
    assert not seen & set(rows[45:])


def test_train_model_validates_with_torch(toy, monkeypatch):
    """The weights change after every epoch, and OpenVINO would compile each of them."""
    devices = []
    predict_logits = trainer.predict_logits
    monkeypatch.setattr(
        trainer,
        "predict_logits",
        lambda *args, **kwargs: devices.append(args[2]) or predict_logits(*args, **kwargs),
    )
    monkeypatch.setattr("milmer_cli.device.openvino_version", lambda: "2030.1")
    toy.train(toy.net(), toy.Points(8, 0), toy.Points(6, 1), "train.epochs=1")
    assert [device.inference for device in devices] == ["torch"]


def test_train_model_warms_up_and_decays_to_min_lr_ratio(toy):
    settings = ("train.epochs=10", "train.warmup_ratio=0.2")
    history = toy.train(toy.net(), toy.Points(40, 0), toy.Points(12, 1), *settings)
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert rates[0] == pytest.approx(0.005)
    assert rates[1] == pytest.approx(0.01)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] == pytest.approx(0.001)


def test_train_model_reports_steps_and_one_message_per_epoch(toy):
    progress = RecordingProgress()
    toy.train(toy.net(), toy.Points(20, 0), toy.Points(6, 1), progress=progress)
    assert progress.amounts["train"] == progress.totals["train"] == 9
    assert len(progress.messages) == 3
    assert "epoch 2 of 3" in progress.messages[1]


def test_train_model_is_silent(toy, capfd, recwarn, tmp_path):
    toy.train(toy.net(), toy.Points(20, 0), toy.Points(6, 1), out=tmp_path)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not recwarn.list


def test_train_model_stops_when_patience_runs_out(toy):
    settings = ("train.epochs=50", "train.patience=2", "train.lr=0.05")
    history = toy.train(toy.net(), toy.Points(40, 0), toy.Points(12, 1, spread=3.0), *settings)
    assert len(history.epochs) == history.best_epoch + 2 < 50


def test_train_model_trains_on_less_than_one_batch(toy):
    history = toy.train(toy.net(), toy.Points(3, 0), toy.Points(3, 1))
    assert len(history.epochs) == 3


@pytest.mark.slow
def test_train_model_weights_the_loss_by_class(toy, device):
    data = toy.Points(40, 0, spread=3.0)
    data.labels = np.array([0] * 36 + [1] * 2 + [2] * 2)
    weights = balanced_class_weights(torch.from_numpy(np.bincount(data.labels)))
    rare = []
    for class_weights in (None, weights):
        model = toy.net()
        toy.train(model, data, data, "train.epochs=20", class_weights=class_weights)
        probabilities = predict_proba(model, data, device, 8)
        rare.append(probabilities[36:, 1:].sum(axis=1).mean())
    assert rare[1] > rare[0] + 0.1


@pytest.mark.slow
def test_train_model_leaves_the_model_in_float32_after_bfloat16(toy):
    model, exact = toy.net(), toy.net()
    data = toy.Points(40, 0), toy.Points(12, 1)
    toy.train(model, *data, "run.precision=bfloat16")
    toy.train(exact, *data)
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())
    assert not torch.equal(model.inner.weight, exact.inner.weight)
    for name, value in exact.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, atol=0.05, rtol=0.5)
    assert model(torch.zeros(1, 8)).logits.dtype == torch.float32
    assert model.forward.__func__ is toy.Net.forward, "accelerate's wrapper must be removed"


def test_train_model_reports_divergence_and_keeps_the_last_checkpoint(toy, tmp_path):
    class Poisoned(toy.Points):
        n_read = 0

        def __getitem__(self, i):
            self.n_read += 1
            sample = super().__getitem__(i)
            return sample if self.n_read <= 30 else {**sample, "x": sample["x"] * float("nan")}

    with pytest.raises(MilmerError, match=r"diverged in epoch 2.*checkpoint-3") as caught:
        toy.train(toy.net(), Poisoned(20, 0), toy.Points(6, 1), out=tmp_path)
    assert "train.lr" in caught.value.hint
    last = checkpoints.last_checkpoint(tmp_path / "checkpoints")
    assert last is not None
    restored = toy.net()
    checkpoints.restore_weights(restored, last / checkpoints.WEIGHTS)
    assert all(torch.isfinite(value).all() for value in restored.state_dict().values())


def test_history_write_csv_writes_every_epoch(toy, tmp_path):
    history = toy.train(toy.net(), toy.Points(20, 0), toy.Points(6, 1))
    history.write_csv(tmp_path / "history.csv")
    rows = read_csv(tmp_path / "history.csv")
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["validation_loss"]) for row in rows] == [
        epoch.validation_loss for epoch in history.epochs
    ]
