"""Callbacks of the training loop: progress, and when to evaluate, save and stop."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from transformers import TrainerCallback

from milmer_cli.training.graceful_stop import StopRequest
from milmer_cli.training.history import Epoch, epochs_since_best
from milmer_cli.training.training_args import TrainingSpec


class LogCallback(TrainerCallback):
    """Reports every step and every epoch to the progress display.

    Parameters
    ----------
    spec
        The training.
    history
        The epochs so far, including the one that was just evaluated.
    """

    def __init__(self, spec: TrainingSpec, history: list[Epoch]) -> None:
        self._spec = spec
        self._history = history

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance the progress display."""
        self._spec.log.progress.advance(self._spec.log.task)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the metrics of the epoch."""
        log, epoch = self._spec.log, self._history[-1]
        log.progress.note(
            f"{log.task}: epoch {epoch.epoch} of {self._spec.learning.epochs}, "
            f"loss {epoch.train_loss:.3f} {self._describe_validation(epoch)}",
            log.epoch_level,
        )

    def _describe_validation(self, epoch: Epoch) -> str:
        if math.isnan(epoch.validation_loss):
            return "(no validation set)"
        is_best = epochs_since_best(self._history, self._spec.metric_for_best_model) == 0
        return (
            f"(validation {epoch.validation_loss:.3f}), "
            f"validation accuracy {epoch.validation_accuracy:.1%}, "
            f"balanced {epoch.validation_balanced_accuracy:.1%}"
            + (", best so far" if is_best else "")
        )


class FlowCallback(TrainerCallback):
    """Decides when the training evaluates, saves a checkpoint and stops.

    Parameters
    ----------
    spec
        The training.
    history
        The epochs so far, including the one that was just evaluated.
    stop_request
        Whether the user or the cluster asked the training to stop.

    Attributes
    ----------
    interrupted
        Whether the training stops because of ``stop_request``.
    """

    def __init__(self, spec: TrainingSpec, history: list[Epoch], stop_request: StopRequest) -> None:
        self._spec = spec
        self._history = history
        self._stop_request = stop_request
        self._saved_at = time.monotonic()
        self._saving_started = self._saved_at
        self._saving_s = 0.0
        self.interrupted = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Save, and stop if requested; after the last step of an epoch, that waits for its end."""
        steps_per_epoch = state.max_steps // args.num_train_epochs
        # every process makes these two decisions in every step: `_any_process` needs all of them
        stop = _any_process(self._stop_request.received)
        save = _any_process(self._checkpoint_is_due())
        if state.global_step % steps_per_epoch:
            self.interrupted = stop
            control.should_training_stop = stop
            control.should_save = stop or save
        self._saving_started = time.monotonic()
        return control

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Evaluate, and save unless saving is slow."""
        if not self.interrupted:
            control.should_evaluate = True
            control.should_save = _any_process(self._saving_is_cheap())
        return control

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Stop if requested or if the validation metric has not improved for too long."""
        self.interrupted = _any_process(self._stop_request.received)
        control.should_save |= self.interrupted
        control.should_training_stop |= self.interrupted or self.out_of_patience
        self._saving_started = time.monotonic()
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure how long saving took."""
        self._saved_at = time.monotonic()
        self._saving_s = self._saved_at - self._saving_started

    @property
    def out_of_patience(self) -> bool:
        """Whether `patience` epochs have passed without an improvement."""
        patience = self._spec.learning.patience
        since_best = epochs_since_best(self._history, self._spec.metric_for_best_model)
        return 0 < patience <= since_best

    def _checkpoint_is_due(self) -> bool:
        interval_s = 60 * self._spec.run.checkpoint_interval_min
        overdue = time.monotonic() - self._saved_at > interval_s
        return overdue and self._spec.checkpoint_dir is not None

    def _saving_is_cheap(self) -> bool:
        """Whether saving now takes at most a tenth of the training time."""
        since_last_save_s = time.monotonic() - self._saved_at
        return self._saving_s < 1 or since_last_save_s > 10 * self._saving_s


def _any_process(flag: bool) -> bool:
    """Whether the flag is set in any process. Every process must call it equally often."""
    state = PartialState()
    if state.num_processes == 1:
        return flag
    flags = torch.tensor(int(flag), device=state.device)
    return bool(reduce(flags, reduction="sum").item())
