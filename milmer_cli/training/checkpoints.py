"""Checkpoints on disk: a folder appears under its final name only when it is complete.

``checkpoints/checkpoint-STEP/`` contains everything that a training needs to continue with the same
results: weights, optimizer, schedule, random states, position in the epoch, and history
(`CheckpointState`). ``checkpoints/best-EPOCH.safetensors`` contains the weights of the best epoch
so far. The names ``checkpoint-STEP`` are those of transformers' Trainer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from milmer_cli.errors import InputError, MilmerError
from milmer_cli.io import atomic_path, read_json, write_json
from milmer_cli.partial_files import remove_tree
from milmer_cli.training.history import Epoch

WEIGHTS = "model.safetensors"
AVERAGE = "average.safetensors"
STATE = "milmer.json"
STAGING = ".writing"


@dataclass(frozen=True)
class CheckpointState:
    """What a checkpoint stores in addition to the state of transformers' Trainer.

    Attributes
    ----------
    learning
        Training settings, as JSON values; a training with other settings cannot be resumed.
    seed
        Seed of the training.
    history
        Metrics of the epochs so far.
    epoch_sums
        Sums over the samples of the current epoch, over all processes: loss, correct predictions,
        samples.
    micro_batch_size
        Samples per forward pass; 0 for the whole batch.
    """

    learning: dict[str, Any]
    seed: int
    history: list[Epoch]
    epoch_sums: list[float]
    micro_batch_size: int

    def save(self, checkpoint: Path) -> None:
        """Write the state to a checkpoint folder."""
        write_json(checkpoint / STATE, asdict(self))

    @classmethod
    def load(cls, checkpoint: Path, learning: dict[str, Any], seed: int) -> CheckpointState:
        """Read the state from a checkpoint folder.

        Raises
        ------
        InputError
            The checkpoint was made with other training settings or another seed.
        """
        stored = read_json(checkpoint / STATE, "Start in a new folder.")
        if (stored["learning"], stored["seed"]) != (learning, seed):
            raise InputError(
                f"{checkpoint} was made with other training settings.",
                "Resume with the settings of that training, or start in a new folder.",
            )
        history = [Epoch(**row) for row in stored.pop("history")]
        return cls(**stored, history=history)


@contextmanager
def explain_write_errors(folder: Path) -> Iterator[None]:
    """Convert write errors below ``folder`` to a MilmerError, and remove the partial checkpoint."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError, MilmerError) as error:
        remove_tree(folder / STAGING)
        last = last_checkpoint(folder)
        kept = f"the last complete one, {last.name}, is kept" if last else "there is no earlier one"
        raise MilmerError(
            f"A checkpoint could not be written in {folder}: {_reason(error)}; {kept}.",
            "Free space on the disk, then continue with --resume.",
        ) from error


def _reason(error: Exception) -> str:
    """Name the reason of a write error; torch and safetensors report a full disk differently."""
    text = str(error)
    if any(sign in text for sign in ("No space left", "inline_container", "disk is full")):
        return "the disk is full"
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or text.partition("\n")[0] or type(error).__name__).rstrip(".")


def step_of(checkpoint: Path) -> int:
    """Read the number of steps from the name of a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def last_checkpoint(folder: Path) -> Path | None:
    """Find the newest complete checkpoint in ``folder``."""
    return max(folder.glob("checkpoint-*"), key=step_of, default=None)


def publish(staged: Path, folder: Path) -> None:
    """Move a complete checkpoint from the staging folder to ``folder``, and remove older ones.

    Everything is flushed to the disk before the rename, so that a power failure cannot leave a
    checkpoint with its final name and missing data.
    """
    for file in staged.iterdir():
        _flush(file)
    _flush(staged)
    target = folder / staged.name
    if target.exists():
        remove_tree(target)
    staged.rename(target)
    remove_tree(folder / STAGING)
    _flush(folder)
    for old in folder.glob("checkpoint-*"):
        if old != target:
            remove_tree(old)


def best_path(folder: Path, epoch: int) -> Path:
    """Path of the weights of the best epoch."""
    return folder / f"best-{epoch:04d}.safetensors"


def save_best(folder: Path, epoch: int, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the weights of the best epoch so far."""
    with atomic_path(best_path(folder, epoch)) as temporary:
        save_file(dict(weights), temporary)


def remove_other_bests(folder: Path, epoch: int) -> None:
    """Remove the weights of epochs other than the best one."""
    for old in folder.glob("best-*.safetensors"):
        if old != best_path(folder, epoch):
            old.unlink()


def copy_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy the weights of a model to the CPU, by name."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def restore_weights(model: nn.Module, weights: Mapping[str, torch.Tensor] | Path) -> None:
    """Load weights, or a safetensors file of weights, into a model."""
    state = load_file(weights) if isinstance(weights, Path) else dict(weights)
    model.load_state_dict(state, strict=True)


def _flush(path: Path) -> None:
    """Write a file, or the entries of a folder, to the disk now."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
