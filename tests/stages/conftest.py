"""Small recordings as people have them, and a run folder with an untrained model."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import edfio
import numpy as np
import pytest
from skimage import data

from milmer_cli.data.labels import class_names
from milmer_cli.demo import DemoSpec, make_demo_data
from milmer_cli.metrics.calibration import reliability
from milmer_cli.model import build_model
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.recordings.deap import DeapRecordings
from milmer_cli.settings import dump_yaml, load_settings
from milmer_cli.stages.prepare import prepare
from milmer_cli.training.runfolder import save_model

FPS, RATE = 10, 128
HEAD = data.astronaut()[0:280, 90:370]
SMALL = [
    "faces.detector=dlib",
    "faces.size=112",
    "faces.instances=3",
    "model.backbone=scratch:micro",
    "model.feedforward=32",
    "model.num_select=2",
    "model.encoder_layers=1",
    "run.device=cpu",
]


PREPARE_SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.size=64", "run.workers=1"]


@pytest.fixture(scope="session")
def run_folder() -> Callable[..., Path]:
    """``run_folder(path, settings...)``: what `milmer train` leaves, without the training."""

    def make(path: Path, *more: str) -> Path:
        settings = load_settings(overrides=[*SMALL, *more])
        names = class_names(settings.data.target)
        model = build_model(settings.model, names, len(GENEVA), 384, settings.faces.instances)
        path.mkdir(parents=True)
        save_model(model, path / "model")
        (path / "settings.yaml").write_text(dump_yaml(settings))
        (path / "splits.json").write_text("{}")
        store = {
            "channels": GENEVA,
            "sfreq": 128.0,
            "segment_s": settings.eeg.segment_s,
            "instances": settings.faces.instances,
            "face_size": settings.faces.size,
            "detector": "dlib",
        }
        about = {"classes": names, "label_rule": "a rating above 5 is high", "store": store}
        (path / "environment.json").write_text(json.dumps(about))
        curve = reliability(np.array([0, 1, 2, 3]), np.eye(4) * 0.6 + 0.1).to_json()
        metrics = {
            "headline": "trial protocol: accuracy 41.7 %",
            "headline_alone": {"eeg": "trial protocol: accuracy 31.3 %"},
            "calibration": {"temperature": 1.37, "as_trained": curve, "calibrated": curve},
        }
        (path / "metrics.json").write_text(json.dumps(metrics))
        return path

    return make


@pytest.fixture(scope="session")
def run(made_once, run_folder) -> Path:
    return made_once("predict-run", lambda path: run_folder(path))


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """``write_video(path, seconds, here, sound, begun)``: the astronaut, where ``here(t)``.

    ``sound`` names a codec; what is heard is a tone that begins after half of the time.
    """

    def write(
        path: Path,
        seconds: float = 9.0,
        here: Callable[[float], bool] = lambda t: True,
        sound: str = "",
        begun: str = "",
        fps: int = FPS,
        touch: Callable[[np.ndarray, float], None] = lambda frame, t: None,
    ) -> Path:
        with av.open(str(path), "w") as container:
            if begun:
                container.metadata["creation_time"] = begun
            stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 400, 320, "yuv420p"
            track = container.add_stream(sound, rate=8000) if sound else None
            for number in range(round(seconds * fps)):
                frame = np.full((320, 400, 3), 90, np.uint8)
                if here(number / fps):
                    frame[20:300, 60:340] = HEAD
                touch(frame, number / fps)
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
            if track is not None:
                tone = np.sin(np.arange(round(8000 * seconds)) / 5).astype(np.float32)[None]
                tone[:, : tone.shape[1] // 2] = 0
                for first in range(0, tone.shape[1], 1024):
                    part = av.AudioFrame.from_ndarray(
                        tone[:, first : first + 1024], format="fltp", layout="mono"
                    )
                    part.rate, part.pts, part.time_base = 8000, first, Fraction(1, 8000)
                    container.mux(track.encode(part))
                container.mux(track.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def brain() -> Callable[..., np.ndarray]:
    """``brain(seconds)``: (32, n) microvolts that neighbours share, at 128 Hz."""

    def make(seconds: float, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        shared = random.normal(size=(6, round(seconds * RATE)))
        mixed = random.normal(size=(len(GENEVA), 6)) @ shared
        waves = np.apply_along_axis(np.convolve, 1, mixed, np.hanning(9), "same")
        return 15 * waves / waves.std() + random.normal(scale=2, size=waves.shape)

    return make


@pytest.fixture(scope="session")
def write_edf() -> Callable[..., Path]:
    """``write_edf(path, names, microvolts, unit, scale, begun)``."""

    def write(
        path: Path,
        names: Sequence[str],
        microvolts: np.ndarray,
        unit: str = "uV",
        scale: float = 1.0,
        begun: datetime.datetime | None = None,
    ) -> Path:
        signals = [
            edfio.EdfSignal(row * scale, RATE, label=name, physical_dimension=unit)
            for name, row in zip(names, microvolts, strict=True)
        ]
        when = {}
        if begun is not None:
            day = edfio.Recording(startdate=begun.date())
            when = {"starttime": begun.time(), "recording": day}
        edfio.Edf(signals, **when).write(path)
        return path

    return write


@pytest.fixture(scope="session")
def deap(made_once) -> Path:
    """A data set to prepare: s01 and s29, three trials each; the last of s29 has no video."""
    spec = DemoSpec(
        participants=2, trials=3, stimulus_s=4.0, formats=("bdf", "dat", "mat"), expression_images=0
    )
    return made_once("prepare-data", lambda folder: make_demo_data(folder, spec, workers=1))


@pytest.fixture(scope="session")
def whole(made_once, deap) -> Path:
    """A store of it, made without interruption with `PREPARE_SMALL`."""
    settings = load_settings(overrides=PREPARE_SMALL)
    return made_once("prepare-store", lambda out: prepare(DeapRecordings(deap), out, settings))
