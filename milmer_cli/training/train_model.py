"""`train_model`: the one function that trains a network."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import set_seed

from milmer_cli.errors import MilmerError
from milmer_cli.inference.predict_proba import Batch
from milmer_cli.partial_files import remove_tree, require_no_link
from milmer_cli.training import checkpoints
from milmer_cli.training.history import History
from milmer_cli.training.trainer import MilmerTrainer
from milmer_cli.training.training_args import TrainingSpec


def train_model(
    model: nn.Module,
    train_data: Dataset[Batch],
    validation_data: Dataset[Batch],
    spec: TrainingSpec,
    resume: bool = False,
) -> History:
    """Train a model and load the weights of its best epoch.

    Parameters
    ----------
    model
        Its forward pass takes the entries of a batch except ``labels`` and ``index``, and returns
        ``logits``. Changed in place.
    train_data
        Samples as dictionaries; ``labels`` is an int.
    validation_data
        Samples that select the epoch; if there are none, the last epoch is used.
    spec
        Training settings, device, output folder and more.
    resume
        Continue from the last checkpoint in ``spec.out``. On the same machine, the result equals
        that of a training without interruption. If False, existing checkpoints are removed.

    Returns
    -------
    History
        Metrics of every epoch.

    Raises
    ------
    MilmerError
        The training diverged, or memory or disk space ran out.
    KeyboardInterrupt
        The training was asked to stop; it saved a checkpoint first.
    """
    trainer = MilmerTrainer(model, train_data, validation_data, spec)
    checkpoint = _prepare_checkpoints(trainer, resume)
    if trainer.world_size > 1:  # dropout must differ between the processes
        set_seed(spec.seed + trainer.accelerator.process_index)
    if checkpoint:
        trainer.resume(checkpoint)
    seconds = _run(trainer, checkpoint)
    trainer.restore_best_epoch()
    return History(
        epochs=tuple(trainer.history),
        best_epoch=trainer.best_epoch,
        seconds=seconds,
        waiting_share=min(1.0, trainer.waiting_s / max(seconds - trainer.validation_s, 1e-9)),
        micro_batch_size=trainer.micro_batch_size or spec.learning.batch_size,
    )


def _prepare_checkpoints(trainer: MilmerTrainer, resume: bool) -> Path | None:
    """Find the checkpoint to resume from, and remove incomplete or unused ones.

    The barriers let every process find the same checkpoint before the first one removes anything.
    """
    folder = trainer.spec.checkpoint_dir
    if folder is None:
        return None
    checkpoint = None
    if resume:
        require_no_link(folder)
        has_average = trainer.weight_average is not None
        parts = checkpoints.required_parts(trainer.world_size, has_average)
        checkpoint = checkpoints.checkpoint_to_resume(folder, parts, trainer.spec.log.progress)
    trainer.accelerator.wait_for_everyone()
    if trainer.is_main_process:
        if checkpoint is None:
            remove_tree(folder)
        remove_tree(folder / checkpoints.STAGING)
        folder.mkdir(parents=True, exist_ok=True)
    trainer.accelerator.wait_for_everyone()
    return checkpoint


def _run(trainer: MilmerTrainer, checkpoint: Path | None) -> float:
    """Run the remaining epochs, and return the duration in seconds."""
    spec, log = trainer.spec, trainer.spec.log
    n_epochs = spec.learning.epochs
    log.progress.start(log.task, len(trainer.get_train_dataloader()) * n_epochs, "steps")
    if checkpoint:
        log.progress.advance(log.task, checkpoints.step_of(checkpoint))
    start = time.perf_counter()
    if len(trainer.history) < n_epochs and not trainer.flow.out_of_patience:
        with trainer.stop_request.listening(enabled=spec.checkpoint_dir is not None):
            try:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            except torch.OutOfMemoryError as error:
                size = trainer.micro_batch_size or spec.learning.batch_size
                raise MilmerError(
                    f"{trainer.args.device} has too little memory for the optimizer, or for a "
                    f"validation batch of {size}.",
                    "Set run.micro_batch_size to a smaller number, or use a smaller backbone.",
                ) from error
    log.progress.done(log.task)
    if trainer.flow.interrupted and spec.checkpoint_dir:
        last = checkpoints.last_checkpoint(spec.checkpoint_dir)
        log.progress.note(
            f"Stopped; {last} is saved. Run the same command again to continue.", "warning"
        )
        raise KeyboardInterrupt
    return time.perf_counter() - start
