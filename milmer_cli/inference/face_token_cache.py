"""Compute the face tokens of a frozen backbone once, for `TokenBagDataset`.

The name of a token file contains neither the device nor the engine (torch or OpenVINO) that
computed it. Tokens of the two engines differ by less than 1e-5 before they are rounded to float16,
which is less than between a CPU and a GPU; a training that resumes reads the files that it started
with.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.data.feature_cache import token_file
from milmer_cli.device import Device
from milmer_cli.digests import digest
from milmer_cli.inference.backbone_engine import backbone_engine
from milmer_cli.inference.predict_proba import Batch
from milmer_cli.inference.token_cache import FrozenEncoder, cache_tokens
from milmer_cli.models import MilmerModel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.store import PreparedParticipant, PreparedStore

TASK = "face tokens of the frozen backbone"


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
    backbone, config = backbone_fingerprint(model), model.config
    files, n_segments = {}, 0
    for name in participants:
        with store.participant(name) as participant:
            files[name] = token_file(folder, backbone, participant)
            n_segments += len(participant)
    encoder = FrozenEncoder(
        task=TASK,
        model=model,
        data=_Faces,
        encode=lambda batch: model.encode_faces(batch["faces"], batch["found"]),
        token_shape=lambda participant: (
            participant.instances,
            config.tokens_per_face,
            config.hidden_size,
        ),
    )
    # the number of all segments: an interrupted computation continues with the same engine
    with backbone_engine(model, device, n_segments, progress):
        cache_tokens(encoder, store, files, device, progress)
    return files


def backbone_fingerprint(model: MilmerModel) -> str:
    """Digest everything that determines the tokens of a face: backbone and normalization."""
    weights = {"mean": model.image_mean, "std": model.image_std, **model.backbone.state_dict()}
    values = [value for item in sorted(weights.items()) for value in item]
    return digest(model.backbone.config.to_json_string(), model.config.image_size, *values)
