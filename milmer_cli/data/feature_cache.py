"""Read bags with the cached face tokens of a frozen backbone.

A frozen backbone gives equal tokens for a face in every epoch, fold and run. They are computed once
(`milmer_cli.inference.face_token_cache`) and stored beside the prepared store as
``face-tokens/BACKBONE/PARTICIPANT-FACES.npy``, an array (n_segments, n_instances, n_tokens,
hidden_size) of float16. BACKBONE is a digest of the backbone's weights, FACES one of the
participant's faces and their rows. A file with the ending ``.checksum`` beside it
detects damage. The folder can be deleted at any time. The features of frozen EEG encoders are
stored in the same way as ``eeg-features/ENCODER/PARTICIPANT-EEG.npy``, (n_segments, n_features).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.data.dataset import EEG_KEYS, Bag, BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.digests import digest
from milmer_cli.input_files import require_regular_file
from milmer_cli.settings.schema import Modalities
from milmer_cli.store import PreparedParticipant


class TokenBagDataset(Dataset[Bag]):
    """`BagDataset` with cached face tokens instead of face images.

    An item has ``face_tokens``, (n_instances, n_tokens, hidden_size) float16, and no ``faces``.

    Parameters
    ----------
    labeled, indices, modalities
        As for `BagDataset`; ``modalities`` is ``both`` or ``face``.
    files
        The token file of each participant.
    """

    def __init__(
        self,
        labeled: LabeledSegments,
        indices: np.ndarray,
        modalities: Modalities,
        files: dict[str, Path],
    ) -> None:
        self._bags = BagDataset(labeled, indices, "eeg")
        self._labeled = labeled
        self._without_eeg = modalities == "face"
        self._files = files
        self._participants: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._bags)

    def __getitem__(self, item: int) -> Bag:
        bag = self._bags[item]
        index = int(bag["index"])
        tokens, found = self._participant(str(self._labeled.segments.participant[index]))
        row = int(self._labeled.segments.row[index])
        if self._without_eeg:
            bag = {name: values for name, values in bag.items() if name not in EEG_KEYS}
        bag["face_tokens"] = torch.from_numpy(np.array(tokens[row]))
        usable = self._labeled.segments.faces_found[index] > 0
        bag["faces_found"] = torch.from_numpy(found[row] & usable)
        return bag

    def __getstate__(self) -> dict[str, object]:
        # each worker of a DataLoader maps the files itself
        return {**self.__dict__, "_participants": {}}

    def _participant(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self._participants:
            with self._labeled.store.participant(name) as participant:
                found = np.array(participant.found, dtype=bool)
            self._participants[name] = read_tokens(self._files[name]), found
        return self._participants[name]


def token_folder(store_folder: Path, out: Path | None, name: str = "face-tokens") -> Path:
    """Return the folder of the cache: beside the store if writable, otherwise in ``out``."""
    in_store = out is None or os.access(store_folder, os.W_OK)
    return (store_folder if in_store or out is None else out) / name


def token_file(folder: Path, backbone: str, participant: PreparedParticipant) -> Path:
    """Return the token file of a participant.

    Parameters
    ----------
    folder
        Folder of the cache.
    backbone
        Fingerprint of the backbone.
    participant
        Its fingerprint of the faces does not contain the rows: a trial without video moves the rows
        of the others without changing any face. The rows are therefore part of the file name.
    """
    rows = (
        np.asarray(participant.trial),
        np.asarray(participant.onset),
        np.asarray(participant.found),
    )
    faces = digest(participant.fingerprints["faces"], *rows)
    return folder / backbone / f"{participant.participant}-{faces}.npy"


def eeg_feature_file(folder: Path, encoder: str, participant: PreparedParticipant) -> Path:
    """Return the file with the features of an EEG encoder for a participant.

    Parameters
    ----------
    folder
        Folder of the cache.
    encoder
        Fingerprint of the encoder.
    participant
        The EEG is identified by its fingerprint and the rows of the store.
    """
    rows = np.asarray(participant.trial), np.asarray(participant.onset)
    eeg = digest(participant.fingerprints["eeg"], *rows)
    return folder / encoder / f"{participant.participant}-{eeg}.npy"


def read_tokens(path: Path) -> np.ndarray:
    """Map a file of tokens or features into memory."""
    tokens: np.ndarray = np.load(require_regular_file(path), mmap_mode="r", allow_pickle=False)
    return tokens
