"""The loop that runs a model over a data set: batches -> device -> outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
from torch.utils.data import DataLoader, Dataset

from milmer_cli.device import Device
from milmer_cli.inference.backbone_engine import backbone_engine
from milmer_cli.progress import SILENT, Progress

Batch = dict[str, Any]
BatchTransform = Callable[[Batch, bool], Batch]
"""Convert a batch on the device to the arguments of the model; the flag states whether the model is
in training."""
T = TypeVar("T")
METADATA = ("labels", "index")
"""Keys of a batch that are not given to the model for inference."""


def no_transform(batch: Batch, training: bool) -> Batch:
    """Return the batch unchanged."""
    return batch


def predict_proba(
    model: nn.Module,
    data: Dataset[Batch],
    device: Device,
    batch_size: int,
    progress: Progress = SILENT,
    *,
    transform: BatchTransform = no_transform,
    task: str = "predict",
) -> np.ndarray:
    """Predict class probabilities.

    Parameters
    ----------
    model
        A model whose output has ``logits``.
    data
        Samples as dictionaries: the input of ``transform``, and `METADATA`.
    device
        Device and precision.
    batch_size
        Samples of a forward pass; affects the result by rounding only.
    progress
        Advanced by samples, as ``task``.
    transform
        Converts a batch to the arguments of the model.

    Returns
    -------
    numpy.ndarray
        (n_samples, n_classes) float64, in the order of the data set.
    """
    _, logits = predict_logits(
        model, data, device, batch_size, progress, transform=transform, task=task
    )
    return np.asarray(softmax(logits, axis=1))


def predict_logits(
    model: nn.Module,
    data: Dataset[Batch],
    device: Device,
    batch_size: int,
    progress: Progress = SILENT,
    *,
    transform: BatchTransform = no_transform,
    task: str = "predict",
) -> tuple[np.ndarray, np.ndarray]:
    """Predict logits.

    Parameters are those of `predict_proba`.

    Returns
    -------
    labels
        (n_samples,) int64; empty if the samples have no ``labels``.
    logits
        (n_samples, n_classes) float64.
    """

    def logits_of(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        output = model(**transform(model_inputs(batch), False))
        labels = batch["labels"].cpu().numpy() if "labels" in batch else np.zeros(0, np.int64)
        return labels, output.logits.float().cpu().double().numpy()

    outputs = map_batches(logits_of, model, data, device, batch_size, progress, task)
    if not outputs:
        config: Any = model.config
        return np.zeros(0, np.int64), np.zeros((0, config.num_labels))
    labels, logits = zip(*outputs, strict=True)
    return np.concatenate(labels), np.concatenate(logits)


def map_batches(
    function: Callable[[Batch], T],
    model: nn.Module,
    data: Dataset[Batch],
    device: Device,
    batch_size: int,
    progress: Progress = SILENT,
    task: str = "predict",
) -> list[T]:
    """Call a function on every batch of a data set, in inference mode.

    Parameters
    ----------
    function
        Called with a batch on the device, under the autocast of the device.
    model
        The model that ``function`` calls; it is moved to the device and set to evaluation mode.
    data, device, batch_size, progress, task
        As for `predict_proba`.

    Returns
    -------
    list
        The results of the function, in order.
    """
    model.to(device.type).eval()
    n_samples = len(data)  # type: ignore[arg-type]
    progress.start(task, n_samples, "samples")
    results = []
    if n_samples:
        with backbone_engine(model, device, n_samples, progress):
            # a generator of its own, so that iterating does not draw from torch's default generator
            for batch in DataLoader(data, batch_size, generator=torch.Generator()):
                results.append(run_batch(function, batch, device))
                progress.advance(task, len(next(iter(batch.values()))))
    progress.done(task)
    return results


def run_batch(function: Callable[[Batch], T], batch: Batch, device: Device) -> T:
    """Call a function on one batch on the device, in inference mode and the device's precision."""
    on_device = {name: values.to(device.type) for name, values in batch.items()}
    with torch.inference_mode(), device.autocast():
        return function(on_device)


def model_inputs(batch: Batch) -> Batch:
    """Return a batch without its `METADATA`."""
    return {name: values for name, values in batch.items() if name not in METADATA}
