"""How long a training would take and what it would need, from a few timed steps."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bag, Bags, collate
from milmer_cli.data.splits import Fold
from milmer_cli.progress import SilentProgress
from milmer_cli.settings import Settings
from milmer_cli.training.engine import Engine
from milmer_cli.training.folds import new_model
from milmer_cli.training.material import Material
from milmer_cli.training.predictions import as_is, outputs_of_share
from milmer_cli.training.task import Task

STEPS = 6
WARM = 2
"""Steps at the start that are not counted: memory is laid out, kernels are chosen or compiled."""


@dataclass(frozen=True)
class Estimate:
    """What a training would take.

    Attributes
    ----------
    parameters, learning
        Numbers in the model; those of them that are trained.
    steps
        Of the whole training.
    step_s, judging_s, tokens_s
        Seconds a step; seconds on the validation part, an epoch; seconds to compute the face tokens
        of a frozen backbone, once.
    total_s
        Seconds of the whole training.
    memory_bytes
        The most that was taken: of the card's memory, or of the process's on a CPU; 0 unknown.
    waiting_share
        Share of a step spent waiting for data.
    micro_batch
        Samples that went through the model at once.
    """

    parameters: int
    learning: int
    steps: int
    step_s: float
    judging_s: float
    tokens_s: float
    total_s: float
    memory_bytes: int
    waiting_share: float
    micro_batch: int


class _Stopwatch(SilentProgress):
    """Looks at the clock after every step."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.times: list[float] = []

    def advance(self, task: str, by: float = 1.0) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())


class _WithTokens(Dataset[Bag]):
    """Bags with zeros for the face tokens: as large as real ones, and there at once."""

    def __init__(self, bags: Bags, shape: tuple[int, ...]) -> None:
        self.bags = bags
        self.tokens = torch.zeros(shape, dtype=torch.float16)

    def __len__(self) -> int:
        return len(self.bags)

    def __getitem__(self, item: int) -> Bag:
        bag = self.bags[item]
        return {**{k: v for k, v in bag.items() if k != "faces"}, "face_tokens": self.tokens}


def estimate(material: Material, fold: Fold, settings: Settings, compute: Compute) -> Estimate:
    """Train for a few steps, and judge a few samples.

    Parameters
    ----------
    material
        The segments.
    fold
        Of them.
    settings
        As for the training.
    compute
        Where.
    """
    recipe = settings.train
    model = new_model(material.store, material.segments, settings, compute)
    args = (material.store, material.segments, material.labels)
    modalities = settings.model.modalities
    frozen = settings.model.freeze_backbone and modalities != "eeg"
    some = fold.train[: STEPS * recipe.batch_size]
    few = fold.validation[: 2 * recipe.batch_size]
    data: list[Dataset[Bag]] = [Bags(*args, rows, modalities) for rows in (some, few)]
    tokens_s = 0.0
    if frozen:
        instances = len(data[0][0]["faces_found"])
        shape = (instances, model.config.tokens_per_face, model.config.width)
        tokens_s = _time_tokens(model, data[1], compute) * len(material.segments)
        data = [_WithTokens(bags, shape) for bags in data]  # type: ignore[arg-type]
    if compute.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    watch = _Stopwatch(compute.device)
    engine = Engine(
        model,
        data[0],
        data[1],
        Task(
            recipe=recipe.model_copy(update={"epochs": 1, "patience": 0}),
            run=settings.run,
            seed=settings.seed,
            compute=compute,
            out=None,
            choose_by="balanced_accuracy",
            class_weights=None,
            collate=collate,
            prepare=as_is,
            progress=watch,
            name="a few steps",
            level="detail",
        ),
    )
    start = time.perf_counter()
    engine.train()
    gaps = np.diff([start, *watch.times])
    step_s = statistics.median(gaps[min(WARM, len(gaps) - 1) :])
    judging_s = engine.judging_s * len(fold.validation) / max(1, len(few))
    steps = math.ceil(len(fold.train) / recipe.batch_size) * recipe.epochs
    return Estimate(
        parameters=sum(p.numel() for p in model.parameters()),
        learning=sum(p.numel() for p in model.parameters() if p.requires_grad),
        steps=steps,
        step_s=step_s,
        judging_s=judging_s,
        tokens_s=tokens_s,
        total_s=tokens_s + steps * step_s + recipe.epochs * judging_s,
        memory_bytes=_memory(compute.device),
        waiting_share=min(1.0, engine.waiting_s / max(float(gaps.sum()), 1e-9)),
        micro_batch=engine.micro_batch or recipe.batch_size,
    )


def _time_tokens(model: torch.nn.Module, bags: Dataset[Bag], compute: Compute) -> float:
    """Seconds to pass one segment's faces through the backbone."""
    few: Sequence[int] = range(min(4, len(bags)))  # type: ignore[arg-type]
    model.to(compute.device)
    start = time.perf_counter()
    outputs_of_share(model, Subset(bags, few), compute, len(few), collate, as_is, 0, 1)
    return (time.perf_counter() - start) / len(few)


def _memory(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return 0  # not told by the standard library
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)
