"""What a training is told, and what Trainer is told of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import TrainingArguments

from milmer_cli.compute import Compute
from milmer_cli.progress import Level, Progress
from milmer_cli.settings.schema import LearningSettings, RunSettings
from milmer_cli.training.predictions import Collate, Prepare


@dataclass(frozen=True)
class Task:
    """All that a training is told besides its model and data.

    Attributes
    ----------
    recipe
        How to learn.
    run
        Where and how fast.
    seed
        Of the order of samples and of dropout.
    compute
        Device and precision.
    out
        Folder in which ``checkpoints/`` is kept, or None to keep nothing on disk.
    choose_by
        Validation score that chooses the epoch: ``balanced_accuracy`` or ``macro_f1``.
    class_weights
        Weights of the classes in the loss, (n_classes,), or None.
    collate, prepare
        Samples to a batch; a batch on the device to the model's arguments.
    progress, name, level
        Who listens, what the task is called, and how loud the line about each epoch is.
    """

    recipe: LearningSettings
    run: RunSettings
    seed: int
    compute: Compute
    out: Path | None
    choose_by: str
    class_weights: torch.Tensor | None
    collate: Collate
    prepare: Prepare
    progress: Progress
    name: str
    level: Level

    @property
    def folder(self) -> Path | None:
        """Where checkpoints are kept."""
        return self.out / "checkpoints" if self.out else None


def training_arguments(task: Task) -> TrainingArguments:
    """Say it in Trainer's words: silent, with no checkpoints or judging but ours."""
    recipe, compute = task.recipe, task.compute
    device = torch.device(compute.device)
    workers = task.run.loader_workers
    arguments = TrainingArguments(
        # Trainer makes this folder even when nothing is to be kept
        output_dir=str(task.folder or tempfile.gettempdir()),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.lr,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": recipe.final_lr_ratio},
        warmup_steps=recipe.warmup,
        max_grad_norm=recipe.clip_norm,
        bf16=compute.precision == "bfloat16",
        fp16=compute.precision == "float16",
        use_cpu=device.type == "cpu",
        seed=task.seed,
        logging_strategy="epoch",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=compute.loader_workers if workers < 0 else workers,
        dataloader_pin_memory=device.type == "cuda",
        disable_tqdm=True,
        log_level="error",
        report_to="none",
    )
    # several cards are used through several processes, never through DataParallel
    arguments.per_device_train_batch_size = max(1, recipe.batch_size // arguments.world_size)
    arguments._n_gpu = min(arguments._n_gpu, 1)
    return arguments
