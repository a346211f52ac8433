"""A model's probabilities for a data set: one path for validation, evaluation and prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, default_collate

from milmer_cli.compute import Compute
from milmer_cli.progress import SILENT, Progress

Batch = dict[str, Any]
Prepare = Callable[[Batch, bool], Batch]
"""Turns a batch on the device into the model's arguments; the flag says whether it is training."""
Collate = Callable[[list[Batch]], Batch]


def as_is(batch: Batch, training: bool) -> Batch:
    """Give the batch to the model as it is."""
    return batch


def predict_probabilities(
    model: nn.Module,
    data: Dataset[Batch],
    compute: Compute,
    batch_size: int,
    progress: Progress = SILENT,
    *,
    collate: Collate = default_collate,
    prepare: Prepare = as_is,
    task: str = "predict",
) -> np.ndarray:
    """Run a model over a data set.

    Parameters
    ----------
    model
        Anything whose output has ``logits``; it is put on the device, and left in evaluation mode.
    data
        Samples as dictionaries of the model's arguments; ``labels`` and ``index`` are held back.
    compute
        Device and precision.
    batch_size
        Samples a forward pass; it changes nothing but rounding.
    progress
        Advanced by samples.

    Returns
    -------
    ndarray
        Probabilities, (n_samples, n_classes) float64, in the order of the data set.
    """
    n_samples = len(data)  # type: ignore[arg-type]
    progress.start(task, n_samples, "samples")
    _, logits = _run(
        model.to(compute.device), data, compute, batch_size, collate, prepare, progress, task
    )
    progress.done(task)
    return softmax(logits)


def outputs_of_share(
    model: nn.Module,
    data: Dataset[Batch],
    compute: Compute,
    batch_size: int,
    collate: Collate,
    prepare: Prepare,
    rank: int,
    world: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run a model over one process's share of a data set.

    Returns
    -------
    indices, labels, logits
        Which samples, (n,) int64, their classes, (n,) int64, and logits, (n, n_classes) float64.
    """
    indices = np.arange(rank, len(data), world)  # type: ignore[arg-type]
    share = data if world == 1 else Subset(data, indices.tolist())
    return indices, *_run(model, share, compute, batch_size, collate, prepare, SILENT, "")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities from logits, (n, n_classes)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the probabilities, (n, n_classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _run(
    model: nn.Module,
    data: Dataset[Batch],
    compute: Compute,
    batch_size: int,
    collate: Collate,
    prepare: Prepare,
    progress: Progress,
    task: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (empty where the data set has none) and logits, in the order of the data set."""
    if len(data) == 0:  # type: ignore[arg-type]
        return np.zeros(0, np.int64), np.zeros((0, model.config.num_labels))  # type: ignore
    loader = DataLoader(data, batch_size, collate_fn=collate, generator=torch.Generator())
    model.eval()
    rows, labels = [], []
    with torch.inference_mode(), compute.autocast():
        for batch in loader:
            batch.pop("index", None)
            if "labels" in batch:
                labels.append(batch.pop("labels").cpu())
            inputs = prepare({k: v.to(compute.device) for k, v in batch.items()}, False)
            rows.append(model(**inputs).logits.float().cpu())
            progress.advance(task, len(rows[-1]))
    truth = torch.cat(labels).numpy() if labels else np.zeros(0, np.int64)
    return truth, torch.cat(rows).double().numpy()
