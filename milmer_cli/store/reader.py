"""Read the file of one participant: random access to segments, from any process."""

from __future__ import annotations

import json
import os
import warnings
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from milmer_cli.eeg.epochs import make_epochs
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.errors import InputError
from milmer_cli.faces.jpeg import decode_face
from milmer_cli.faces.segment_faces import SegmentFaces
from milmer_cli.store.hdf5_file import open_hdf5
from milmer_cli.store.schema import (
    FACE_DTYPES,
    FILE_ATTRIBUTES,
    FORMAT_VERSION,
    QUALITY_DTYPES,
    READABLE_VERSIONS,
    ROW_DTYPES,
    TEXT_COLUMNS,
)
from milmer_cli.store.segments import Segments
from milmer_cli.store.sources import TrialSource

_PREPARE_AGAIN = "Delete the file and run `milmer prepare` again."


class PreparedParticipant:
    """The segments of one participant. Everything except EEG and images is held in memory.

    Objects can be pickled and survive a fork: each process opens the file itself on first use.

    Attributes
    ----------
    path
        The file.
    format
        Version of its format.
    participant
        Name, for example ``s01``.
    channels
        EEG channels in stored order.
    sfreq, segment_s
        Sampling rate in Hz; duration of a segment in seconds.
    instances, face_size
        Face images per segment; side of a face image in pixels.
    settings, fingerprints, detector, notes
        As in `store.writer.Header`.
    trial, stimulus, onset, ratings, eeg_found, label, session, condition
        (n_segments[, 4]) arrays, as in `store.segments.Segments`.
    quality
        Quality of the EEG. A file of format 1 does not contain it: the channels that were
        interpolated are bad in all segments, and the amplitudes are computed from the EEG.
    found, time, box, score, reason
        (n_segments, instances[, 4]) arrays, as in `SegmentFaces`. An image is only valid where
        ``found`` is True.

    Raises
    ------
    InputError
        From `open`: the file is missing, damaged, or of another format.
    """

    format: int
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
            self._read_attributes()
            self._read_arrays()
        except (KeyError, ValueError, TypeError, IndexError) as error:
            self.close()
            raise InputError(
                f"{path} is not a complete prepared file: {error}.", _PREPARE_AGAIN
            ) from error

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open the file of a participant for reading."""
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
        """Close the file. It is opened again on the next access."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __repr__(self) -> str:
        size = f"{len(self)} segments, {len(self.channels)} channels"
        return f"<PreparedParticipant | {self.participant}: {size}>"

    def __len__(self) -> int:
        return len(self.trial)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_process": -1}

    @property
    def sources(self) -> dict[int, TrialSource]:
        """Trial -> the parts of files that it was prepared from; empty for an older file."""
        return {
            int(trial): TrialSource.from_json(values)
            for trial, values in self.notes.get("sources", {}).items()
        }

    @property
    def eeg(self) -> h5py.Dataset:
        """EEG, read on indexing: ``p.eeg[5]`` is (n_channels, n_samples) float32 microvolts."""
        return self._open_file()["eeg"]

    @property
    def n_samples(self) -> int:
        """EEG samples per segment."""
        return round(self.sfreq * self.segment_s)

    def faces(self, segment: int) -> np.ndarray:
        """Decode the face images of a segment.

        Returns
        -------
        ndarray
            (instances, size, size, 3) uint8 RGB; zeros where ``found`` is False.
        """
        images = np.zeros((self.instances, self.face_size, self.face_size, 3), np.uint8)
        for instance, encoded in enumerate(self.encoded_faces(segment)):
            if encoded:
                images[instance] = self._decode(encoded, segment, instance)
        return images

    def encoded_faces(self, segment: int) -> list[bytes]:
        """Return the stored JPEG files of a segment; empty bytes without a face."""
        first = range(len(self))[segment] * self.instances
        offsets = self._offsets[first : first + self.instances + 1]
        content = self._open_file()["faces/encoded"][offsets[0] : offsets[-1]].tobytes()
        return [content[start:end] for start, end in pairwise((offsets - offsets[0]).tolist())]

    def trial_faces(self, trial: int) -> SegmentFaces:
        """Return the faces of all segments of a trial."""
        rows = np.flatnonzero(self.trial == trial)
        images = [image for row in rows for image in self.encoded_faces(int(row))]
        return SegmentFaces(
            images,
            self.found[rows],
            self.time[rows],
            self.box[rows],
            self.score[rows],
            self.reason[rows],
        )

    def to_epochs(self) -> Any:
        """Return the segments that have EEG as epochs of MNE.

        Returns
        -------
        mne.EpochsArray
            In volts, with the positions of the electrodes. Channels that are bad in all segments
            are ``info["bads"]``. The events are the numbers of the trials; their samples count
            the segments, not the time of the recording. ``metadata`` is `Segments.to_dataframe`,
            or None with a warning if pandas is not installed.

        Raises
        ------
        InputError
            The participant has no EEG.
        """
        rows = np.flatnonzero(self.eeg_found)
        if not len(rows):
            raise InputError(f"{self.path} has no EEG.", "Choose another participant.")
        try:
            metadata = self.segments().take(rows).to_dataframe()
        except InputError as error:
            warnings.warn(f"The epochs have no metadata. {error}", stacklevel=2)
            metadata = None
        bad_in_all = np.flatnonzero(self.quality.bad[rows].all(axis=0))
        bads = [self.channels[index] for index in bad_in_all]
        return make_epochs(
            self.eeg[:][rows], self.sfreq, self.channels, self.trial[rows], bads, metadata
        )

    def segments(self) -> Segments:
        """Return the table of the segments."""
        n = len(self)
        return Segments(
            np.full(n, self.participant),
            np.arange(n),
            self.trial.astype(np.int64),
            self.stimulus.astype(np.int64),
            self.onset,
            self.ratings,
            self.eeg_found,
            self.found.mean(axis=1) if self.instances else np.zeros(n),
            self.label,
            self.session,
            self.condition,
        )

    def _decode(self, encoded: bytes, segment: int, instance: int) -> np.ndarray:
        where = f"Face {instance} of segment {segment} in {self.path}"
        try:
            image = decode_face(encoded)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{where} cannot be decoded.", _PREPARE_AGAIN) from error
        expected = (self.face_size, self.face_size, 3)
        if image.shape != expected:
            raise InputError(
                f"{where}: expected shape {expected}, got {image.shape}.", _PREPARE_AGAIN
            )
        return image

    def _open_file(self) -> h5py.File:
        if self._file is None or self._process != os.getpid():
            # A handle inherited by a fork shares its file position with the parent: do not use it.
            self.close()
            if not self.path.exists():
                raise InputError(f"{self.path} does not exist.", "Run `milmer prepare` first.")
            self._file = open_hdf5(self.path, _PREPARE_AGAIN)
            self._process = os.getpid()
        return self._file

    def _read_attributes(self) -> None:
        file = self._open_file()
        attributes = file.attrs
        if "format" not in attributes:
            raise ValueError("it was not written by Milmer")
        version = int(attributes["format"])
        if version not in READABLE_VERSIONS:
            self.close()
            raise InputError(
                f"{self.path} has format {version}, expected format {FORMAT_VERSION}.",
                "Update Milmer." if version > FORMAT_VERSION else "Run `milmer prepare` again.",
            )
        self.format = version
        missing = [name for name in FILE_ATTRIBUTES if name not in attributes]
        if missing:
            raise ValueError(f"the attribute {missing[0]} is missing")
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

    def _read_arrays(self) -> None:
        file = self._open_file()
        rows = {name: file[name][()] for name in (*ROW_DTYPES, "eeg_found")}
        faces = {name: file["faces"][name][()] for name in FACE_DTYPES}
        self._offsets = file["faces/offsets"][()]
        n = len(rows["trial"])
        for name, array in rows.items():
            _require_shape(name, array, (n, 4) if name == "ratings" else (n,))
        for name, array in faces.items():
            box = (4,) if name == "box" else ()
            _require_shape(f"faces/{name}", array, (n, self.instances, *box))
        _require_shape("eeg", file["eeg"], (n, len(self.channels), self.n_samples))
        _require_shape("faces/offsets", self._offsets, (n * self.instances + 1,))
        _require_shape("faces/encoded", file["faces/encoded"], (int(self._offsets[-1]),))
        sizes = np.diff(self._offsets)
        if self._offsets[0] != 0 or np.any(sizes < 0):
            raise ValueError("faces/offsets are not ascending")
        if not np.array_equal(sizes > 0, faces["found"].ravel()):
            raise ValueError("faces/found does not match the images")
        self.trial, self.stimulus = rows["trial"], rows["stimulus"]
        self.onset, self.ratings = rows["onset"], rows["ratings"]
        self.eeg_found = rows["eeg_found"]
        self.label, self.session, self.condition = (_text(file, name, n) for name in TEXT_COLUMNS)
        self.quality = self._read_quality(file)
        self.found, self.time = faces["found"], faces["time"]
        self.box, self.score = faces["box"], faces["score"]
        meanings = json.loads(file["faces/reason"].attrs["meanings"])
        self.reason = np.array(["", *meanings[1:]], dtype=object)[faces["reason"]]

    def _read_quality(self, file: h5py.File) -> EegQuality:
        if self.format == 1:
            found = self.eeg_found[:, None]
            interpolated = np.isin(self.channels, self.notes.get("interpolated", ())) & found
            return EegQuality(interpolated | ~found, interpolated, np.ptp(file["eeg"][()], axis=2))
        arrays = {name: file["quality"][name][()] for name in QUALITY_DTYPES}
        for name, array in arrays.items():
            _require_shape(f"quality/{name}", array, (len(self), len(self.channels)))
        return EegQuality(**arrays)


def _text(file: h5py.File, name: str, n: int) -> np.ndarray:
    """Return a column of text, (n,) str; empty if the file does not have it."""
    if name not in file:
        return np.full(n, "")
    values: np.ndarray = file[name].asstr()[()].astype(str)
    _require_shape(name, values, (n,))
    return values


def _require_shape(name: str, array: np.ndarray | h5py.Dataset, expected: tuple[int, ...]) -> None:
    if tuple(array.shape) != expected:
        raise ValueError(f"{name}: expected shape {expected}, got {tuple(array.shape)}")
