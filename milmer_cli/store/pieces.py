"""Finished trials of an unfinished participant: a killed prepare loses one trial at most."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from milmer_cli.store.atomic import written_aside
from milmer_cli.store.images import EncodedFaces
from milmer_cli.store.layout import PIECES

Part = Literal["eeg", "faces"]


class TrialPieces:
    """Pieces of one participant, in a hidden folder of the store.

    A piece belongs to the fingerprint of its part: after a change of the EEG settings the pieces of
    EEG are no longer seen, and those of the faces still are.

    Parameters
    ----------
    folder
        The store.
    participant
        Name, ``s01``.
    fingerprints
        By part, ``eeg`` and ``faces``.
    """

    def __init__(self, folder: Path, participant: str, fingerprints: Mapping[str, str]) -> None:
        self.folder = folder / PIECES / participant
        self._fingerprints = dict(fingerprints)

    def has(self, part: Part, trial: int) -> bool:
        """Whether the part of the trial is there."""
        return self._path(part, trial).is_file()

    def save_eeg(self, trial: int, eeg: np.ndarray) -> None:
        """Keep a trial's EEG, (n, channels, samples)."""
        self._save("eeg", trial, {"eeg": eeg})

    def load_eeg(self, trial: int) -> np.ndarray | None:
        """Give a trial's EEG; None when it is not there or damaged."""
        arrays = self._load("eeg", trial, ("eeg",))
        return None if arrays is None else arrays["eeg"]

    def save_facts(self, facts: Mapping[str, Any]) -> None:
        """Keep what holds for all of a participant's EEG; saved last, it says that all is there."""
        with written_aside(self._facts) as aside:
            aside.write_text(json.dumps(facts), encoding="utf-8")

    def load_facts(self) -> dict[str, Any] | None:
        """Give what `save_facts` kept; None when it is not there."""
        if not self._facts.is_file():
            return None
        facts: dict[str, Any] = json.loads(self._facts.read_text(encoding="utf-8"))
        return facts

    def save_faces(self, trial: int, faces: EncodedFaces) -> None:
        """Keep a trial's faces."""
        arrays = {name: getattr(faces, name) for name in _ARRAYS}
        arrays["reason"] = faces.reason.astype(str)
        arrays["sizes"] = np.array([len(image) for image in faces.images], np.int64)
        arrays["bytes"] = np.frombuffer(b"".join(faces.images), np.uint8)
        self._save("faces", trial, arrays)

    def load_faces(self, trial: int) -> EncodedFaces | None:
        """Give a trial's faces; None when they are not there or damaged."""
        arrays = self._load("faces", trial, (*_ARRAYS, "reason", "sizes", "bytes"))
        if arrays is None:
            return None
        whole, ends = arrays["bytes"].tobytes(), np.cumsum(arrays["sizes"])
        starts = ends - arrays["sizes"]
        images = [whole[start:end] for start, end in zip(starts, ends, strict=True)]
        others = {name: arrays[name] for name in _ARRAYS}
        return EncodedFaces(images=images, reason=arrays["reason"].astype(object), **others)

    def clear(self) -> None:
        """Remove all pieces of the participant, also outdated ones."""
        shutil.rmtree(self.folder, ignore_errors=True)
        parent = self.folder.parent
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()

    @property
    def _facts(self) -> Path:
        return self.folder / f"eeg-{self._fingerprints['eeg'][:24]}.json"

    def _path(self, part: Part, trial: int) -> Path:
        return self.folder / f"{trial:04d}-{part}-{self._fingerprints[part][:24]}.npz"

    def _save(self, part: Part, trial: int, arrays: Mapping[str, np.ndarray]) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **dict(arrays))
        with written_aside(self._path(part, trial)) as aside:
            aside.write_bytes(buffer.getbuffer())

    def _load(self, part: Part, trial: int, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
        path = self._path(part, trial)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in names}
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
            return None  # made again: a piece only saves time


_ARRAYS = ("found", "time", "box", "score")
