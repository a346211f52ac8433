"""Write the prepared file of one participant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from milmer_cli.store.atomic import written_aside
from milmer_cli.store.images import EncodedFaces
from milmer_cli.store.layout import ENCODING, FACE_ROWS, FORMAT, FOUND, LABEL, ROWS


@dataclass(frozen=True)
class Header:
    """What holds for all of a participant's segments.

    Attributes
    ----------
    participant
        Name, ``s01``.
    sfreq
        Sampling rate of the EEG, in Hz.
    channels
        Their names in stored order; empty for a participant without EEG.
    segment_s
        Length of a segment, in seconds.
    instances
        Face images a segment.
    face_size
        Side of a face image, in pixels.
    settings
        The settings that made the file, as plain values.
    fingerprints
        Fingerprints of inputs and settings, by part (``eeg``, ``faces``).
    detector
        Which face detector was used.
    notes
        What else a careful reader should know, as plain values: ``interpolated`` (channels),
        ``eog_components`` (removed), ``remarks`` (a sentence each), ``cleaned`` (whether the EEG
        came filtered and referenced, as DEAP's preprocessed files do).
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
    def samples(self) -> int:
        """EEG samples a segment."""
        return round(self.sfreq * self.segment_s)


@dataclass(frozen=True)
class PreparedTrial:
    """The segments of one trial.

    Attributes
    ----------
    trial, stimulus
        Order of presentation; which clip.
    ratings
        (4,), NaN where not given.
    label
        Name of the class where the data set names classes; empty for none.
    onset
        (n,), seconds from the start of the stimulus.
    eeg
        (n, channels, samples) microvolts, NaN in segments after its end; or None.
    faces
        Of the n segments, or None when there is no video.
    """

    trial: int
    stimulus: int
    ratings: Sequence[float]
    onset: np.ndarray
    eeg: np.ndarray | None
    faces: EncodedFaces | None
    label: str = ""


def write_participant(path: Path, header: Header, trials: Sequence[PreparedTrial]) -> None:
    """Write a participant's file, aside and then under its name.

    The same trials always give the same bytes.

    Parameters
    ----------
    path
        The final name, ``prepared/s01.h5``.
    header
        What holds for all segments.
    trials
        In order of presentation.

    Raises
    ------
    ValueError
        When a trial does not fit the header.
    InputError, MilmerError
        When the file cannot be written.
    """
    for trial in trials:
        _check(trial, header)
    with written_aside(path) as aside:
        try:
            with h5py.File(aside, "w", libver="v110") as file:
                _write_attributes(file, header)
                _write_rows(file, header, trials)
                _write_faces(file.create_group("faces"), header, trials)
        except RuntimeError as error:  # how HDF5 fails to close a file on a full disk
            raise OSError(str(error)) from error


def _check(trial: PreparedTrial, header: Header) -> None:
    n = len(trial.onset)
    where = f"Trial {trial.trial} of {header.participant}"
    expected = (n, len(header.channels), header.samples)
    if trial.eeg is not None and trial.eeg.shape != expected:
        raise ValueError(f"{where}: eeg has shape {trial.eeg.shape} instead of {expected}")
    if trial.faces is not None and trial.faces.found.shape != (n, header.instances):
        shape = trial.faces.found.shape
        raise ValueError(f"{where}: faces have shape {shape} instead of {(n, header.instances)}")
    if len(trial.ratings) != 4:
        raise ValueError(f"{where}: {len(trial.ratings)} ratings instead of 4")


def _write_attributes(file: h5py.File, header: Header) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["participant"] = header.participant
    file.attrs["sfreq"] = float(header.sfreq)
    file.attrs["channels"] = json.dumps(list(header.channels))
    file.attrs["segment_s"] = float(header.segment_s)
    file.attrs["instances"] = int(header.instances)
    file.attrs["settings"] = json.dumps(header.settings, sort_keys=True)
    file.attrs["fingerprints"] = json.dumps(dict(header.fingerprints), sort_keys=True)
    file.attrs["detector"] = header.detector
    file.attrs["notes"] = json.dumps(dict(header.notes), sort_keys=True)


def _write_rows(file: h5py.File, header: Header, trials: Sequence[PreparedTrial]) -> None:
    counts = [len(trial.onset) for trial in trials]
    columns = {
        "trial": np.repeat([trial.trial for trial in trials], counts),
        "stimulus": np.repeat([trial.stimulus for trial in trials], counts),
        "onset": np.concatenate([np.zeros(0), *(trial.onset for trial in trials)]),
        "ratings": np.repeat(
            np.array([trial.ratings for trial in trials], float).reshape(-1, 4), counts, axis=0
        ),
    }
    for name, dtype in ROWS.items():
        file.create_dataset(name, data=columns[name].astype(dtype))
    labels = [trial.label for trial in trials]
    if any(labels):
        text = h5py.string_dtype("utf-8")
        file.create_dataset(LABEL, data=np.repeat(np.array(labels, object), counts), dtype=text)
    found = [
        np.zeros(count, bool) if trial.eeg is None else ~np.isnan(trial.eeg).all(axis=(1, 2))
        for trial, count in zip(trials, counts, strict=True)
    ]
    file.create_dataset("eeg_found", data=np.concatenate([np.zeros(0, bool), *found]))
    # Contiguous and uncompressed: float32 noise does not shrink, and a row is one read.
    shape = (sum(counts), len(header.channels), header.samples)
    eeg = file.create_dataset("eeg", shape, "float32", fillvalue=np.nan)
    eeg.attrs["unit"] = "uV"
    row = 0
    for trial, count in zip(trials, counts, strict=True):
        if trial.eeg is not None and eeg.size:
            eeg[row : row + count] = trial.eeg
        row += count


def _write_faces(group: h5py.Group, header: Header, trials: Sequence[PreparedTrial]) -> None:
    group.attrs["encoding"] = ENCODING
    group.attrs["size"] = int(header.face_size)
    bags = [trial.faces or _none(len(trial.onset), header.instances) for trial in trials]
    sizes = [len(image) for bag in bags for image in bag.images]
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    group.create_dataset("offsets", data=offsets)
    encoded = group.create_dataset("encoded", (int(offsets[-1]),), "uint8")
    at = 0
    for bag in bags:
        block = np.frombuffer(b"".join(bag.images), np.uint8)
        if block.size:
            encoded[at : at + block.size] = block
        at += block.size
    meanings = [FOUND, *sorted({str(why) for bag in bags for why in bag.reason.ravel() if why})]
    code = {"": 0, **{why: number for number, why in enumerate(meanings) if number}}
    shape = (0, header.instances)
    for name, dtype in FACE_ROWS.items():
        tail = (4,) if name == "box" else ()
        parts = [
            np.vectorize(lambda why: code[str(why)], otypes=[np.uint8])(bag.reason)
            if name == "reason"
            else getattr(bag, name)
            for bag in bags
        ]
        data = np.concatenate([np.zeros((*shape, *tail)), *parts]).astype(dtype)
        group.create_dataset(name, data=data)
    group["reason"].attrs["meanings"] = json.dumps(meanings)


def _none(n: int, instances: int) -> EncodedFaces:
    shape = (n, instances)
    return EncodedFaces(
        [b""] * (n * instances),
        np.zeros(shape, bool),
        np.full(shape, np.nan, np.float32),
        np.full((*shape, 4), np.nan, np.float32),
        np.full(shape, np.nan, np.float32),
        np.full(shape, "no video", dtype=object),
    )
