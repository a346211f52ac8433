"""Compute the tokens of a frozen encoder once, and store them in a file for each participant."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.utils.data import Dataset

from milmer_cli.device import Device
from milmer_cli.errors import InputError
from milmer_cli.inference.predict_proba import Batch, map_batches
from milmer_cli.input_files import read_input
from milmer_cli.integrity import file_checksum, is_intact
from milmer_cli.io import atomic_path, atomic_write
from milmer_cli.partial_files import open_partial
from milmer_cli.progress import SILENT, Progress
from milmer_cli.store import PreparedParticipant, PreparedStore

BATCH_SIZE = 16
"""Segments of a forward pass. It is fixed, so that every training has the same tokens."""


@dataclass(frozen=True, eq=False)
class FrozenEncoder:
    """A frozen encoder and its input.

    Attributes
    ----------
    task
        Name of the computation in the progress display.
    model
        The model that ``encode`` calls.
    data
        The samples of a participant, in the order of the rows of the store.
    encode
        Maps a batch of B samples on the device to tokens, (B, *token_shape).
    token_shape
        Shape of the tokens of a segment of a participant.
    """

    task: str
    model: nn.Module
    data: Callable[[PreparedParticipant], Dataset[Batch]]
    encode: Callable[[Batch], Tensor]
    token_shape: Callable[[PreparedParticipant], tuple[int, ...]]


def cache_tokens(
    encoder: FrozenEncoder,
    store: PreparedStore,
    files: Mapping[str, Path],
    device: Device,
    progress: Progress = SILENT,
) -> None:
    """Write the token files that are missing or damaged.

    The participants are distributed over the processes of a distributed training. The tokens are
    computed in float32 regardless of the precision of the device, so that all trainings share them.

    Parameters
    ----------
    encoder
        Computes the tokens.
    store
        Contains its input.
    files
        Participant -> token file.
    device
        Device of the encoder.
    progress
        Advanced by segments.
    """
    missing = [name for name, file in files.items() if not _is_valid(file, progress)]
    if missing:
        total = sum(len(store.participant(name)) for name in missing)
        progress.start(encoder.task, total, "segments")
    state = PartialState(cpu=device.type == "cpu")
    for name in missing[state.process_index :: state.num_processes]:
        with store.participant(name) as participant:
            _write_tokens(encoder, participant, files[name], device, progress)
    if missing:
        progress.done(encoder.task)
    state.wait_for_everyone()


def _is_valid(path: Path, progress: Progress) -> bool:
    """Whether a token file exists and is intact according to the checksum beside it."""
    if not path.exists():
        return False
    with contextlib.suppress(InputError, OSError, UnicodeDecodeError):
        if is_intact(path, read_input(_checksum_file(path)).decode().strip()):
            return True
    progress.note(f"{path} is damaged and is computed again.", "warning")
    return False


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.checksum")


def _write_tokens(
    encoder: FrozenEncoder,
    participant: PreparedParticipant,
    path: Path,
    device: Device,
    progress: Progress,
) -> None:
    shape = (len(participant), *encoder.token_shape(participant))
    with atomic_path(path) as temporary, open_partial(temporary) as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

        def write(batch: Batch) -> None:
            tokens = encoder.encode(batch)
            file.write(tokens.to(torch.float16).cpu().numpy().tobytes())
            progress.advance(encoder.task, len(tokens))

        exact = replace(device, precision="float32")
        map_batches(write, encoder.model, encoder.data(participant), exact, BATCH_SIZE)
        file.flush()
        # before the tokens have their final name: an interruption leaves no tokens without it
        atomic_write(_checksum_file(path), file_checksum(temporary) + "\n")
