"""Face tokens of a frozen backbone: computed once for a store, read ever after.

A frozen backbone gives the same tokens for the same face in every epoch, fold and run. They are
kept beside the store as ``face-tokens/BACKBONE/PARTICIPANT-FACES.npy``, (n_segments, instances,
tokens, width) float16, where BACKBONE is a fingerprint of the weights and FACES one of the
participant's faces and of the rows they are in. They are computed in float32 whatever the training
works in, so that all trainings can share them. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.compute import Compute
from milmer_cli.data.dataset import Bag, Bags
from milmer_cli.model import MilmerModel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import Modalities
from milmer_cli.store import PreparedParticipant, PreparedStore, Segments
from milmer_cli.store.atomic import written_aside
from milmer_cli.training.processes import Processes

SEGMENTS_AT_ONCE = 16


class TokenBags(Dataset[Bag]):
    """`Bags` with the tokens of their faces in place of the faces.

    An item has ``face_tokens``, (instances, tokens, width) float16, and no ``faces``.

    Parameters
    ----------
    store, segments, labels, indices, modalities
        As for `Bags`.
    files
        The token file of each participant.
    """

    def __init__(
        self,
        store: PreparedStore,
        segments: Segments,
        labels: np.ndarray,
        indices: np.ndarray,
        modalities: Modalities,
        files: dict[str, Path],
    ) -> None:
        self._bags = Bags(store, segments, labels, indices, "eeg")
        self._without_eeg = modalities == "face"
        self._segments = segments
        self._store = store
        self._files = files
        self._open: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._bags)

    def __getitem__(self, item: int) -> Bag:
        bag = self._bags[item]
        index = int(bag["index"])
        tokens, found = self._participant(str(self._segments.participant[index]))
        row = int(self._segments.row[index])
        if self._without_eeg:
            del bag["eeg"], bag["eeg_found"]
        bag["face_tokens"] = torch.from_numpy(np.array(tokens[row]))
        bag["faces_found"] = torch.from_numpy(found[row].copy())
        return bag

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": {}}

    def _participant(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self._open:
            with self._store.participant(name) as participant:
                found = np.array(participant.found, dtype=bool)
            self._open[name] = np.load(self._files[name], mmap_mode="r"), found
        return self._open[name]


def face_token_files(
    model: MilmerModel,
    store: PreparedStore,
    participants: list[str],
    folder: Path,
    compute: Compute,
    progress: Progress = SILENT,
) -> dict[str, Path]:
    """Compute the face tokens that are not there yet.

    Parameters
    ----------
    model
        Its backbone makes the tokens.
    store
        Whose faces.
    participants
        Names of those that are needed.
    folder
        Where tokens are kept; see `token_folder`.
    compute
        Device and precision.
    progress
        Advanced by segments.

    Returns
    -------
    dict
        The file of each participant.
    """
    here = folder / _fingerprint(model)
    files = {}
    for name in participants:
        with store.participant(name) as participant:
            files[name] = here / f"{name}-{_faces_fingerprint(participant)}.npy"
    missing = [name for name in participants if not files[name].exists()]
    others = Processes.join(compute)
    if missing:
        task = "face tokens of the frozen backbone"
        total = sum(len(store.participant(name)) for name in missing)
        progress.start(task, total, "segments")
        model.to(compute.device).eval()
        for name in missing[others.rank :: others.world]:
            _compute(model, store, name, files[name], compute, progress, task)
        progress.done(task)
    others.wait()
    return files


def token_folder(store_folder: Path, out: Path | None) -> Path:
    """Where tokens go: beside the store, or into ``out`` where the store may not be written."""
    beside = out is None or os.access(store_folder, os.W_OK)
    return (store_folder if beside or out is None else out) / "face-tokens"


def _compute(
    model: MilmerModel,
    store: PreparedStore,
    name: str,
    file: Path,
    compute: Compute,
    progress: Progress,
    task: str,
) -> None:
    config = model.config
    with store.participant(name) as participant, written_aside(file) as aside:
        shape = (
            len(participant),
            participant.instances,
            config.tokens_per_face,
            config.width,
        )
        with aside.open("wb") as opened:
            np.lib.format.write_array_header_1_0(
                opened, {"descr": "<f2", "fortran_order": False, "shape": shape}
            )
            for start in range(0, len(participant), SEGMENTS_AT_ONCE):
                rows = range(start, min(start + SEGMENTS_AT_ONCE, len(participant)))
                faces = np.stack([participant.faces(row) for row in rows])
                found = np.array(participant.found[rows.start : rows.stop], dtype=bool)
                with torch.inference_mode():
                    tokens = model.encode_faces(
                        torch.from_numpy(faces).to(compute.device),
                        torch.from_numpy(found).to(compute.device),
                    )
                opened.write(tokens.to(torch.float16).cpu().numpy().tobytes())
                progress.advance(task, len(rows))


def _faces_fingerprint(participant: PreparedParticipant) -> str:
    """Digest of a participant's faces, and of which row of the file has which of them.

    A trial without video moves the rows of the others and changes nothing about the faces.
    """
    digest = hashlib.sha256(participant.fingerprints["faces"].encode())
    for column in (participant.trial, participant.onset, participant.found):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def _fingerprint(model: MilmerModel) -> str:
    """Digest of all that turns a face into tokens: the backbone's weights and the normalising."""
    digest = hashlib.sha256(model.backbone.config.to_json_string().encode())
    parts = {
        "mean": model.image_mean,
        "std": model.image_std,
        **model.backbone.state_dict(),
    }
    for name, value in sorted(parts.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
