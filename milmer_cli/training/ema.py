"""Exponential moving average of the weights (``train.ema_decay``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import TrainerCallback

from milmer_cli.training.optimization import trainable_parameters


class WeightAverageCallback(TrainerCallback):
    """Updates the moving average after every step.

    Parameters
    ----------
    model
        The model, on its device and not wrapped.
    decay
        Weight of the previous average in each update. In the first steps it is smaller, so that the
        untrained weights do not dominate the average.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._averaged = AveragedModel(model)
        # AveragedModel copies at its first update: the average starts at the initial weights
        self._averaged.update_parameters(model)

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: nn.Module, **kwargs: Any
    ) -> None:
        """Update the average with the weights after the step."""
        decay = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
        self._averaged.multi_avg_fn = get_ema_multi_avg_fn(decay)
        self._averaged.update_parameters(model)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averaged weights for the duration of the context.

        The copy of the model inside AveragedModel is never run: a compiled forward pass would use
        the weights of the original.
        """
        current = {name: p.clone() for name, p in trainable_parameters(model).items()}
        _assign(model, trainable_parameters(self._averaged.module))
        try:
            yield
        finally:
            _assign(model, current)

    def save(self, path: Path) -> None:
        """Write the average to a safetensors file."""
        save_file(trainable_parameters(self._averaged.module), path)

    def load(self, path: Path) -> None:
        """Restore an average that `save` wrote."""
        _assign(self._averaged.module, load_file(path))


def _assign(model: nn.Module, values: Mapping[str, torch.Tensor]) -> None:
    for name, parameter in trainable_parameters(model).items():
        parameter.copy_(values[name])
