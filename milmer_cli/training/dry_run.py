"""``--dry-run`` of trainings: the size of a training, and the measured time of a few steps."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import TrainerCallback

from milmer_cli.data.augmentation import BagAugmentation
from milmer_cli.data.dataset import Bag, BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.inference.predict_proba import Batch
from milmer_cli.models import MilmerModel
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import LearningSettings
from milmer_cli.stage_result import StageResult
from milmer_cli.training.eeg_amplitude import standardize_amplitude
from milmer_cli.training.fit_fold import new_model
from milmer_cli.training.trainer import MilmerTrainer
from milmer_cli.training.training_args import TrainingLog, TrainingSpec

N_STEPS = 6
N_WARMUP_STEPS = 2
"""First steps that are not counted: memory is allocated, and kernels are selected or compiled."""

N_VALIDATION_BATCHES = 2


@dataclass(frozen=True, repr=False)
class DryRunResult(StageResult):
    """The size and speed of a training that was not run.

    Attributes
    ----------
    device
        Description of the device and the precision.
    protocol
        What the training, validation and test sets do not share.
    segments_per_class
        Number of segments, by set and class.
    n_parameters, n_trainable_parameters
        Of the model.
    n_steps
        Steps of the whole training.
    step_s
        Median duration of a step, in seconds.
    training_s
        Duration of all steps, in seconds; without validation and face tokens.
    face_tokens_s, face_tokens_bytes
        Time to compute the face tokens of a frozen backbone, in seconds, and their size on the
        disk; 0 if it is not frozen.
    micro_batch_size
        Samples per forward pass; less than the batch size if memory was short.
    """

    format_name: ClassVar[str] = "train-dry-run"

    device: str
    protocol: str
    segments_per_class: dict[str, dict[str, int]]
    n_parameters: int
    n_trainable_parameters: int
    n_steps: int
    step_s: float
    training_s: float
    face_tokens_s: float
    face_tokens_bytes: int
    micro_batch_size: int

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return asdict(self)

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value for the terminal."""
        rows = [("device", self.device), ("protocol", self.protocol)]
        for name, counts in self.segments_per_class.items():
            classes = ", ".join(f"{count} {label}" for label, count in counts.items())
            rows.append((f"{name} set", f"{sum(counts.values())} segments: {classes}"))
        trainable = f"{self.n_trainable_parameters / 1e6:.1f} million trainable"
        rows += [
            ("parameters", f"{self.n_parameters / 1e6:.1f} million, {trainable}"),
            ("steps", f"{self.n_steps} of {self.step_s:.2f} s"),
            ("time", f"about {describe_duration(self.training_s)}, without validation"),
            ("micro-batch", f"{self.micro_batch_size} segments"),
        ]
        if self.face_tokens_s:
            tokens = describe_tokens(self.face_tokens_s, self.face_tokens_bytes)
            rows.append(("face tokens", f"{tokens}, once per store and backbone"))
        return rows


class StepTimer(TrainerCallback):
    """Records the time after every step.

    Attributes
    ----------
    times
        Seconds of `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait for the device, and record the time."""
        if args.device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())


def dry_run(
    labeled: LabeledSegments, fold: Fold, settings: Settings, device: Device
) -> DryRunResult:
    """Train for a few steps with the real training loop, and write nothing.

    Parameters
    ----------
    labeled, fold, settings, device
        As for `fit_fold`.
    """
    learning = settings.train
    model = new_model(labeled, settings, device)
    train_rows = fold.train[: N_STEPS * learning.batch_size]
    standardize_amplitude(model, labeled, train_rows)
    train_data: Any = _bags(labeled, train_rows, settings)
    validation_rows = fold.validation[: N_VALIDATION_BATCHES * learning.batch_size]
    validation_data: Any = _bags(labeled, validation_rows, settings)
    face_tokens_s, face_tokens_bytes = 0.0, 0
    if settings.model.freeze_backbone and settings.model.modalities != "eeg":
        start = time.perf_counter()
        train_data = _with_face_tokens(train_data, model, device)
        n_segments = len(labeled.segments)
        face_tokens_s = (time.perf_counter() - start) / len(train_data) * n_segments
        face_tokens_bytes = train_data[0]["face_tokens"].nbytes * n_segments
        validation_data = _with_face_tokens(validation_data, model, device)
    spec = TrainingSpec(
        learning=learning,
        run=settings.run,
        seed=settings.seed,
        device=device,
        transform=BagAugmentation(learning.augment),
    )
    step_s, micro_batch_size = time_steps(model, train_data, validation_data, spec)
    n_steps = count_steps(len(fold.train), learning)
    n_parameters, n_trainable = count_parameters(model)
    return DryRunResult(
        device=device.describe(),
        protocol=learning.protocol,
        segments_per_class=fold.class_counts(labeled),
        n_parameters=n_parameters,
        n_trainable_parameters=n_trainable,
        n_steps=n_steps,
        step_s=step_s,
        training_s=n_steps * step_s,
        face_tokens_s=face_tokens_s,
        face_tokens_bytes=face_tokens_bytes,
        micro_batch_size=micro_batch_size,
    )


def time_steps(
    model: nn.Module,
    train_data: Dataset[Batch],
    validation_data: Dataset[Batch],
    spec: TrainingSpec,
) -> tuple[float, int]:
    """Train for one epoch of a part of the data with the real training loop, and write nothing.

    Parameters
    ----------
    model, train_data, validation_data
        As for `train_model`; the model is changed.
    spec
        Of the real training; ``out`` is None.

    Returns
    -------
    step_s
        Median duration of a step, in seconds.
    micro_batch_size
        Samples per forward pass.
    """
    learning = spec.learning.model_copy(update={"epochs": 1, "patience": 0})
    log = TrainingLog(task="dry run", epoch_level="detail")
    trainer = MilmerTrainer(
        model, train_data, validation_data, replace(spec, learning=learning, log=log)
    )
    timer = StepTimer()
    trainer.add_callback(timer)
    start = time.perf_counter()
    trainer.train()
    durations = np.diff([start, *timer.times])
    step_s = statistics.median(durations[min(N_WARMUP_STEPS, len(durations) - 1) :])
    return step_s, trainer.micro_batch_size or learning.batch_size


def count_steps(n_samples: int, learning: LearningSettings) -> int:
    """Return the number of steps of a training."""
    return math.ceil(n_samples / learning.batch_size) * learning.epochs


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Return the numbers of all parameters and of the trainable ones."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trainable in sizes if trainable)


def _bags(labeled: LabeledSegments, rows: np.ndarray, settings: Settings) -> BagDataset:
    return BagDataset(labeled, rows, settings.model.modalities)


def _with_face_tokens(bags: BagDataset, model: MilmerModel, device: Device) -> Sequence[Bag]:
    """Replace the faces by the tokens of a frozen backbone, in memory instead of in the cache."""
    model.to(device.type).eval()
    items = []
    for number in range(len(bags)):
        bag = bags[number]
        faces = bag.pop("faces")[None].to(device.type)
        with torch.inference_mode():
            tokens = model.encode_faces(faces, bag["faces_found"][None].to(device.type))
        items.append({**bag, "face_tokens": tokens[0].to("cpu", torch.float16)})
    return items


def describe_tokens(seconds: float, n_bytes: int) -> str:
    """Describe the time and the disk space of face tokens."""
    return f"about {describe_duration(seconds)} and {n_bytes / 1e9:.2g} GB on the disk"


def describe_duration(seconds: float) -> str:
    """Describe a duration in s, min or h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
