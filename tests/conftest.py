"""Fixtures that tests of several packages share; data is generated once for all workers."""

from __future__ import annotations

import csv
import datetime
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import edfio
import numpy as np
import pytest
from filelock import FileLock

from milmer_cli.json_files import to_json

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background makes them, and the processes that they start,
# ignore Ctrl-C; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

Maker = Callable[[Path], None]
LOOPBACK = ("127.0.0.1", "::1", "localhost", "")  # an empty name is refused without the network


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Maker], Path]:
    """``made_once(name, make)`` returns a folder that ``make(folder)`` fills once per session."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if worker else base

    def once(name: str, make: Maker) -> Path:
        folder = shared / f"shared-{name}"
        with FileLock(shared / f"shared-{name}.lock"):
            done = shared / f"shared-{name}.done"
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def braindecode() -> None:
    """Skip the test if braindecode is not installed, or not for the installed torch."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import braindecode.models  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"braindecode cannot be imported: {error}")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail if anything but loopback is looked up or connected."""
    outside: list[object] = []
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def guarded_look_up(host: Any, *arguments: Any, **named: Any) -> Any:
        if host not in LOOPBACK:
            outside.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **named)

    def guarded_connect(own: socket.socket, address: Any) -> None:
        if own.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            outside.append(address)
            raise OSError("the network is blocked")
        connect(own, address)

    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    yield
    assert outside == []


FORMAT_PROBLEMS: list[str] = []
"""Documents that do not match their schema, filled by `_validate_documents`."""


def _validate_documents() -> None:
    """Compare every JSON document that Milmer writes or prints in a test with its schema."""
    import jsonschema

    from milmer_cli.cli import console
    from milmer_cli.formats import catalog, documents, json_schema

    add_version, validators = documents.versioned, {}

    def validated(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        document = add_version(name, values)
        if not (catalog.SCHEMAS / f"{name}.json").exists():  # a stand-in of a test
            return document
        if name not in validators:
            validators[name] = jsonschema.Draft202012Validator(json_schema(name))
        for error in validators[name].iter_errors(to_json(document)):
            FORMAT_PROBLEMS.append(f"{name}: {error.json_path}: {error.message[:200]}")
        return document

    documents.versioned = console.versioned = validated


_validate_documents()


@pytest.fixture(autouse=True)
def documents_match_their_schemas() -> Iterator[None]:
    """Fail after a test in which a JSON document was written that does not match its schema."""
    yield
    problems = FORMAT_PROBLEMS.copy()
    FORMAT_PROBLEMS.clear()
    assert problems == []


SFREQ = 512
HEADER = (
    "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"
)
IDLE, BATTERY = 0x18FF00, 0x400000


def _signal(values: np.ndarray, label: str, size: float, unit: str, sfreq: int) -> edfio.BdfSignal:
    return edfio.BdfSignal(
        np.asarray(values, float),
        sfreq,
        label=label,
        physical_dimension=unit,
        physical_range=(-size, size - 1),
        digital_range=(-8388608, 8388607),
    )


@pytest.fixture(scope="session")
def write_bdf() -> Callable[..., Path]:
    """``write_bdf(path, {name: microvolts}, status words, status labels)`` at 512 Hz."""

    def write(
        path: Path,
        signals: Mapping[str, np.ndarray],
        status: np.ndarray | None,
        labels: Sequence[str] = ("Status",),
        sfreq: int = SFREQ,
        unit: str = "uV",
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = [_signal(row, name, 262144, unit, sfreq) for name, row in signals.items()]
        if status is not None:
            unused = [np.zeros(len(status))] * (len(labels) - 1)
            written += [
                _signal(words, label, 8388608, "Boolean", sfreq)
                for words, label in zip([*unused, status], labels, strict=True)
            ]
        edfio.Bdf(written).write(path)
        return path

    return write


@pytest.fixture(scope="session")
def status_words() -> Callable[..., np.ndarray]:
    """``status_words(n_samples, [(sample, code)])``: 20 ms pulses under high bits that flicker."""

    def words(n_samples: int, events: Sequence[tuple[int, int]], high: bool = True) -> np.ndarray:
        codes = np.zeros(n_samples, np.int64)
        for sample, code in events:
            codes[sample : sample + 10] = code
        if not high:
            return codes
        codes |= IDLE
        codes[0] |= 0x010000
        # the battery bit flickers, also within pulses
        codes[::3] |= BATTERY
        return codes

    return words


@pytest.fixture(scope="session")
def write_ratings() -> Callable[..., Path]:
    """``write_ratings(path, {participant: [(trial, stimulus, ratings)]})`` as DEAP writes it."""

    def write(path: Path, rows: Mapping[int, Sequence[tuple]], bom: bool = True) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER.split(","))
            for person, trials in rows.items():
                for trial, stimulus, ratings in trials:
                    writer.writerow([person, trial, stimulus, 1695918, *ratings, ""])
        return path

    return write


FPS, EDF_RATE_HZ = 10, 128
SMALL_MODEL = (
    "faces.detector=centerface",
    "faces.image_size=112",
    "faces.instances=3",
    "model.backbone=scratch:micro",
    "model.dim_feedforward=32",
    "model.num_select=2",
    "model.num_layers=1",
    "run.device=cpu",
)


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """``write_run(path, *settings)``: the run folder of a model that was never trained."""
    from milmer_cli.bundle.document import BundleDocument, TrainingFacts
    from milmer_cli.bundle.write import write_bundle
    from milmer_cli.data.labels import class_names
    from milmer_cli.eeg.channels import GENEVA
    from milmer_cli.json_files import write_json
    from milmer_cli.metrics.calibration import reliability_diagram
    from milmer_cli.models import build_model
    from milmer_cli.settings import dump_yaml, load_settings

    def write(path: Path, *overrides: str) -> Path:
        settings = load_settings(overrides=[*SMALL_MODEL, *overrides])
        names = class_names(settings.data.target)
        model = build_model(settings.model, names, len(GENEVA), 384, settings.faces.instances)
        path.mkdir(parents=True)
        (path / "settings.yaml").write_text(dump_yaml(settings))
        (path / "splits.json").write_text("{}")
        write_json(path / "environment.json", {"store": {}})
        faces = settings.faces.model_copy(update={"detector": "centerface"})
        document = BundleDocument(
            class_names=names,
            label_rule="a rating above 5 is high",
            temperatures={},
            channels=GENEVA,
            settings=settings.model_copy(update={"faces": faces}),
            training=TrainingFacts(),
            fingerprints={},
        )
        curve = reliability_diagram(np.array([0, 1, 2, 3]), np.eye(4) * 0.6 + 0.1)
        metrics = {
            "protocol": "trial",
            "headline": "trial protocol: accuracy 41.7 %",
            "transductive": False,
            "headline_per_modality": {"eeg": "trial protocol: accuracy 31.3 %"},
            "above_chance_per_modality": {"eeg": False},
            "segments": {},
            "segments_per_class": {},
            "test": None,
            "calibration": {
                "temperatures": dict.fromkeys(("both", "eeg", "face"), 1.37),
                "as_trained": curve,
                "calibrated": curve,
            },
        }
        write_bundle(path / "model", model, document, metrics)
        return path

    return write


@pytest.fixture(scope="session")
def untrained_run(made_once, write_run) -> Path:
    """A run folder of `write_run` with the default settings."""
    return made_once("untrained-run", lambda path: write_run(path))


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """``write_video(path, seconds)``: a face video of 400x320 pixels.

    ``visible(t)`` says when the face is visible. ``sound`` is a codec: a tone in the second half.
    ``start`` is the stored start time. ``change(frame, t)`` edits a frame.
    """
    from skimage import data

    face = data.astronaut()[0:280, 90:370]

    def write(
        path: Path,
        seconds: float = 9.0,
        visible: Callable[[float], bool] = lambda t: True,
        sound: str = "",
        start: str = "",
        fps: int = FPS,
        change: Callable[[np.ndarray, float], None] = lambda frame, t: None,
    ) -> Path:
        with av.open(str(path), "w") as container:
            if start:
                container.metadata["creation_time"] = start
            stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 400, 320, "yuv420p"
            track = container.add_stream(sound, rate=8000) if sound else None
            for number in range(round(seconds * fps)):
                frame = np.full((320, 400, 3), 90, np.uint8)
                if visible(number / fps):
                    frame[20:300, 60:340] = face
                change(frame, number / fps)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
            if track is not None:
                _write_tone(container, track, seconds)
        return path

    return write


def _write_tone(
    container: av.container.OutputContainer, track: av.AudioStream, seconds: float
) -> None:
    tone = np.sin(np.arange(round(8000 * seconds)) / 5).astype(np.float32)[None]
    tone[:, : tone.shape[1] // 2] = 0
    for first in range(0, tone.shape[1], 1024):
        part = av.AudioFrame.from_ndarray(
            tone[:, first : first + 1024], format="fltp", layout="mono"
        )
        part.rate, part.pts, part.time_base = 8000, first, Fraction(1, 8000)
        container.mux(track.encode(part))
    container.mux(track.encode(None))


@pytest.fixture(scope="session")
def make_eeg() -> Callable[..., np.ndarray]:
    """``make_eeg(seconds, seed)``: (32, n) microvolts at 128 Hz, correlated between channels."""

    def make(seconds: float, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        sources = random.normal(size=(6, round(seconds * EDF_RATE_HZ)))
        mixed = random.normal(size=(32, 6)) @ sources
        waves = np.apply_along_axis(np.convolve, 1, mixed, np.hanning(9), "same")
        return 15 * waves / waves.std() + random.normal(scale=2, size=waves.shape)

    return make


@pytest.fixture(scope="session")
def write_edf() -> Callable[..., Path]:
    """``write_edf(path, names, microvolts)`` at 128 Hz.

    The stored values are ``scale`` times the microvolts, and the header declares ``unit``.
    """

    def write(
        path: Path,
        names: Sequence[str],
        microvolts: np.ndarray,
        unit: str = "uV",
        scale: float = 1.0,
        start: datetime.datetime | None = None,
    ) -> Path:
        signals = [
            edfio.EdfSignal(row * scale, EDF_RATE_HZ, label=name, physical_dimension=unit)
            for name, row in zip(names, microvolts, strict=True)
        ]
        times = {}
        if start is not None:
            date = edfio.Recording(startdate=start.date())
            times = {"starttime": start.time(), "recording": date}
        edfio.Edf(signals, **times).write(path)
        return path

    return write


@pytest.fixture(scope="session")
def recording_files(made_once, write_video, write_edf, make_eeg) -> Path:
    """``face.mp4``, 9 s with sound, and ``cap.edf``, 12 s of the model's channels."""
    from milmer_cli.eeg.channels import GENEVA

    def make(folder: Path) -> None:
        folder.mkdir()
        write_video(folder / "face.mp4", 9.0, sound="aac")
        write_edf(folder / "cap.edf", GENEVA, make_eeg(12.0))

    return made_once("recording-files", make)


@pytest.fixture(scope="session")
def model(untrained_run) -> Any:
    """The model of `untrained_run`, loaded."""
    from milmer_cli import load_model

    return load_model(untrained_run)
