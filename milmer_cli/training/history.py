"""What happened in a training: one row an epoch, and which epoch was kept."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Attributes
    ----------
    epoch
        From 1.
    train_loss, train_accuracy
        Mean over the samples of the epoch, as they were met (dropout on, weights moving).
    validation_loss
        Mean cross-entropy on the validation part, without class weights or smoothing.
    validation_accuracy, validation_balanced_accuracy, validation_macro_f1
        On the validation part.
    learning_rate
        Of the head, at the end of the epoch.
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


@dataclass(frozen=True)
class History:
    """A finished training.

    Attributes
    ----------
    epochs
        All epochs, in order.
    best_epoch
        The epoch whose weights the model now has.
    seconds
        How long the training took, since it was last started.
    waiting_share
        Share of that time spent waiting for data.
    micro_batch
        Samples that went through the model at once, smaller than the batch when memory was short.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int
    seconds: float
    waiting_share: float
    micro_batch: int

    @property
    def best(self) -> Epoch:
        """The row of the kept epoch."""
        return self.epochs[self.best_epoch - 1]

    def write_csv(self, path: Path) -> None:
        """Write one row an epoch."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(asdict(epoch) for epoch in self.epochs)


def read_history(path: Path) -> tuple[Epoch, ...]:
    """Read what `History.write_csv` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    values = [{name: float(row[name]) for name in COLUMNS[1:]} for row in rows]
    return tuple(
        Epoch(epoch=int(row["epoch"]), **rest) for row, rest in zip(rows, values, strict=True)
    )


def best_of(epochs: Iterable[Epoch], choose_by: str) -> int:
    """Tell which epoch to keep.

    Parameters
    ----------
    epochs
        All epochs so far.
    choose_by
        ``balanced_accuracy`` or ``macro_f1`` of the validation part; among equals the lower
        validation loss wins, then the earlier epoch.

    Returns
    -------
    int
        Number of the epoch, from 1; 0 when there is none.
    """
    best = max(
        epochs,
        key=lambda e: (getattr(e, f"validation_{choose_by}"), -e.validation_loss, -e.epoch),
        default=None,
    )
    return best.epoch if best else 0
