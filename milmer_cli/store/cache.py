"""Finished trials of a participant whose file is not complete.

After an interruption, `prepare` resumes with them: at most the trials in progress are lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from milmer_cli.arrays import read_arrays
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.errors import InputError
from milmer_cli.faces.segment_faces import FACE_FIELDS, SegmentFaces
from milmer_cli.io import atomic_write
from milmer_cli.json_files import read_json, write_json
from milmer_cli.partial_files import remove_tree, require_no_link
from milmer_cli.store.schema import CACHE_FOLDER, QUALITY_DTYPES

Modality = Literal["eeg", "faces"]


class TrialCache:
    """The cached trials of one participant, in a hidden folder of the store.

    The file names contain the fingerprint of the modality. After a change of the EEG settings, the
    cached EEG is therefore ignored and the cached faces are still valid.

    Parameters
    ----------
    folder
        The store.
    participant
        Name, for example ``s01``.
    fingerprints
        Fingerprints of the modalities ``eeg`` and ``faces``.

    Raises
    ------
    InputError
        A link has the name of a folder of the cache.
    """

    def __init__(self, folder: Path, participant: str, fingerprints: Mapping[str, str]) -> None:
        self.folder = folder / CACHE_FOLDER / participant
        require_no_link(self.folder.parent)
        require_no_link(self.folder)
        self._fingerprints = dict(fingerprints)

    def has(self, modality: Modality, trial: int) -> bool:
        """Whether a modality of a trial is cached."""
        return self._path(modality, trial).is_file()

    def save_eeg(self, trial: int, eeg: np.ndarray, quality: EegQuality) -> None:
        """Cache the EEG of a trial, (n_segments, n_channels, n_samples) microvolts."""
        self._save("eeg", trial, {"eeg": eeg, **vars(quality)})

    def load_eeg(self, trial: int) -> tuple[np.ndarray, EegQuality] | None:
        """Return the EEG of a trial and its quality; None if it is missing or damaged."""
        arrays = self._load("eeg", trial, ("eeg", *QUALITY_DTYPES))
        return None if arrays is None else (arrays.pop("eeg"), EegQuality(**arrays))

    def save_eeg_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Cache what applies to all EEG of the participant. Its presence marks the EEG complete."""
        write_json(self._metadata_path, metadata)

    def load_eeg_metadata(self) -> dict[str, Any] | None:
        """Return the value of `save_eeg_metadata`; None if the EEG is not complete."""
        try:
            metadata: dict[str, Any] = read_json(self._metadata_path)
        except InputError:
            return None
        return metadata

    def save_faces(self, trial: int, faces: SegmentFaces) -> None:
        """Cache the faces of a trial."""
        arrays = {name: getattr(faces, name) for name in FACE_FIELDS}
        arrays["reason"] = faces.reason.astype(str)
        arrays["sizes"] = np.array([len(image) for image in faces.images], np.int64)
        arrays["bytes"] = np.frombuffer(b"".join(faces.images), np.uint8)
        self._save("faces", trial, arrays)

    def load_faces(self, trial: int) -> SegmentFaces | None:
        """Return the faces of a trial; None if they are missing or damaged."""
        arrays = self._load("faces", trial, (*FACE_FIELDS, "sizes", "bytes"))
        if arrays is None:
            return None
        content, ends = arrays["bytes"].tobytes(), np.cumsum(arrays["sizes"])
        starts = ends - arrays["sizes"]
        images = [content[start:end] for start, end in zip(starts, ends, strict=True)]
        arrays["reason"] = arrays["reason"].astype(object)
        return SegmentFaces(images, *(arrays[name] for name in FACE_FIELDS))

    def clear(self) -> None:
        """Remove everything cached for the participant, also with other fingerprints."""
        remove_tree(self.folder)
        parent = self.folder.parent
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()

    @property
    def _metadata_path(self) -> Path:
        return self.folder / f"eeg-{self._fingerprints['eeg'][:24]}.json"

    def _path(self, modality: Modality, trial: int) -> Path:
        return self.folder / f"{trial:04d}-{modality}-{self._fingerprints[modality][:24]}.npz"

    def _save(self, modality: Modality, trial: int, arrays: Mapping[str, np.ndarray]) -> None:
        atomic_write(
            self._path(modality, trial),
            lambda file: np.savez(file, allow_pickle=False, **dict(arrays)),
        )

    def _load(
        self, modality: Modality, trial: int, names: tuple[str, ...]
    ) -> dict[str, np.ndarray] | None:
        arrays = read_arrays(self._path(modality, trial))
        if arrays is None or not set(names) <= set(arrays):
            return None  # computed again: the cache only saves time
        return {name: arrays[name] for name in names}
