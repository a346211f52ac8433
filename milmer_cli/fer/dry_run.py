"""``finetune-swin --dry-run``: the size of a fine-tuning, and the measured time of a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch.utils.data import Subset

from milmer_cli.fer.dataset import ImageDataset
from milmer_cli.fer.task import FinetuneNetwork, FinetuneTask
from milmer_cli.stage_result import StageResult
from milmer_cli.training.dry_run import (
    N_STEPS,
    N_VALIDATION_BATCHES,
    count_parameters,
    count_steps,
    describe_duration,
    time_steps,
)


@dataclass(frozen=True, repr=False)
class FinetuneDryRunResult(StageResult):
    """The size and speed of a fine-tuning that was not run.

    Attributes
    ----------
    device
        Description of the device and the precision.
    classes
        Names, in the order of the logits.
    images
        Number of images by set.
    skipped
        Number of excluded images.
    n_parameters
        Of the classifier.
    n_steps
        Steps of the whole training.
    step_s
        Median duration of a step, in seconds.
    training_s
        Duration of all steps, in seconds; without validation.
    micro_batch_size
        Images per forward pass; less than the batch size if memory was short.
    """

    format_name: ClassVar[str] = "finetune-swin-dry-run"

    device: str
    classes: Sequence[str]
    images: Mapping[str, int]
    skipped: int
    n_parameters: int
    n_steps: int
    step_s: float
    training_s: float
    micro_batch_size: int

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return asdict(self)

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value for the terminal."""
        images = ", ".join(f"{count} {name}" for name, count in self.images.items())
        return [
            ("device", self.device),
            ("classes", ", ".join(self.classes)),
            ("images", images + (f", {self.skipped} excluded" if self.skipped else "")),
            ("parameters", f"{self.n_parameters / 1e6:.1f} million"),
            ("steps", f"{self.n_steps} of {self.step_s:.2f} s"),
            ("time", f"about {describe_duration(self.training_s)}, without validation"),
            ("micro-batch", f"{self.micro_batch_size} images"),
        ]


def finetune_dry_run(
    network: FinetuneNetwork, task: FinetuneTask, class_names: tuple[str, ...]
) -> FinetuneDryRunResult:
    """Fine-tune for a few steps with the real training loop, and write nothing.

    Parameters
    ----------
    network, task
        The fine-tuning; the model is changed.
    class_names
        In the order of the logits.
    """
    spec, learning = task.spec, task.spec.learning
    training = _first_batches(task.datasets["training"], N_STEPS, learning.batch_size)
    validation = _first_batches(
        task.datasets["validation"], N_VALIDATION_BATCHES, learning.batch_size
    )
    step_s, micro_batch_size = time_steps(network.model, training, validation, spec)
    n_steps = count_steps(len(task.fold.train), learning)
    return FinetuneDryRunResult(
        device=spec.device.describe(),
        classes=class_names,
        images={name: len(rows) for name, rows in task.fold.sets()},
        skipped=len(task.usable.skipped),
        n_parameters=count_parameters(network.model)[0],
        n_steps=n_steps,
        step_s=step_s,
        training_s=n_steps * step_s,
        micro_batch_size=micro_batch_size,
    )


def _first_batches(images: ImageDataset, n_batches: int, batch_size: int) -> Subset[Any]:
    return Subset(images, range(min(len(images), n_batches * batch_size)))
