"""Batches that do not depend on the number of processes.

Each epoch is one permutation of the data set, drawn from (seed, epoch) only, and cut into global
batches. Each process takes its share of every global batch, so that training with several processes
gives the same gradients as training with one.

torch's DistributedSampler repeats samples to give every process equally many. Here no sample is
repeated. If the last global batch has fewer samples than there are processes, a process without a
sample gets a placeholder instead: a sample whose label is `IGNORE_INDEX`. It takes part in the
forward and backward pass, which all processes must run together, and adds nothing to the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

IGNORE_INDEX = -100
"""Label that cross-entropy ignores (PyTorch's default)."""


class DistributedBatchSampler(Sampler[list[int]]):
    """Batches of one process.

    Parameters
    ----------
    n_samples
        Size of the data set.
    batch_size
        Samples per step, over all processes.
    seed
        Seed of the permutations.
    rank, world_size
        Number of this process, from 0, and number of processes.
    """

    def __init__(
        self, n_samples: int, batch_size: int, seed: int, rank: int, world_size: int
    ) -> None:
        self.n_samples = n_samples
        self.global_batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return ceil(self.n_samples / self.global_batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.n_samples)
        for start in range(0, self.n_samples, self.global_batch_size):
            batch = order[start : start + self.global_batch_size]
            share = [int(sample) for sample in batch[self.rank :: self.world_size]]
            yield share or [-1 - int(batch[0])]  # the placeholder


class PlaceholderDataset(Dataset[dict[str, Any]]):
    """A data set that gives sample ``i`` with an ignored label for the index ``-1 - i``."""

    def __init__(self, data: Dataset[dict[str, Any]]) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= 0:
            return self.data[index]
        sample = dict(self.data[-1 - index])
        sample["labels"] = torch.full_like(torch.as_tensor(sample["labels"]), IGNORE_INDEX)
        return sample


class EpochDataLoader(DataLoader[dict[str, Any]]):
    """A loader that forwards the epoch, which Trainer sets, to its `DistributedBatchSampler`."""

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch, counted from 0."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
