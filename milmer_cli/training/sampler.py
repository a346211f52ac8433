"""Which samples make up which step: the same for one process and for many.

Every epoch is one permutation of the data, drawn from (seed, epoch) alone, cut into global batches;
a process takes its slice of each global batch. Nothing is repeated to fill up: a process that has
no sample left in the last batch gets a ghost, whose label is ignored by the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

IGNORED = -100
"""Label that the loss leaves out (PyTorch's convention)."""


class EpochBatches(Sampler[list[int]]):
    """Batches of one process, epoch after epoch.

    Parameters
    ----------
    n_samples
        Size of the data set.
    batch_size
        Samples a step over all processes.
    seed
        Seed of the order.
    rank, world
        Which process this is, of how many.
    """

    def __init__(self, n_samples: int, batch_size: int, seed: int, rank: int, world: int) -> None:
        self.n_samples = n_samples
        self.global_batch = batch_size
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to ``epoch``, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return ceil(self.n_samples / self.global_batch)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.n_samples)
        for start in range(0, self.n_samples, self.global_batch):
            batch = order[start : start + self.global_batch]
            mine = [int(sample) for sample in batch[self.rank :: self.world]]
            yield mine or [-1 - int(batch[0])]


class WithGhosts(Dataset[dict[str, Any]]):
    """A data set that answers index ``-1 - i`` with sample ``i``, its label ignored."""

    def __init__(self, data: Dataset[dict[str, Any]]) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= 0:
            return self.data[index]
        sample = dict(self.data[-1 - index])
        sample["labels"] = torch.full_like(torch.as_tensor(sample["labels"]), IGNORED)
        return sample


class EpochLoader(DataLoader[dict[str, Any]]):
    """A loader whose batches follow `EpochBatches`; Trainer tells it the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Go to ``epoch``, counted from 0."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
