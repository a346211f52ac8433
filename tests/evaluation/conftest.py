"""A small store whose classes are told by the EEG and by the brightness of the faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from milmer_cli.settings import Settings, load_settings
from milmer_cli.store import (
    EncodedFaces,
    Header,
    PreparedTrial,
    encode_face,
    write_index,
    write_participant,
)

CHANNELS = ("Fp1", "Fz", "Cz", "Oz")
RATINGS = [(8, 8), (8, 2), (2, 2), (2, 8)]  # valence, arousal of classes 0..3
SFREQ, SEGMENT_S, SEGMENTS, INSTANCES = 128.0, 1.0, 2, 3
SMALL = [
    "model.backbone=scratch:micro",
    "model.freeze_backbone=true",
    "model.feedforward=32",
    "model.encoder_layers=1",
    "model.num_select=2",
    "train.epochs=1",
    "train.batch_size=16",
    "evaluate.folds=2",
    "evaluate.bootstrap=100",
    "evaluate.permutations=100",
    "run.device=cpu",
    "run.report_to=none",
]


def write_store(folder: Path, participants: int = 3, trials: int = 8) -> Path:
    """The last trial of the last participant has no faces, that of the first no EEG."""
    plain = load_settings().model_dump(mode="json")
    kept = {
        "eeg": {**plain["eeg"], "segment_s": SEGMENT_S},
        "faces": {**plain["faces"], "size": 32, "instances": INSTANCES},
    }
    names = [f"s{number + 1:02d}" for number in range(participants)]
    time = np.arange(int(SFREQ * SEGMENT_S)) / SFREQ
    for number, name in enumerate(names):
        draw = np.random.default_rng(number)
        made = []
        for trial in range(1, trials + 1):
            clip = int((trial + 3 * number) % trials) + 1
            kind = clip % 4
            eeg = draw.normal(size=(SEGMENTS, len(CHANNELS), len(time))).astype(np.float32) * 5
            eeg[:, kind] += 20 * np.sin(2 * np.pi * 10 * time)  # alpha on the class's channel
            last = trial == trials
            made.append(
                PreparedTrial(
                    trial=trial,
                    stimulus=clip,
                    ratings=np.array([*RATINGS[kind], 5, 5], np.float32),
                    onset=np.arange(SEGMENTS, dtype=np.float32) * SEGMENT_S,
                    eeg=None if last and number == 0 else eeg,
                    faces=None if last and number == participants - 1 else _faces(kind, draw),
                )
            )
        header = Header(
            participant=name,
            sfreq=SFREQ,
            channels=CHANNELS,
            segment_s=SEGMENT_S,
            instances=INSTANCES,
            face_size=32,
            settings=kept,
            fingerprints={"eeg": "a" * 64, "faces": f"{number}" * 64},
        )
        write_participant(folder / f"{name}.h5", header, made)
    write_index(folder, kept, names)
    return folder


def _faces(kind: int, draw: np.random.Generator) -> EncodedFaces:
    shape = (SEGMENTS, INSTANCES)
    tones = 40 + 50 * kind + draw.integers(20, size=SEGMENTS * INSTANCES)
    return EncodedFaces(
        [encode_face(np.full((32, 32, 3), tone, np.uint8)) for tone in tones],
        np.ones(shape, bool),
        np.zeros(shape, np.float32),
        np.zeros((*shape, 4), np.float32),
        np.ones(shape, np.float32),
        np.full(shape, "").astype(object),
    )


@pytest.fixture(scope="session")
def prepared(made_once) -> Path:
    return made_once("evaluation-store", write_store)


@pytest.fixture(scope="session")
def asked():
    def settings(*more: str) -> Settings:
        return load_settings(overrides=[*SMALL, *more])

    return settings
