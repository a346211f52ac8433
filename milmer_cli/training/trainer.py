"""`fit`: the one way any of our models is trained."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, default_collate
from transformers import set_seed

from milmer_cli.compute import Compute
from milmer_cli.errors import MilmerError
from milmer_cli.progress import SILENT, Level, Progress
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import LearningSettings
from milmer_cli.training import checkpoints
from milmer_cli.training.engine import Engine
from milmer_cli.training.history import History
from milmer_cli.training.optimizer import balanced_weights
from milmer_cli.training.predictions import Batch, Collate, Prepare, as_is
from milmer_cli.training.stopping import stop_wishes
from milmer_cli.training.task import Task


def fit(
    model: nn.Module,
    train_data: Dataset[Batch],
    validation_data: Dataset[Batch],
    settings: Settings,
    out: Path | None,
    compute: Compute,
    progress: Progress = SILENT,
    resume: bool = False,
    *,
    recipe: LearningSettings | None = None,
    class_counts: np.ndarray | None = None,
    choose_by: str = "balanced_accuracy",
    collate: Collate = default_collate,
    prepare: Prepare = as_is,
    task: str = "train",
    level: Level = "info",
) -> History:
    """Train a model and leave it with the weights of its best epoch.

    Parameters
    ----------
    model
        Takes the keys of a batch but ``labels`` and ``index`` as arguments, returns ``logits``.
    train_data, validation_data
        Samples as dictionaries; ``labels`` is an int. The epoch is chosen on ``validation_data``.
    settings
        ``seed`` and ``run`` are used, and ``train`` where there is no ``recipe``.
    out
        Folder in which ``checkpoints/`` is kept; None keeps nothing on disk.
    compute
        Device and precision.
    progress
        Advanced by steps; one line an epoch at ``level``.
    resume
        Go on from the last checkpoint in ``out``, to exactly what an unbroken training gives on the
        same machine. Without it, checkpoints that are there are removed.
    recipe
        How to learn.
    class_counts
        Training samples of each class; needed where the recipe weighs classes.
    choose_by
        ``balanced_accuracy`` or ``macro_f1``, on the validation part; ties go to the lower loss.
    collate
        Samples to a batch.
    prepare
        A batch on the device to the model's arguments (normalising, augmenting).
    task
        Name of the task in progress and messages.
    level
        How loud the line about each epoch is.

    Returns
    -------
    History
        One row an epoch.

    Raises
    ------
    MilmerError
        The loss stopped being a number, memory or disk space ran out.
    KeyboardInterrupt
        Somebody asked to stop; a checkpoint was saved first.
    """
    recipe = recipe or settings.train
    weigh = recipe.class_weights and class_counts is not None
    engine = Engine(
        model,
        train_data,
        validation_data,
        Task(
            recipe=recipe,
            run=settings.run,
            seed=settings.seed,
            compute=compute,
            out=out,
            choose_by=choose_by,
            class_weights=balanced_weights(torch.as_tensor(class_counts)) if weigh else None,
            collate=collate,
            prepare=prepare,
            progress=progress,
            name=task,
            level=level,
        ),
    )
    start_from = _checkpoint(engine, resume)
    if engine.world > 1:
        set_seed(settings.seed + engine.accelerator.process_index)  # dropout differs between them
    if start_from:
        engine.take_up(start_from)
    seconds = _run(engine, start_from)
    return History(
        epochs=tuple(engine.history),
        best_epoch=engine.restore_best(),
        seconds=seconds,
        waiting_share=min(1.0, engine.waiting_s / max(seconds - engine.judging_s, 1e-9)),
        micro_batch=engine.micro_batch or recipe.batch_size,
    )


def _checkpoint(engine: Engine, resume: bool) -> Path | None:
    """Find where to go on, or clear the ground; all processes agree before any goes on."""
    folder = engine.task.folder
    if folder is None:
        return None
    start_from = checkpoints.last_checkpoint(folder) if resume else None
    engine.accelerator.wait_for_everyone()
    if engine.is_main:
        shutil.rmtree(folder / checkpoints.STAGING, ignore_errors=True)
        if start_from is None:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    engine.accelerator.wait_for_everyone()
    return start_from


def _run(engine: Engine, start_from: Path | None) -> float:
    task = engine.task
    n_epochs = task.recipe.epochs
    steps = len(engine.get_train_dataloader())
    done = checkpoints.step_of(start_from) if start_from else 0
    task.progress.start(task.name, steps * n_epochs, "steps")
    if done:
        task.progress.advance(task.name, done)
    start = time.perf_counter()
    if len(engine.history) < n_epochs and not engine.run_out_of_patience:
        with stop_wishes(task.folder is not None) as engine.wish:
            try:
                engine.train(resume_from_checkpoint=str(start_from) if start_from else None)
            except torch.OutOfMemoryError as error:
                raise MilmerError(
                    f"{engine.args.device} has not enough memory for the optimizer or for judging "
                    f"{engine.micro_batch or task.recipe.batch_size} samples at once.",
                    "Set run.micro_batch to a smaller number, or take a smaller backbone.",
                ) from error
    task.progress.done(task.name)
    if engine.interrupted and task.folder:
        last = checkpoints.last_checkpoint(task.folder)
        task.progress.note(f"Stopped as asked; {last} is saved. Go on with --resume.", "warning")
        raise KeyboardInterrupt
    return time.perf_counter() - start
