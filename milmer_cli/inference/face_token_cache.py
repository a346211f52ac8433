"""Compute the face tokens of a frozen backbone once, for `TokenBagDataset`."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from torch.utils.data import Dataset

from milmer_cli.data.feature_cache import token_file
from milmer_cli.device import Device
from milmer_cli.errors import InputError
from milmer_cli.inference.predict_proba import Batch, map_batches
from milmer_cli.input_files import read_input
from milmer_cli.integrity import file_checksum, is_intact
from milmer_cli.io import atomic_path, atomic_write, digest
from milmer_cli.models import MilmerModel
from milmer_cli.partial_files import open_partial
from milmer_cli.progress import SILENT, Progress
from milmer_cli.store import PreparedParticipant, PreparedStore

TASK = "face tokens of the frozen backbone"
BATCH_SIZE = 16
"""Segments of a forward pass. It is fixed, so that every training has the same tokens."""


class _Faces(Dataset[Batch]):
    """The faces of one participant, in the order of the store."""

    def __init__(self, participant: PreparedParticipant) -> None:
        self.participant = participant
        self.found = np.array(participant.found, dtype=bool)

    def __len__(self) -> int:
        return len(self.participant)

    def __getitem__(self, row: int) -> Batch:
        faces = torch.from_numpy(self.participant.faces(row))
        return {"faces": faces, "found": torch.from_numpy(self.found[row])}


def cache_face_tokens(
    model: MilmerModel,
    store: PreparedStore,
    participants: list[str],
    folder: Path,
    device: Device,
    progress: Progress = SILENT,
) -> dict[str, Path]:
    """Compute the face tokens that the cache lacks.

    The participants are distributed over the processes of a distributed training. The tokens are
    computed in float32 regardless of the precision of the device, so that all trainings share them.

    Parameters
    ----------
    model
        Its backbone computes the tokens.
    store
        Contains the faces.
    participants
        Names of the participants whose tokens are needed.
    folder
        Folder of the cache; see `token_folder`.
    device
        Device of the backbone.
    progress
        Advanced by segments.

    Returns
    -------
    dict
        The token file of each participant.
    """
    backbone = backbone_fingerprint(model)
    files = {}
    for name in participants:
        with store.participant(name) as participant:
            files[name] = token_file(folder, backbone, participant)
    missing = [name for name in participants if not _is_valid(files[name], progress)]
    if missing:
        total = sum(len(store.participant(name)) for name in missing)
        progress.start(TASK, total, "segments")
    state = PartialState(cpu=device.type == "cpu")
    for name in missing[state.process_index :: state.num_processes]:
        with store.participant(name) as participant:
            _write_tokens(model, participant, files[name], device, progress)
    if missing:
        progress.done(TASK)
    state.wait_for_everyone()
    return files


def backbone_fingerprint(model: MilmerModel) -> str:
    """Digest everything that determines the tokens of a face: backbone and normalization."""
    weights = {"mean": model.image_mean, "std": model.image_std, **model.backbone.state_dict()}
    values = [value for item in sorted(weights.items()) for value in item]
    return digest(model.backbone.config.to_json_string(), model.config.image_size, *values)


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
    model: MilmerModel,
    participant: PreparedParticipant,
    path: Path,
    device: Device,
    progress: Progress,
) -> None:
    config = model.config
    shape = (
        len(participant),
        participant.instances,
        config.tokens_per_face,
        config.hidden_size,
    )
    with atomic_path(path) as temporary, open_partial(temporary) as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)

        def write(batch: Batch) -> None:
            tokens = model.encode_faces(batch["faces"], batch["found"])
            file.write(tokens.to(torch.float16).cpu().numpy().tobytes())
            progress.advance(TASK, len(tokens))

        exact = replace(device, precision="float32")
        map_batches(write, model, _Faces(participant), exact, BATCH_SIZE)
        file.flush()
        # before the tokens have their final name: an interruption leaves no tokens without it
        atomic_write(_checksum_file(path), file_checksum(temporary) + "\n")
