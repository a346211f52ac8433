"""Checkpoints on disk: a folder appears under its name only when it is whole.

``checkpoints/checkpoint-STEP/`` holds all that a training needs to go on exactly (weights,
optimizer, schedule, random numbers, position, history); ``checkpoints/best-EPOCH.safetensors`` the
weights that would be kept if the training ended now. The names ``checkpoint-STEP`` are Trainer's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from milmer_cli.errors import MilmerError

WEIGHTS = "model.safetensors"
AVERAGE = "average.safetensors"
STAGING = ".writing"


@contextmanager
def saying_what_failed(folder: Path) -> Iterator[None]:
    """Turn a failure to write below ``folder`` into one sentence; half a checkpoint goes away."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(folder / STAGING, ignore_errors=True)
        reason = _reason(error)
        last = last_checkpoint(folder)
        kept = f"the last whole one, {last.name}, is kept" if last else "there is none before it"
        raise MilmerError(
            f"A checkpoint could not be written in {folder}: {reason}; {kept}.",
            "Make room on the disk, then continue with --resume.",
        ) from error


def step_of(checkpoint: Path) -> int:
    """Tell the step of a checkpoint folder."""
    return int(checkpoint.name.rpartition("-")[2])


def _reason(error: Exception) -> str:
    """Say why writing failed: torch and safetensors have words of their own for a full disk."""
    text = str(error)
    if "No space left" in text or "inline_container" in text:
        return "the disk is full"
    named = error.strerror if isinstance(error, OSError) else None
    return (named or text.partition("\n")[0] or type(error).__name__).rstrip(".")


def last_checkpoint(folder: Path) -> Path | None:
    """Find the newest whole checkpoint below ``folder``."""
    return max(folder.glob("checkpoint-*"), key=step_of, default=None)


def publish(staged: Path, folder: Path) -> None:
    """Give a wholly written checkpoint its name and remove the older ones."""
    for file in staged.iterdir():
        _flush(file)
    _flush(staged)
    target = folder / staged.name
    if target.exists():
        shutil.rmtree(target)
    staged.rename(target)
    shutil.rmtree(folder / STAGING)
    _flush(folder)
    for old in folder.glob("checkpoint-*"):
        if old != target:
            shutil.rmtree(old)


def best_path(folder: Path, epoch: int) -> Path:
    """Where the weights of the best epoch are."""
    return folder / f"best-{epoch:04d}.safetensors"


def save_best(folder: Path, epoch: int, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the weights of the best epoch so far."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{STAGING}-best"
    try:
        save_file(dict(weights), aside)
        _flush(aside)
        aside.rename(best_path(folder, epoch))
    finally:
        aside.unlink(missing_ok=True)


def forget_other_bests(folder: Path, epoch: int) -> None:
    """Remove the weights of epochs that are no longer the best."""
    for old in folder.glob("best-*.safetensors"):
        if old != best_path(folder, epoch):
            old.unlink()


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy a model's weights to the CPU, by name."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def restore(model: nn.Module, weights: Mapping[str, torch.Tensor] | Path) -> None:
    """Give a model exactly these weights."""
    state = load_file(weights) if isinstance(weights, Path) else dict(weights)
    model.load_state_dict(state, strict=True)


def _flush(path: Path) -> None:
    """Have the system write a file, or a folder's entries, to the disk now."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
