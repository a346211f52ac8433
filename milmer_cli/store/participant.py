"""Read the prepared file of one participant: random segments, fast, from any process."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.store.images import EncodedFaces, decode_face, encode_face
from milmer_cli.store.layout import FACE_ROWS, FILE_ATTRIBUTES, FORMAT, LABEL, ROWS
from milmer_cli.store.writing import Header, PreparedTrial, write_participant

__all__ = [
    "EncodedFaces",
    "Header",
    "PreparedParticipant",
    "PreparedTrial",
    "decode_face",
    "encode_face",
    "write_participant",
]


class PreparedParticipant:
    """One participant's segments. Everything but EEG and images is in memory.

    Instances can be pickled and survive a fork: each process opens the file itself, on first use.

    Attributes
    ----------
    participant
        Name, ``s01``.
    channels
        Names of the EEG channels, in stored order.
    sfreq, segment_s
        Rate in Hz and length of a segment in seconds.
    instances, face_size
        Face images a segment, and their side in pixels.
    settings, fingerprints, detector, notes
        What made the file.
    trial, stimulus, onset, ratings, eeg_found
        (n_segments[, 4]) arrays.
    label
        (n_segments,) str, name of the class; empty where the data set gives none.
    found, time, box, score
        (n_segments, instances[, 4]) arrays about the faces; consult ``found`` before an image.
    reason
        (n_segments, instances) str: why there is no image, empty where there is one.

    Raises
    ------
    InputError
        From `open`: when the file is missing, foreign, of a newer format or damaged.
    """

    participant: str
    sfreq: float
    segment_s: float
    instances: int
    settings: dict[str, Any]
    fingerprints: dict[str, str]
    detector: str
    notes: dict[str, Any]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: h5py.File | None = None
        self._process = -1
        try:
            self._read_header()
        except (KeyError, ValueError, TypeError, IndexError) as error:
            self.close()
            raise InputError(
                f"{path} is not a whole prepared file: {error}.",
                "Delete it and run `milmer prepare` again.",
            ) from error

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a participant's file for reading."""
        return cls(Path(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; it opens again when something is read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return len(self.trial)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_process": -1}

    @property
    def eeg(self) -> h5py.Dataset:
        """EEG in microvolts, read on indexing: ``p.eeg[5]`` is (n_channels, n_samples) float32."""
        return self._handle()["eeg"]

    @property
    def n_samples(self) -> int:
        """EEG samples a segment."""
        return round(self.sfreq * self.segment_s)

    def faces(self, segment: int) -> np.ndarray:
        """Give the face images of a segment.

        Returns
        -------
        ndarray
            (instances, size, size, 3) uint8, RGB. Zeros where ``found`` is False.
        """
        side = self.face_size
        images = np.zeros((self.instances, side, side, 3), np.uint8)
        for instance, encoded in enumerate(self.encoded_faces(segment)):
            if encoded:
                images[instance] = self._decoded(encoded, segment, instance)
        return images

    def encoded_faces(self, segment: int) -> list[bytes]:
        """Give the image files of a segment, as stored; empty bytes where there is none."""
        first = range(len(self))[segment] * self.instances
        bounds = self._offsets[first : first + self.instances + 1]
        block = self._handle()["faces/encoded"][bounds[0] : bounds[-1]].tobytes()
        cuts = (bounds - bounds[0]).tolist()
        return [block[start:end] for start, end in pairwise(cuts)]

    def _decoded(self, encoded: bytes, segment: int, instance: int) -> np.ndarray:
        try:
            image = decode_face(encoded)
        except OSError as error:
            raise InputError(
                f"Face {instance} of segment {segment} in {self.path} cannot be decoded.",
                "Delete the file and run `milmer prepare` again.",
            ) from error
        if image.shape != (self.face_size, self.face_size, 3):
            raise InputError(
                f"Face {instance} of segment {segment} in {self.path} has shape {image.shape}.",
                "Delete the file and run `milmer prepare` again.",
            )
        return image

    def _handle(self) -> h5py.File:
        if self._file is None or self._process != os.getpid():
            # After a fork the inherited handle shares its file position with the parent: let it go.
            self.close()
            if not self.path.is_file():
                raise InputError(f"There is no file {self.path}.", "Run `milmer prepare` first.")
            try:
                # The file never changes under its name, so it needs no lock (nor a writable disk).
                self._file = h5py.File(self.path, "r", locking=False)
            except OSError as error:
                raise InputError(
                    f"{self.path} is no HDF5 file or is damaged.",
                    "Delete it and run `milmer prepare` again.",
                ) from error
            self._process = os.getpid()
        return self._file

    def _read_header(self) -> None:
        file = self._handle()
        attributes = file.attrs
        if "format" not in attributes:
            raise ValueError("it is no file of Milmer")
        version = int(attributes["format"])
        if version != FORMAT:
            self.close()
            raise InputError(
                f"{self.path} has format {version}, and this Milmer reads format {FORMAT}.",
                "Update Milmer." if version > FORMAT else "Run `milmer prepare` again.",
            )
        missing = [name for name in FILE_ATTRIBUTES if name not in attributes]
        if missing:
            raise ValueError(f"attribute {missing[0]} is missing")
        self.participant = str(attributes["participant"])
        self.sfreq = float(attributes["sfreq"])
        self.segment_s = float(attributes["segment_s"])
        self.instances = int(attributes["instances"])
        self.channels = tuple(json.loads(attributes["channels"]))
        self.settings = json.loads(attributes["settings"])
        self.fingerprints = json.loads(attributes["fingerprints"])
        self.detector = str(attributes["detector"])
        self.notes = json.loads(attributes["notes"])
        self.face_size = int(file["faces"].attrs["size"])
        self._read_arrays(file)

    def _read_arrays(self, file: h5py.File) -> None:
        rows = {name: file[name][()] for name in (*ROWS, "eeg_found")}
        faces = {name: file["faces"][name][()] for name in FACE_ROWS}
        n = len(rows["trial"])
        expected: dict[str, tuple[int, ...]] = dict.fromkeys(rows, (n,))
        expected["ratings"] = (n, 4)
        for name, shape in expected.items():
            _expect(name, rows[name].shape, shape)
        for name, array in faces.items():
            tail = (4,) if name == "box" else ()
            _expect(f"faces/{name}", array.shape, (n, self.instances, *tail))
        _expect("eeg", file["eeg"].shape, (n, len(self.channels), self.n_samples))
        self._offsets = file["faces/offsets"][()]
        _expect("faces/offsets", self._offsets.shape, (n * self.instances + 1,))
        _expect("faces/encoded", file["faces/encoded"].shape, (int(self._offsets[-1]),))
        sizes = np.diff(self._offsets)
        if self._offsets[0] != 0 or np.any(sizes < 0):
            raise ValueError("faces/offsets do not rise")
        if not np.array_equal(sizes > 0, faces["found"].ravel()):
            raise ValueError("faces/found and the images disagree")
        self.trial, self.stimulus = rows["trial"], rows["stimulus"]
        self.onset, self.ratings = rows["onset"], rows["ratings"]
        self.eeg_found = rows["eeg_found"]
        self.label = file[LABEL].asstr()[()].astype(str) if LABEL in file else np.full(n, "")
        _expect(LABEL, self.label.shape, (n,))
        self.found, self.time = faces["found"], faces["time"]
        self.box, self.score = faces["box"], faces["score"]
        meanings = json.loads(file["faces/reason"].attrs["meanings"])
        self.reason = np.array(["", *meanings[1:]], dtype=object)[faces["reason"]]


def _expect(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(shape) != tuple(expected):
        raise ValueError(f"{name} has shape {shape} instead of {expected}")
