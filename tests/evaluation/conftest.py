"""A small store in which the EEG and the brightness of the faces determine the class."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.settings import Settings, load_settings
from milmer_cli.store import (
    Header,
    PreparedTrial,
    SegmentFaces,
    encode_face,
    write_index,
    write_participant,
)

CHANNELS = ("Fp1", "Fp2", "Cz", "Oz")
RATINGS = [(8, 8), (8, 2), (2, 2), (2, 8)]  # valence, arousal of classes 0..3
BLACK = np.zeros((32, 32, 3), np.uint8)
POISON = np.array([1e3, 10, 1e3, 1e2], np.float32)
SFREQ, SEGMENT_S, SEGMENTS, INSTANCES = 128.0, 1.0, 2, 3
SMALL = [
    "model.backbone=scratch:micro",
    "model.freeze_backbone=true",
    "model.dim_feedforward=32",
    "model.num_layers=1",
    "model.num_select=2",
    "train.epochs=1",
    "train.batch_size=16",
    "evaluate.protocols=[trial]",
    "evaluate.folds=2",
    "evaluate.n_bootstraps=100",
    "evaluate.n_permutations=100",
    "run.device=cpu",
    "run.report_to=none",
]


def _write_store(
    folder: Path,
    participants: int = 3,
    trials: int = 8,
    random_ratings: bool = False,
    poisoned: Collection[tuple[int, int]] = (),
) -> Path:
    """The last trial has no EEG in the first participant, and no faces in the last.

    ``random_ratings`` do not depend on EEG and faces. The trials ``poisoned``, as numbers of
    participant and trial, have huge EEG, dark faces and another class.
    """
    values = load_settings().model_dump(mode="json")
    settings = {
        "eeg": {**values["eeg"], "segment_s": SEGMENT_S},
        "faces": {**values["faces"], "image_size": 32, "instances": INSTANCES},
    }
    names = [f"s{number + 1:02d}" for number in range(participants)]
    time = np.arange(int(SFREQ * SEGMENT_S)) / SFREQ
    for number, name in enumerate(names):
        random, of_ratings = np.random.default_rng(number), np.random.default_rng(100 + number)
        prepared_trials = []
        for trial in range(1, trials + 1):
            stimulus = int((trial + 3 * number) % trials) + 1
            label = stimulus % 4
            eeg = random.normal(size=(SEGMENTS, len(CHANNELS), len(time))).astype(np.float32) * 5
            eeg[:, label] += 20 * np.sin(2 * np.pi * 10 * time)  # alpha in the channel of the class
            faces, rated = _faces(label, random), label
            if random_ratings:
                rated = int(of_ratings.integers(4))
            if (number, trial) in poisoned:
                eeg, rated = eeg * POISON[:, None], (rated + 1) % 4
                faces = replace(faces, images=[encode_face(BLACK)] * len(faces.images))
            last = trial == trials
            prepared_trials.append(
                PreparedTrial(
                    trial=trial,
                    stimulus=stimulus,
                    ratings=np.array([*RATINGS[rated], 5, 5], np.float32),
                    onset=np.arange(SEGMENTS, dtype=np.float32) * SEGMENT_S,
                    eeg=None if last and number == 0 else eeg,
                    faces=None if last and number == participants - 1 else faces,
                )
            )
        header = Header(
            participant=name,
            sfreq=SFREQ,
            channels=CHANNELS,
            segment_s=SEGMENT_S,
            instances=INSTANCES,
            face_size=32,
            settings=settings,
            fingerprints={"eeg": "a" * 64, "faces": f"{number}" * 64},
        )
        write_participant(folder / f"{name}.h5", header, prepared_trials)
    write_index(folder, settings, names)
    return folder


def _faces(label: int, random: np.random.Generator) -> SegmentFaces:
    shape = (SEGMENTS, INSTANCES)
    levels = 40 + 50 * label + random.integers(20, size=SEGMENTS * INSTANCES)
    return SegmentFaces(
        [encode_face(np.full((32, 32, 3), level, np.uint8)) for level in levels],
        np.ones(shape, bool),
        np.zeros(shape, np.float32),
        np.zeros((*shape, 4), np.float32),
        np.ones(shape, np.float32),
        np.full(shape, "").astype(object),
    )


@pytest.fixture(scope="session")
def write_store() -> Callable[..., Path]:
    """`_write_store`, for other stores of this kind."""
    return _write_store


@pytest.fixture(scope="session")
def prepared(made_once) -> Path:
    """Folder of the store."""
    return made_once("evaluation-store", _write_store)


@pytest.fixture(scope="session")
def small_settings() -> Callable[..., Settings]:
    """``small_settings(*overrides)``: settings of a small model and few resamples."""

    def settings(*overrides: str) -> Settings:
        return load_settings(overrides=[*SMALL, *overrides])

    return settings
