"""Small models and data sets to train in a second."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from milmer_cli.compute import Compute
from milmer_cli.settings import Settings, load_settings


@dataclass
class Output:
    logits: torch.Tensor


class Net(nn.Module):
    """Three classes from eight numbers, with dropout so that random numbers matter."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 16)
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> Output:
        return Output(self.outer(self.dropout(torch.relu(self.inner(x)))))


class Points(Dataset):
    """Three clouds of points, one a class; the same for the same seed."""

    def __init__(self, n: int, seed: int, spread: float = 0.5) -> None:
        draw = np.random.default_rng(seed)
        self.labels = draw.permutation(np.arange(n) % 3)
        centres = np.random.default_rng(99).normal(size=(3, 8))
        points = centres[self.labels] + spread * draw.normal(size=(n, 8))
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


@pytest.fixture(scope="session")
def compute() -> Compute:
    return Compute.choose(settings().run)


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    """Everything above, for tests that train."""
    return SimpleNamespace(Net=Net, Points=Points, Output=Output, net=net, settings=settings)
