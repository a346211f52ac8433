"""Checkpoints on disk: a folder appears under its final name only when it is complete.

``checkpoints/checkpoint-STEP/`` contains everything that a training needs to continue with the same
results: weights, optimizer, schedule, random states, position in the epoch, and history
(`CheckpointState`). ``checkpoints/best-EPOCH.safetensors`` contains the weights of the best epoch
so far. The names ``checkpoint-STEP`` are those of transformers' Trainer.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from milmer_cli.errors import InputError, MilmerError, shorten
from milmer_cli.integrity import damaged_files, file_checksum, folder_checksums
from milmer_cli.io import atomic_path
from milmer_cli.json_files import read_json, read_json_object, write_json
from milmer_cli.partial_files import remove_tree
from milmer_cli.progress import Progress
from milmer_cli.training.history import Epoch

WEIGHTS = "model.safetensors"
AVERAGE = "average.safetensors"
STATE = "milmer.json"
STAGING = ".writing"
CHECKSUMS = "checksums.json"
RANDOM_STATE = "rng_state.pth"
"""With several processes, ``rng_state_0.pth`` and so on."""
PARTS = {
    WEIGHTS: "the weights",
    "optimizer.pt": "the state of the optimizer",
    "scheduler.pt": "the state of the learning rate schedule",
    RANDOM_STATE: "the state of the random number generators",
    "trainer_state.json": "the position in the training",
    STATE: "the history and the settings",
}
"""Files of a checkpoint of one process, and what they contain."""
_START_AGAIN = "Restore it from a copy, or start again with --restart."


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
        keys = [field.name for field in fields(cls)]
        stored = read_json_object(checkpoint / STATE, keys, _START_AGAIN)
        if (stored["learning"], stored["seed"]) != (learning, seed):
            raise InputError(
                f"{checkpoint} was made with other training settings.",
                "Resume with the settings of that training, or start in a new folder.",
            )
        try:
            history = [Epoch(**row) for row in stored.pop("history")]
            return cls(**stored, history=history)
        except (TypeError, ValueError) as error:
            raise InputError(f"{checkpoint / STATE} is damaged: {error}.", _START_AGAIN) from error


_WRITE_HINT = "Check the free space and the permissions there, then run the same command again."


@contextmanager
def explain_write_errors(folder: Path) -> Iterator[None]:
    """Convert the errors of torch and safetensors that write into ``folder`` to a MilmerError."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        raise MilmerError(f"{folder} cannot be written: {_reason(error)}.", _WRITE_HINT) from error


@contextmanager
def explain_checkpoint_errors(folder: Path) -> Iterator[None]:
    """Convert write errors below ``folder`` to a MilmerError, and remove the partial checkpoint."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError, MilmerError) as error:
        remove_tree(folder / STAGING)
        last = last_checkpoint(folder)
        kept = f"the last complete one, {last.name}, is kept" if last else "there is no earlier one"
        raise MilmerError(
            f"A checkpoint could not be written in {folder}: {_reason(error)}; {kept}.",
            _WRITE_HINT,
        ) from error


def _reason(error: Exception) -> str:
    """Name the reason of a write error; torch and safetensors report a full disk differently."""
    text = error.message if isinstance(error, MilmerError) else str(error)
    if any(sign in text for sign in ("No space left", "inline_container", "disk is full")):
        return "the disk is full"
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or text.partition("\n")[0] or type(error).__name__).rstrip(".")


def step_of(checkpoint: Path) -> int:
    """Read the number of steps from the name of a checkpoint; -1 if it is not a checkpoint."""
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else -1


def last_checkpoint(folder: Path) -> Path | None:
    """Find the newest complete checkpoint in ``folder``."""
    return next(iter(_newest_first(folder)), None)


def _newest_first(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if step_of(path) >= 0]
    return sorted(found, key=step_of, reverse=True)


def required_parts(n_processes: int, has_average: bool) -> dict[str, str]:
    """Return the files that a training needs to continue, as in `PARTS`.

    Parameters
    ----------
    n_processes
        Number of processes; each has its own random state.
    has_average
        Whether the training keeps a moving average of the weights.
    """
    parts = dict(PARTS)
    if n_processes > 1:
        meaning = parts.pop(RANDOM_STATE)
        parts |= {f"rng_state_{index}.pth": meaning for index in range(n_processes)}
    if has_average:
        parts[AVERAGE] = "the moving average of the weights"
    return parts


def checkpoint_to_resume(folder: Path, parts: Mapping[str, str], progress: Progress) -> Path | None:
    """Find the newest checkpoint with all parts; None if there is no checkpoint at all.

    Parameters
    ----------
    folder
        Folder of the checkpoints.
    parts
        From `required_parts`.
    progress
        Receives a warning for each newer checkpoint that lacks a part.

    Raises
    ------
    InputError
        Every checkpoint lacks a part. To continue without it would silently change the result.
    """
    problems: list[str] = []
    for checkpoint in _newest_first(folder):
        problem = _problem(checkpoint, parts)
        if not problem:
            for text in problems:
                progress.note(f"{text} The training continues from {checkpoint.name}.", "warning")
            return checkpoint
        problems.append(f"{checkpoint} cannot be resumed: {problem}.")
    if problems:
        raise InputError(problems[0], _START_AGAIN)
    return None


def _problem(checkpoint: Path, parts: Mapping[str, str]) -> str:
    """Describe the first missing or damaged part of a checkpoint; empty if there is none."""
    for name, meaning in parts.items():
        if not (checkpoint / name).is_file():
            others = name.startswith("rng_state") and any(checkpoint.glob("rng_state*.pth"))
            reason = ", because another number of processes saved it" if others else ""
            return f"{name} with {meaning} is missing{reason}"
    try:
        checksums = read_json_object(checkpoint / CHECKSUMS)
    except InputError as error:
        if (checkpoint / CHECKSUMS).exists():
            return error.message.rstrip(".")
        damaged = [p.name for p in sorted(checkpoint.iterdir()) if not _is_readable(p)]
    else:
        damaged = damaged_files(checkpoint, checksums)
    return f"{shorten(damaged)} is missing or damaged" if damaged else ""


def _is_readable(path: Path) -> bool:
    """Whether a file of a checkpoint without checksums has its format."""
    try:
        if path.suffix == ".json":
            read_json(path)
        elif path.suffix in (".pt", ".pth"):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        elif path.suffix == ".safetensors":
            with safe_open(path, "pt") as weights:
                weights.keys()
    except (InputError, OSError, ValueError, zipfile.BadZipFile, zlib.error, SafetensorError):
        return False
    return True


def create_staging_folder(folder: Path) -> None:
    """Create the folder in which a checkpoint is written; nobody else can write there."""
    remove_tree(folder / STAGING)
    (folder / STAGING).mkdir(mode=0o700)


def publish(staged: Path, folder: Path) -> None:
    """Move a complete checkpoint from the staging folder to ``folder``, and remove older ones.

    Everything is flushed to the disk before the rename, so that a power failure cannot leave a
    checkpoint with its final name and missing data.
    """
    best = sorted(f"../{path.name}" for path in folder.glob("best-*.safetensors"))[-1:]
    checksums = folder_checksums(staged, ["*"])
    checksums |= {name: file_checksum(folder / Path(name).name) for name in best}
    write_json(staged / CHECKSUMS, checksums)
    for file in staged.iterdir():
        _flush(file)
    _flush(staged)
    target = folder / staged.name
    remove_tree(target)
    staged.rename(target)
    remove_tree(folder / STAGING)
    _flush(folder)
    for old in _newest_first(folder):
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
