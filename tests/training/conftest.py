"""A small model and small data sets, which train within a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from milmer_cli.device import Device
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings, load_settings
from milmer_cli.training.history import History
from milmer_cli.training.train_model import train_model
from milmer_cli.training.training_args import TrainingLog, TrainingSpec


@dataclass
class Output:
    logits: torch.Tensor


class Net(nn.Module):
    """Classifies eight numbers into three classes, with dropout so that random numbers matter."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 16)
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> Output:
        return Output(self.outer(self.dropout(torch.relu(self.inner(x)))))


class Points(Dataset):
    """Three clouds of points, one per class; equal seeds give equal points."""

    def __init__(self, n: int, seed: int, spread: float = 0.5) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(n) % 3)
        centers = np.random.default_rng(99).normal(size=(3, 8))
        points = centers[self.labels] + spread * rng.normal(size=(n, 8))
        self.x = torch.from_numpy(points).float()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return {
            "x": self.x[i],
            "labels": torch.tensor(int(self.labels[i])),
            "index": torch.tensor(i),
        }


def net(seed: int = 0, dropout: float = 0.1) -> Net:
    torch.manual_seed(seed)
    return Net(dropout)


def settings(*overrides: str) -> Settings:
    base = [
        "train.epochs=3",
        "train.batch_size=8",
        "train.lr=0.01",
        "run.report_to=none",
        "run.device=cpu",
    ]
    return load_settings(overrides=[*base, *overrides])


def train(
    model: nn.Module,
    train_data: Dataset,
    validation_data: Dataset,
    *overrides: str,
    out: Path | None = None,
    progress: Progress = SILENT,
    resume: bool = False,
    class_weights: torch.Tensor | None = None,
) -> History:
    """Train with `settings`."""
    chosen = settings(*overrides)
    spec = TrainingSpec(
        learning=chosen.train,
        run=chosen.run,
        seed=chosen.seed,
        device=Device.from_settings(chosen.run),
        out=out,
        class_weights=class_weights,
        log=TrainingLog(progress),
    )
    return train_model(model, train_data, validation_data, spec, resume)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy the weights of a model."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal_weights(a: nn.Module, b: nn.Module) -> None:
    """Check that two models have the same weights, bit for bit."""
    others = b.state_dict()
    for name, value in a.state_dict().items():
        assert torch.equal(value, others[name]), name


@pytest.fixture(scope="session")
def toy() -> SimpleNamespace:
    """Everything above, for tests that train."""
    return SimpleNamespace(
        Net=Net,
        Points=Points,
        net=net,
        settings=settings,
        train=train,
        weights=weights,
        assert_equal_weights=assert_equal_weights,
    )


@pytest.fixture(scope="session")
def device() -> Device:
    return Device.from_settings(settings().run)


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip flushing to the disk: it is slow on a busy disk, and only matters in a power failure."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
