"""The course of a training: metrics of every epoch, and the selection of the best epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from milmer_cli.csv_cells import csv_text
from milmer_cli.io import atomic_write
from milmer_cli.metrics.classification import confusion_matrix, confusion_scores


@dataclass(frozen=True)
class Epoch:
    """Metrics of one epoch.

    Attributes
    ----------
    epoch
        Number, from 1.
    train_loss, train_accuracy
        Mean over the training samples, computed during the epoch (with dropout, while the weights
        change).
    validation_loss
        Mean cross-entropy on the validation set, without class weights or label smoothing. This and
        the following metrics are NaN if the validation set is empty.
    validation_accuracy, validation_balanced_accuracy, validation_macro_f1
        Metrics on the validation set.
    learning_rate
        Learning rate of the head at the end of the epoch.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_balanced_accuracy: float
    validation_macro_f1: float
    learning_rate: float


COLUMNS = tuple(field.name for field in fields(Epoch))
VALIDATION_METRICS = tuple(name for name in COLUMNS if name.startswith("validation_"))


@dataclass(frozen=True)
class History:
    """A finished training.

    Attributes
    ----------
    epochs
        All epochs, in order.
    best_epoch
        Number of the epoch whose weights the model has.
    seconds
        Duration of the training since it was last started or resumed.
    waiting_share
        Fraction of that time spent waiting for data.
    micro_batch_size
        Samples per forward pass; less than the batch size if memory was short.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int
    seconds: float
    waiting_share: float
    micro_batch_size: int

    @property
    def best(self) -> Epoch:
        """Metrics of the best epoch."""
        return self.epochs[self.best_epoch - 1]

    def summary(self, *metrics: str) -> dict[str, Any]:
        """Summarize the training for metrics.json, with these metrics of the best epoch."""
        return {
            "best_epoch": self.best_epoch,
            "epochs": len(self.epochs),
            **{name: getattr(self.best, name) for name in metrics},
            "seconds": self.seconds,
            "waiting_share": self.waiting_share,
            "micro_batch_size": self.micro_batch_size,
        }

    def write_csv(self, path: Path) -> None:
        """Write one row per epoch."""
        rows = [[asdict(epoch)[name] for name in COLUMNS] for epoch in self.epochs]
        atomic_write(path, csv_text([COLUMNS, *rows]))


def validation_metrics(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Compute the entries of `Epoch` that come from the validation set.

    Parameters
    ----------
    labels
        (n_samples,) int.
    logits
        (n_samples, n_classes) float64.

    Returns
    -------
    dict
        All values are NaN without samples.
    """
    if not len(labels):
        return dict.fromkeys(VALIDATION_METRICS, np.nan)
    log_probabilities = log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    scores = confusion_scores(confusion_matrix(labels, logits.argmax(axis=1), logits.shape[1]))
    return {
        "validation_loss": float(-log_probabilities.mean()),
        "validation_accuracy": float(scores["accuracy"]),
        "validation_balanced_accuracy": float(scores["balanced_accuracy"]),
        "validation_macro_f1": float(scores["macro_f1"]),
    }


def select_epoch(epochs: Sequence[Epoch], metric: str) -> int:
    """Select the best epoch.

    Parameters
    ----------
    epochs
        All epochs so far.
    metric
        ``balanced_accuracy`` or ``macro_f1``, on the validation set. Ties are broken by the lower
        validation loss, then by the earlier epoch. Without a validation set, the last epoch is
        selected: the training set must not select it.

    Returns
    -------
    int
        Number of the epoch, from 1; 0 if there are no epochs.
    """
    if epochs and np.isnan(epochs[-1].validation_loss):
        return epochs[-1].epoch
    best = max(
        epochs,
        key=lambda e: (getattr(e, f"validation_{metric}"), -e.validation_loss, -e.epoch),
        default=None,
    )
    return best.epoch if best else 0


def epochs_since_best(epochs: Sequence[Epoch], metric: str) -> int:
    """Count the epochs after the best one; arguments as for `select_epoch`."""
    return len(epochs) - select_epoch(epochs, metric)
