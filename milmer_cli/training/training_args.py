"""The definition of a training, and its translation to transformers' TrainingArguments."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from transformers import TrainingArguments

from milmer_cli.device import Device
from milmer_cli.inference.predict_proba import BatchTransform, no_transform
from milmer_cli.progress import SILENT, Level, Progress
from milmer_cli.settings.schema import LearningSettings, RunSettings

Metric = Literal["balanced_accuracy", "macro_f1"]


@dataclass(frozen=True)
class TrainingLog:
    """Where a training reports its progress.

    Attributes
    ----------
    progress
        Receives the steps and messages.
    task
        Name of the training in the progress display and in messages.
    epoch_level
        Level of the message about each epoch.
    """

    progress: Progress = SILENT
    task: str = "train"
    epoch_level: Level = "step"


@dataclass(frozen=True)
class TrainingSpec:
    """Everything that defines a training, except the model and the data.

    Attributes
    ----------
    learning
        Epochs, batch size, optimizer and schedule.
    run
        Precision, data loading and checkpoint interval.
    seed
        Seed of the order of the samples and of dropout.
    device
        Device and precision.
    out
        Folder in which ``checkpoints/`` is created, or None to write nothing.
    metric_for_best_model
        Metric on the validation set that selects the epoch.
    class_weights
        Weights of the classes in the loss, (n_classes,), or None.
    transform
        Converts a batch on the device to the arguments of the model (normalization, augmentation).
    log
        Progress display and messages.
    """

    learning: LearningSettings
    run: RunSettings
    seed: int
    device: Device
    out: Path | None = None
    metric_for_best_model: Metric = "balanced_accuracy"
    class_weights: torch.Tensor | None = None
    transform: BatchTransform = no_transform
    log: TrainingLog = TrainingLog()

    @property
    def checkpoint_dir(self) -> Path | None:
        """Folder of the checkpoints, or None if none are written."""
        return self.out / "checkpoints" if self.out else None


def training_arguments(spec: TrainingSpec) -> TrainingArguments:
    """Translate a `TrainingSpec`; `FlowCallback` replaces Trainer's own logging and saving."""
    learning, device = spec.learning, spec.device
    n_workers = spec.run.dataloader_num_workers
    arguments = TrainingArguments(
        # Trainer creates this folder even if nothing is saved
        output_dir=str(spec.checkpoint_dir or tempfile.gettempdir()),
        num_train_epochs=learning.epochs,
        learning_rate=learning.lr,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": learning.min_lr_ratio},
        warmup_steps=learning.warmup_ratio,
        max_grad_norm=learning.max_grad_norm,
        bf16=device.precision == "bfloat16",
        fp16=device.precision == "float16",
        use_cpu=device.type == "cpu",
        seed=spec.seed,
        logging_strategy="epoch",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=device.dataloader_num_workers if n_workers < 0 else n_workers,
        dataloader_pin_memory=device.type == "cuda",
        disable_tqdm=True,
        log_level="error",
        report_to="none",
    )
    # several GPUs are used by several processes, never by DataParallel
    arguments.per_device_train_batch_size = max(1, learning.batch_size // arguments.world_size)
    arguments._n_gpu = min(arguments._n_gpu, 1)
    return arguments
