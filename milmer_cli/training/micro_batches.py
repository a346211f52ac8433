"""Gradient accumulation over micro-batches, which get smaller when memory runs out."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import nn
from transformers import Trainer

from milmer_cli.errors import MilmerError
from milmer_cli.inference.predict_proba import Batch
from milmer_cli.training.training_args import TrainingSpec


class MicroBatchTrainer(Trainer):
    """Trainer that runs each batch in micro-batches of a size that fits into memory.

    If the device runs out of memory, the step is repeated from its beginning with half the
    micro-batch size, down to single samples. The gradients of the micro-batches add up to those of
    the whole batch, so the training continues with the same batch size; only random numbers
    (dropout) differ. The smaller size is kept for the rest of the training.

    With several processes the step cannot be repeated: the other processes have finished their part
    of it, and wait for the gradients. Then the training fails with a hint.

    Attributes
    ----------
    spec
        The training.
    micro_batch_size
        Samples per forward pass; 0 for the whole batch.
    epoch_sums
        Sums over the samples of the current epoch, (3,): loss, correct predictions, samples. The
        loss function updates them, so a repeated step resets them.
    """

    spec: TrainingSpec
    micro_batch_size: int
    epoch_sums: torch.Tensor

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return int(self.accelerator.num_processes)

    def training_step(
        self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Run the forward and backward pass of a batch."""
        n_samples = len(inputs["labels"])
        sums_before_step = self.epoch_sums.clone()
        while True:
            size = min(self.micro_batch_size or n_samples, n_samples)
            try:
                return self._accumulate(model, inputs, num_items_in_batch, size)
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
                if size == 1 or self.world_size > 1:
                    raise MilmerError(
                        f"{self.args.device} has too little memory for a micro-batch of {size}.",
                        "Set run.micro_batch_size to a smaller number, or use a smaller backbone.",
                    ) from error
            # after the except block, because the traceback of the error references the tensors
            self.epoch_sums.copy_(sums_before_step)
            model.zero_grad()
            if self.args.device.type == "cuda":
                torch.cuda.empty_cache()
            self.micro_batch_size = math.ceil(size / 2)
            self.spec.log.progress.note(
                f"Out of memory with a micro-batch of {size}: continuing with "
                f"{self.micro_batch_size}, accumulated to the same batch of "
                f"{self.spec.learning.batch_size}.",
                "warning",
            )

    def _accumulate(
        self, model: nn.Module, inputs: Batch, num_items_in_batch: Any, size: int
    ) -> torch.Tensor:
        """Accumulate the gradients of micro-batches; the processes synchronize at the last one."""
        starts = range(0, len(inputs["labels"]), size)
        total = torch.zeros((), device=self.args.device)
        for start in starts:
            micro_batch = {name: value[start : start + size] for name, value in inputs.items()}
            is_last = start == starts[-1]
            with nullcontext() if is_last else self.accelerator.no_sync(model):
                total += super().training_step(model, micro_batch, num_items_in_batch)
        return total
