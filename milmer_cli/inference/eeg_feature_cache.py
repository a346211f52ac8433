"""Compute the features of a frozen EEG encoder once, in a file for each participant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.data.feature_cache import eeg_feature_file
from milmer_cli.device import Device
from milmer_cli.inference.predict_proba import Batch
from milmer_cli.inference.token_cache import FrozenEncoder, cache_tokens
from milmer_cli.models.eeg_encoder import EegEncoder
from milmer_cli.progress import SILENT, Progress
from milmer_cli.store import PreparedParticipant, PreparedStore

TASK = "features of the EEG encoder"


class _Segments(Dataset[Batch]):
    """The EEG of one participant, in the order of the store; zeros where there is none."""

    def __init__(self, participant: PreparedParticipant) -> None:
        self.participant = participant

    def __len__(self) -> int:
        return len(self.participant)

    def __getitem__(self, row: int) -> Batch:
        eeg = np.nan_to_num(np.asarray(self.participant.eeg[row], dtype=np.float32))
        return {"eeg": torch.from_numpy(eeg)}


def cache_eeg_features(
    encoder: EegEncoder,
    store: PreparedStore,
    participants: list[str],
    folder: Path,
    device: Device,
    progress: Progress = SILENT,
) -> dict[str, Path]:
    """Compute the features that the cache lacks, (n_segments, d) float16 for each participant.

    Parameters
    ----------
    encoder
        Computes the features.
    store
        Contains the EEG.
    participants
        Names of participants with EEG.
    folder
        Folder of the cache; see `token_folder`.
    device
        Device of the encoder.
    progress
        Advanced by segments.

    Returns
    -------
    dict
        The feature file of each participant.
    """
    files = {}
    for name in participants:
        with store.participant(name) as participant:
            files[name] = eeg_feature_file(folder, encoder.fingerprint, participant)
    frozen = FrozenEncoder(
        task=TASK,
        model=encoder,
        data=_Segments,
        encode=lambda batch: encoder(batch["eeg"]),
        token_shape=lambda participant: (encoder.n_features,),
    )
    cache_tokens(frozen, store, files, device, progress)
    return files
