"""Selection of the best epoch."""

from __future__ import annotations

import numpy as np

from milmer_cli.training.history import (
    Epoch,
    epochs_since_best,
    select_epoch,
    validation_metrics,
)


def epoch(number: int, balanced: float, f1: float, loss: float) -> Epoch:
    return Epoch(number, 0, 0, loss, 0, balanced, f1, 0)


EPOCHS = [
    epoch(1, 0.5, 0.9, 3),
    epoch(2, 0.7, 0.1, 2),
    epoch(3, 0.7, 0.9, 1),
    epoch(4, 0.7, 0, 1),
]


def test_select_epoch_breaks_ties_by_loss_then_by_order():
    assert select_epoch(EPOCHS, "balanced_accuracy") == 3
    assert select_epoch(EPOCHS[:2], "macro_f1") == 1
    assert select_epoch([], "macro_f1") == 0


def test_epochs_since_best_counts_the_epochs_after_the_best():
    assert epochs_since_best(EPOCHS, "balanced_accuracy") == 1
    assert epochs_since_best([], "balanced_accuracy") == 0


def test_select_epoch_without_a_validation_set_is_the_last():
    metrics = validation_metrics(np.zeros(0, int), np.zeros((0, 4)))
    epochs = [Epoch(n, 1 / n, 0.5, learning_rate=0.1, **metrics) for n in (1, 2, 3)]
    assert select_epoch(epochs, "macro_f1") == 3
    assert epochs_since_best(epochs, "macro_f1") == 0
