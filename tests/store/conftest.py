"""A small participant with known content, and a store of two participants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milmer_cli.store import (
    Header,
    PreparedTrial,
    SegmentFaces,
    encode_face,
    write_index,
    write_participant,
)

N, INSTANCES, SIZE, CHANNELS = 4, 3, 32, ("Fp1", "Cz")
SETTINGS = {"eeg": {"sfreq_hz": 128.0}}


def face_image(number: int) -> np.ndarray:
    """A smooth image like a face; every number has another one."""
    coarse = np.random.default_rng(number).integers(30, 220, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def make_faces(trial: int) -> SegmentFaces:
    numbers = trial * 1000 + np.arange(N * INSTANCES).reshape(N, INSTANCES)
    found = numbers % 4 != 1
    nan = np.float32(np.nan)
    return SegmentFaces(
        images=[encode_face(face_image(n)) if n % 4 != 1 else b"" for n in numbers.ravel()],
        found=found,
        time=(numbers / 8).astype(np.float32),
        box=np.where(found[..., None], numbers[..., None] + np.arange(4), nan).astype(np.float32),
        score=np.where(found, 0.5, nan).astype(np.float32),
        reason=np.select(
            [numbers % 8 == 1, ~found, numbers % 8 == 2],
            ["no face", "another face", "tracked"],
            "",
        ).astype(object),
    )


def make_eeg(trial: int) -> np.ndarray:
    return np.random.default_rng(trial).normal(0, 20, (N, len(CHANNELS), 384)).astype(np.float32)


@pytest.fixture(scope="session")
def header() -> Callable[[str], Header]:
    def make(name: str) -> Header:
        prints = {"eeg": f"eeg of {name}", "faces": f"faces of {name}"}
        return Header(name, 128.0, CHANNELS, 3.0, INSTANCES, SIZE, SETTINGS, prints, "dlib")

    return make


@pytest.fixture(scope="session")
def trials() -> list[PreparedTrial]:
    """Trial 1 is complete, 2 has no EEG, 3 has no video."""
    return [
        PreparedTrial(
            trial=trial,
            stimulus=40 - trial,
            ratings=(trial + 0.5, 5.0, float("nan"), 9.0),
            onset=np.arange(N) * 3.0,
            eeg=None if trial == 2 else make_eeg(trial),
            faces=None if trial == 3 else make_faces(trial),
        )
        for trial in (1, 2, 3)
    ]


@pytest.fixture
def store(tmp_path: Path, header, trials) -> Path:
    folder = tmp_path / "prepared"
    for name in ("s01", "s02"):
        write_participant(folder / f"{name}.h5", header(name), trials)
    write_index(folder, SETTINGS, ["s01", "s02"])
    return folder
