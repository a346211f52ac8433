"""Write the file of one participant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from milmer_cli.eeg.quality import EegQuality
from milmer_cli.faces.jpeg import ENCODING
from milmer_cli.faces.segment_faces import SegmentFaces
from milmer_cli.integrity import checksum
from milmer_cli.io import atomic_path, require_space
from milmer_cli.store.schema import (
    FACE_DTYPES,
    FORMAT_VERSION,
    FOUND,
    QUALITY_DTYPES,
    ROW_DTYPES,
    TEXT_COLUMNS,
)


@dataclass(frozen=True)
class Header:
    """What applies to all segments of a participant.

    Attributes
    ----------
    participant
        Name, for example ``s01``.
    sfreq
        Sampling rate of the EEG, in Hz.
    channels
        EEG channels in stored order.
    segment_s
        Duration of a segment, in seconds.
    instances
        Face images per segment.
    face_size
        Side of a face image, in pixels.
    settings
        Sections ``eeg`` and ``faces`` of the settings, as JSON values.
    fingerprints
        Fingerprints of what ``eeg``, ``faces`` and ``rows`` depend on.
    detector
        Name of the face detector.
    notes
        Properties of the EEG, as JSON values: ``interpolated`` (channels), ``eog_components``
        (removed independent components), ``eog_variance`` (for each recording, the share of the
        variance of the frontal electrodes that was removed as eye artifacts, or None),
        ``eog_method`` (for each recording, `eeg.eog.EogMethod`), ``sources`` (by trial,
        `sources.TrialSource`),
        ``messages`` (sentences), ``warnings`` (those among them that concern most of the
        recording), ``preprocessed`` (whether the recording was already filtered and re-referenced,
        as DEAP's preprocessed files are).
    """

    participant: str
    sfreq: float
    channels: tuple[str, ...]
    segment_s: float
    instances: int
    face_size: int
    settings: Mapping[str, Any]
    fingerprints: Mapping[str, str]
    detector: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_samples(self) -> int:
        """EEG samples per segment."""
        return round(self.sfreq * self.segment_s)


@dataclass(frozen=True, eq=False)
class PreparedTrial:
    """The segments of one trial.

    Attributes
    ----------
    trial, stimulus
        Order of presentation; number of the stimulus.
    ratings
        (4,) valence, arousal, dominance, liking; NaN if unknown.
    onset
        (n_segments,) seconds after stimulus onset.
    eeg
        (n_segments, n_channels, n_samples) microvolts, NaN in gaps and after the end of the
        recording; None without EEG.
    faces
        Faces of the segments; None without video.
    label
        Class name; empty if the data set has none.
    quality
        Quality of ``eeg``; None if no channel is bad.
    session, condition
        Recording session and experimental condition; empty if the data set has none.
    """

    trial: int
    stimulus: int
    ratings: Sequence[float]
    onset: np.ndarray
    eeg: np.ndarray | None
    faces: SegmentFaces | None
    label: str = ""
    quality: EegQuality | None = None
    session: str = ""
    condition: str = ""


def write_participant(path: Path, header: Header, trials: Sequence[PreparedTrial]) -> str:
    """Write the file of a participant atomically. Equal trials give equal bytes.

    HDF5 writes into memory, because it crashes when a disk is full.

    Parameters
    ----------
    path
        Final name, for example ``prepared/s01.h5``.
    header
        What applies to all segments.
    trials
        In order of presentation.

    Returns
    -------
    str
        Checksum of the file; see `milmer_cli.integrity`.

    Raises
    ------
    ValueError
        A trial does not match the header.
    InputError, MilmerError
        The file cannot be written.
    """
    for trial in trials:
        _require_match(trial, header)
    with atomic_path(path) as temporary:
        image = _file_image(header, trials)
        require_space(path, len(image))
        temporary.write_bytes(image)
    return checksum(image)


def _file_image(header: Header, trials: Sequence[PreparedTrial]) -> bytes:
    """Return the bytes of the file of a participant."""
    image = BytesIO()  # HDF5's own images of open files are not valid before HDF5 2.0
    try:
        with h5py.File(image, "w", libver="v110") as file:
            _write_attributes(file, header)
            _write_rows(file, trials)
            _write_eeg(file, header, trials)
            _write_quality(file.create_group("quality"), header, trials)
            _write_faces(file.create_group("faces"), header, trials)
    except RuntimeError as error:  # of HDF5, as an error of the system in its text
        raise OSError(str(error)) from error
    return image.getvalue()


def _require_match(trial: PreparedTrial, header: Header) -> None:
    n_segments = len(trial.onset)
    where = f"Trial {trial.trial} of {header.participant}"
    eeg_shape = (n_segments, len(header.channels), header.n_samples)
    if trial.eeg is not None and trial.eeg.shape != eeg_shape:
        raise ValueError(f"{where}: expected eeg of shape {eeg_shape}, got {trial.eeg.shape}")
    if trial.quality is not None and trial.quality.bad.shape != eeg_shape[:2]:
        shape = trial.quality.bad.shape
        raise ValueError(f"{where}: expected quality of shape {eeg_shape[:2]}, got {shape}")
    faces_shape = (n_segments, header.instances)
    if trial.faces is not None and trial.faces.found.shape != faces_shape:
        shape = trial.faces.found.shape
        raise ValueError(f"{where}: expected faces of shape {faces_shape}, got {shape}")
    if len(trial.ratings) != 4:
        raise ValueError(f"{where}: expected 4 ratings, got {len(trial.ratings)}")


def _write_attributes(file: h5py.File, header: Header) -> None:
    file.attrs["format"] = FORMAT_VERSION
    file.attrs["participant"] = header.participant
    file.attrs["sfreq"] = float(header.sfreq)
    file.attrs["channels"] = json.dumps(list(header.channels))
    file.attrs["segment_s"] = float(header.segment_s)
    file.attrs["instances"] = int(header.instances)
    file.attrs["settings"] = json.dumps(header.settings, sort_keys=True)
    file.attrs["fingerprints"] = json.dumps(dict(header.fingerprints), sort_keys=True)
    file.attrs["detector"] = header.detector
    file.attrs["notes"] = json.dumps(dict(header.notes), sort_keys=True)


def _write_rows(file: h5py.File, trials: Sequence[PreparedTrial]) -> None:
    counts = [len(trial.onset) for trial in trials]
    ratings = np.array([trial.ratings for trial in trials], float).reshape(-1, 4)
    columns = {
        "trial": np.repeat([trial.trial for trial in trials], counts),
        "stimulus": np.repeat([trial.stimulus for trial in trials], counts),
        "onset": np.concatenate([np.zeros(0), *(trial.onset for trial in trials)]),
        "ratings": np.repeat(ratings, counts, axis=0),
    }
    for name, dtype in ROW_DTYPES.items():
        file.create_dataset(name, data=columns[name].astype(dtype))
    for name in TEXT_COLUMNS:
        texts = [getattr(trial, name) for trial in trials]
        if any(texts):
            values = np.repeat(np.array(texts, object), counts)
            file.create_dataset(name, data=values, dtype=h5py.string_dtype("utf-8"))


def _write_eeg(file: h5py.File, header: Header, trials: Sequence[PreparedTrial]) -> None:
    found = [
        np.zeros(len(trial.onset), bool)
        if trial.eeg is None
        else ~np.isnan(trial.eeg).all(axis=(1, 2))
        for trial in trials
    ]
    file.create_dataset("eeg_found", data=np.concatenate([np.zeros(0, bool), *found]))
    # Contiguous and uncompressed: noise in float32 does not compress, and a row is one read.
    shape = (sum(map(len, found)), len(header.channels), header.n_samples)
    eeg = file.create_dataset("eeg", shape, "float32", fillvalue=np.nan)
    eeg.attrs["unit"] = "uV"
    row = 0
    for trial in trials:
        count = len(trial.onset)
        if trial.eeg is not None and eeg.size:
            eeg[row : row + count] = trial.eeg
        row += count


def _write_quality(group: h5py.Group, header: Header, trials: Sequence[PreparedTrial]) -> None:
    n_channels = len(header.channels)
    parts = [EegQuality.missing(0, n_channels), *(_quality(trial, n_channels) for trial in trials)]
    quality = EegQuality.concatenate(parts)
    for name, dtype in QUALITY_DTYPES.items():
        group.create_dataset(name, data=getattr(quality, name).astype(dtype))
    group["ptp_uv"].attrs["unit"] = "uV"


def _quality(trial: PreparedTrial, n_channels: int) -> EegQuality:
    if trial.eeg is None:
        return EegQuality.missing(len(trial.onset), n_channels)
    return trial.quality or EegQuality.of(trial.eeg)


def _write_faces(group: h5py.Group, header: Header, trials: Sequence[PreparedTrial]) -> None:
    group.attrs["encoding"] = ENCODING
    group.attrs["size"] = int(header.face_size)
    parts = [
        trial.faces or SegmentFaces.missing(len(trial.onset), header.instances) for trial in trials
    ]
    sizes = [len(image) for part in parts for image in part.images]
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    group.create_dataset("offsets", data=offsets)
    encoded = group.create_dataset("encoded", (int(offsets[-1]),), "uint8")
    start = 0
    for part in parts:
        block = np.frombuffer(b"".join(part.images), np.uint8)
        if block.size:
            encoded[start : start + block.size] = block
        start += block.size
    reasons = sorted({str(reason) for part in parts for reason in part.reason.ravel() if reason})
    meanings = [FOUND, *reasons]
    codes = {"": 0, **{reason: code for code, reason in enumerate(meanings) if code}}
    for name, dtype in FACE_DTYPES.items():
        arrays = [
            np.vectorize(lambda reason: codes[str(reason)], otypes=[np.uint8])(part.reason)
            if name == "reason"
            else getattr(part, name)
            for part in parts
        ]
        empty = np.zeros((0, header.instances, *((4,) if name == "box" else ())))
        group.create_dataset(name, data=np.concatenate([empty, *arrays]).astype(dtype))
    group["reason"].attrs["meanings"] = json.dumps(meanings)
