"""A moving average of the weights, to be judged and kept in their place (``train.ema_decay``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def learned(model: nn.Module) -> dict[str, torch.Tensor]:
    """Give the weights that a training changes, by name."""
    return {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}


class MovingAverage:
    """Follows what a model learns.

    Parameters
    ----------
    model
        On its device already, and not wrapped.
    decay
        Share of the old average that stays at each step; less in the first steps, whose weights
        are not worth remembering.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._decay = decay
        self._values = {name: value.clone() for name, value in learned(model).items()}

    def follow(self, step: int) -> None:
        """Move a little towards the present weights, after the step of this number."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in learned(self._model).items():
            self._values[name].lerp_(value, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the place of the present weights for a while."""
        present = {name: value.clone() for name, value in learned(self._model).items()}
        self._fill(self._values)
        try:
            yield
        finally:
            self._fill(present)

    def save(self, file: Path) -> None:
        """Write the average."""
        save_file(self._values, file)

    def load(self, file: Path) -> None:
        """Take up an average that `save` wrote."""
        for name, value in load_file(file).items():
            self._values[name].copy_(value)

    def _fill(self, weights: dict[str, torch.Tensor]) -> None:
        for name, value in learned(self._model).items():
            value.copy_(weights[name])
