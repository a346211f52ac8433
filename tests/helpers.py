"""What tests of several packages share and need no fixture for."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import edfio
import h5py
import mne
import numpy as np
import pytest

from milmer_cli.bundle.document import seal
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import QUADRANTS
from milmer_cli.eeg import mat_file, mat_process
from milmer_cli.eeg.bad_channels import window_edges
from milmer_cli.eeg.channels import montage_1005
from milmer_cli.eeg.edf import read_record_layout
from milmer_cli.eeg.events import find_event, read_events
from milmer_cli.eeg.preprocess import PreprocessedEeg
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.parallel import IsolatedError
from milmer_cli.progress import Level
from milmer_cli.settings import load_settings
from milmer_cli.store import (
    Header,
    PreparedTrial,
    SegmentFaces,
    Segments,
    encode_face,
    write_index,
    write_participant,
)

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
"""Path of the browser for tests of pages; None if it is not installed."""


class RecordingProgress:
    """A progress sink that records everything.

    Parameters
    ----------
    on_advance
        Called after every `advance`, for tests that interrupt the work.

    Attributes
    ----------
    totals
        Total of each task, by its name, in the order in which they started.
    amounts
        Units done of each task, by its name; starting a task again sets it to zero.
    finished
        Names of the tasks that ended.
    notes
        Messages with their level, as ``(level, message)``.
    """

    def __init__(self, on_advance: Callable[[], object] = lambda: None) -> None:
        self.totals: dict[str, float | None] = {}
        self.amounts: dict[str, float] = {}
        self.finished: list[str] = []
        self.notes: list[tuple[Level, str]] = []
        self._on_advance = on_advance

    def start(self, task: str, total: float | None = None, unit: str = "") -> None:
        self.totals[task] = total
        self.amounts[task] = 0.0

    def advance(self, task: str, by: float = 1.0) -> None:
        self.amounts[task] = self.amounts.get(task, 0.0) + by
        self._on_advance()

    def done(self, task: str) -> None:
        self.finished.append(task)

    def note(self, message: str, level: Level = "info") -> None:
        self.notes.append((level, message))

    @property
    def messages(self) -> list[str]:
        """All messages, without their levels."""
        return [message for _, message in self.notes]

    @property
    def warnings(self) -> list[str]:
        """The messages of level ``warning``."""
        return [message for level, message in self.notes if level == "warning"]

    @property
    def text(self) -> str:
        """All messages, one a line."""
        return "\n".join(self.messages)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by column name."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run_python(
    *arguments: object, environment: Mapping[str, str] | None = None, timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run this Python in a process of its own and return its exit code and output."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


# MATLAB files --------------------------------------------------------------------


def read_mat_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read MATLAB files without a process of their own, whose start takes most of the time."""

    def run(_function: str, arguments: Sequence[str], *_limits: float) -> bytes:
        stdout, stderr = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["", *arguments])
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            try:
                mat_process.main()
            except SystemExit:
                raise IsolatedError(stderr.getvalue().strip()) from None
            stdout.flush()
        return stdout.buffer.getvalue()

    monkeypatch.setattr(mat_file, "run_isolated", run)


def write_mat73(path: Path, variables: Mapping[str, object]) -> Path:
    """Write a file as MATLAB 7.3 does: arrays, and lists of arrays and texts as cells."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if not isinstance(value, list):
                _write_mat73_array(file, name, value)
                continue
            references = np.empty((len(value), 1), h5py.ref_dtype)
            for index, element in enumerate(value):
                own = f"#refs#/{name}{index}"
                _write_mat73_array(file, own, element)
                references[index, 0] = file[own].ref
            file[name] = references
            file[name].attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def _write_mat73_array(file: h5py.File, name: str, value: object) -> None:
    is_text = isinstance(value, str)
    array = np.array([list(map(ord, value))], np.uint16) if is_text else np.asarray(value)
    stored = array.T if array.size else np.array(array.shape, np.uint64)
    file[name] = stored
    file[name].attrs["MATLAB_class"] = np.bytes_("char" if is_text else "double")
    if not array.size:
        file[name].attrs["MATLAB_empty"] = np.uint8(1)


def mat_cell(values: Sequence[object]) -> np.ndarray:
    """Return a cell of 1 x n, as `scipy.io.savemat` writes it."""
    cell = np.empty((1, len(values)), object)
    for index, value in enumerate(values):
        cell[0, index] = value
    return cell


# Videos whose frames have known brightness ----------------------------------------

FPS = 50
COUNT = 150
SIZE = (96, 64)


def brightness(number):
    """Brightness of a frame; it differs between neighbours by far more than the coding noise."""
    return 20 + (number * 37) % 210


def write_numbered_video(
    path: Path,
    stamps_ms: Sequence[int] | None = None,
    codec: str = "libx264",
    count: int = COUNT,
    muxing: Mapping[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    container_format: str | None = None,
    **options: str,
) -> Path:
    """Write frames with `brightness`, at 50 fps or with the given timestamps."""
    muxer = {"format": container_format, "options": dict(muxing or {})}
    with av.open(f"file:{path.absolute()}", "w", **muxer) as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = pix_fmt
        if stamps_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            image = np.full((SIZE[1], SIZE[0], 3), brightness(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if stamps_ms is None:
                frame.pts, frame.time_base = number, Fraction(1, FPS)
            else:
                frame.pts, frame.time_base = stamps_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# Events ----------------------------------------------------------------------------------


def event_onsets(path: Path, raw: mne.io.BaseRaw, code: str) -> list[float]:
    """Onsets of an event of a recording, in seconds."""
    events = find_event(path, read_events(path, raw), code, float(raw.info["sfreq"]))
    return [event.onset_s for event in events]


# A GDF file, for which there is no writer ------------------------------------------------


def write_gdf(
    path: Path,
    names: Sequence[str] = ("Fz", "Cz"),
    data: np.ndarray | None = None,
    mark_sample: int = 900,
    code: int = 7,
) -> Path:
    """Write a GDF 1.25 file of 10 s at 100 Hz with one event; its first channel has a mark there.

    ``data`` (n_channels, 1000) replaces the zeros and the mark, in microvolts.
    """
    n, rate, seconds = len(names), 100, 10
    if data is None:
        data = np.zeros((n, rate * seconds))
        data[0, mark_sample] = 500.0
    header = b"GDF 1.25".ljust(168) + b"2024010112000000" + struct.pack("<q", 256 * (n + 1))
    header = header.ljust(236, b"\0") + struct.pack("<qIII", seconds, 1, 1, n)
    fields = [
        b"".join(name.encode().ljust(16) for name in names) + b" " * 80 * n,
        b"uV      " * n + struct.pack(f"<{n}d", *[-3276.8] * n),
        struct.pack(f"<{n}d", *[3276.7] * n) + struct.pack(f"<{n}q", *[-32768] * n),
        struct.pack(f"<{n}q", *[32767] * n) + b" " * 80 * n,
        struct.pack(f"<{n}I", *[rate] * n) + struct.pack(f"<{n}I", *[3] * n) + b"\0" * 32 * n,
    ]
    records = (data * 10).astype("<i2").reshape(n, seconds, rate).transpose(1, 0, 2)
    table = bytes([1]) + rate.to_bytes(3, "little") + struct.pack("<I", 1)
    event = struct.pack("<IH", mark_sample + 1, code)  # positions start at 1
    path.write_bytes(header + b"".join(fields) + records.tobytes() + table + event)
    return path


# A prepared store whose classes can be learned ------------------------------------------

STORE_CHANNELS = ("Fp1", "Fz", "Cz", "Oz")
QUADRANT_RATINGS = [(8, 8), (8, 2), (2, 2), (2, 8)]  # valence, arousal of classes 0..3


def preprocessed_eeg(
    data: np.ndarray, sfreq: float, channels: Sequence[str], onset_s: Mapping[int, float]
) -> PreprocessedEeg:
    """A preprocessed recording without bad channels."""
    good = np.zeros((len(data), len(window_edges(data.shape[1], sfreq)) - 1), bool)
    return PreprocessedEeg(data, sfreq, tuple(channels), dict(onset_s), good, good.copy())


def write_labeled_store(
    folder: Path,
    participants: int = 3,
    trials: int = 8,
    segments: int = 2,
    without_faces: Sequence[str] = (),
    without_eeg: Sequence[str] = (),
    bad_channels: Mapping[str, Sequence[bool]] = {},
) -> None:
    """Write a prepared store whose classes follow from an EEG offset and from face brightness.

    ``bad_channels``: participant -> whether each channel is bad, in all segments.
    """
    defaults = load_settings().model_dump(mode="json")
    settings = {
        "eeg": {**defaults["eeg"], "segment_s": 0.5},
        "faces": {**defaults["faces"], "image_size": 32, "instances": 3},
    }
    names = [f"s{number + 1:02d}" for number in range(participants)]
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        prepared_trials = []
        for trial in range(1, trials + 1):
            label = int((trial + number) % 4)
            eeg = rng.normal(size=(segments, len(STORE_CHANNELS), 64)).astype(np.float32) * 10
            eeg[:, label, :32] += 30
            quality = EegQuality.of(eeg)
            quality.bad[:] = bad_channels.get(name, False)
            faces = None
            if name not in without_faces:
                brightness_of_class = 40 + 50 * label
                images = [
                    encode_face(
                        np.full((32, 32, 3), brightness_of_class + rng.integers(20), np.uint8)
                    )
                    for _ in range(segments * 3)
                ]
                found = np.ones((segments, 3), bool)
                found[0, 0] = False
                images[0] = b""
                faces = SegmentFaces(
                    images,
                    found,
                    np.zeros((segments, 3), np.float32),
                    np.zeros((segments, 3, 4), np.float32),
                    np.ones((segments, 3), np.float32),
                    np.where(found, "", "no face").astype(object),
                )
            prepared_trials.append(
                PreparedTrial(
                    trial=trial,
                    stimulus=trial,
                    ratings=np.array([*QUADRANT_RATINGS[label], 5, 5], np.float32),
                    onset=np.arange(segments, dtype=np.float32) / 2,
                    eeg=None if name in without_eeg else eeg,
                    faces=faces,
                    quality=None if name in without_eeg else quality,
                )
            )
        header = Header(
            participant=name,
            sfreq=128.0,
            channels=() if name in without_eeg else STORE_CHANNELS,
            segment_s=0.5,
            instances=3,
            face_size=32,
            settings=settings,
            fingerprints={"eeg": "a" * 64, "faces": f"{number}" * 64},
        )
        write_participant(folder / f"{name}.h5", header, prepared_trials)
    write_index(folder, settings, names)


# Labeled segments without a store -------------------------------------------------------


class StubStore:
    """A store without files, whose participants state the length of a segment."""

    def __init__(self, segment_s: float) -> None:
        self.segment_s = segment_s

    def participant(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(participant=name, segment_s=self.segment_s)


def label_segments(
    participants: int,
    trials: int,
    per_trial: int,
    seed: int = 0,
    *,
    step_s: float = 3.0,
    segment_s: float = 3.0,
    sessions: int = 0,
) -> LabeledSegments:
    """Label segments as in DEAP: permuted presentation orders, one class a trial.

    With ``sessions``, the trials of a participant are in that many sessions of equal size.
    """
    random = np.random.default_rng(seed)
    n = participants * trials * per_trial
    stimuli = [random.permutation(trials) + 1 for _ in range(participants)]
    trial = np.tile(np.repeat(np.arange(1, trials + 1), per_trial), participants)
    segments = Segments(
        participant=np.repeat([f"s{p + 1:02d}" for p in range(participants)], trials * per_trial),
        row=np.tile(np.arange(trials * per_trial), participants),
        trial=trial,
        stimulus=np.repeat(np.concatenate(stimuli), per_trial),
        onset=np.tile(np.arange(per_trial) * step_s, participants * trials).astype(np.float32),
        ratings=np.full((n, 4), 5.0, dtype=np.float32),
        eeg_found=np.ones(n, dtype=bool),
        faces_found=np.ones(n, dtype=np.float32),
        label=np.full(n, ""),
        session=(
            np.array([f"ses{1 + (t - 1) * sessions // trials}" for t in trial])
            if sessions
            else np.full(n, "")
        ),
        condition=np.full(n, ""),
    )
    labels = np.repeat(random.integers(4, size=participants * trials), per_trial)
    return LabeledSegments(StubStore(segment_s), segments, labels, QUADRANTS)


def write_eeg_store(
    folder: Path,
    channels: Sequence[str],
    trials: Mapping[str, Sequence[PreparedTrial]],
    sources: Mapping[str, object] | None = None,
    **changes: object,
) -> Path:
    """Write a store without faces, of segments of 1 s at 128 Hz.

    ``trials`` are those of each participant, ``sources`` those of the files of all participants,
    and ``changes`` are settings ``eeg``.
    """
    values = load_settings().model_dump(mode="json")
    faces = values["faces"]
    settings = {"eeg": {**values["eeg"], "segment_s": 1.0, **changes}, "faces": faces}
    for name, own in trials.items():
        digests = {"eeg": str(folder), "faces": str(folder)}
        notes = {"sources": dict(sources)} if sources else {}
        header = Header(
            name, 128.0, tuple(channels), 1.0, faces["instances"], faces["image_size"], settings,
            digests, notes=notes,
        )  # fmt: skip
        write_participant(folder / f"{name}.h5", header, own)
    write_index(folder, settings, sorted(trials))
    return folder


# EEG with the topography of a head and known blinks ------------------------------------

EEG_HZ = 128


def electrode_positions(names: Sequence[str]) -> np.ndarray:
    """(n_channels, 3) unit vectors: right, front, up."""
    places = montage_1005().get_positions()["ch_pos"]
    points = np.array([places[name] for name in names])
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def scalp_eeg(names: Sequence[str], seconds: float, seed: int = 0) -> np.ndarray:
    """(n_channels, n_samples) microvolts at `EEG_HZ`: 80 sources with smooth topographies.

    The spectrum falls with the frequency, with a peak at 10 Hz; sensors add noise of 1 uV.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(80, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    mixing = np.exp(4 * (electrode_positions(names) @ directions.T - 1)) * rng.choice([-1, 1], 80)
    n_samples = round(seconds * EEG_HZ)
    spectrum = np.fft.rfft(rng.normal(size=(80, n_samples)))
    hz = np.fft.rfftfreq(n_samples, 1 / EEG_HZ)
    spectrum *= np.minimum(1, hz) / np.sqrt(np.maximum(hz, 0.5)) + 0.6 * np.exp(-((hz - 10) ** 2))
    eeg = mixing @ np.fft.irfft(spectrum, n_samples)
    return 10 * eeg / eeg.std() + rng.normal(0, 1, eeg.shape)


def blink_topography(names: Sequence[str]) -> np.ndarray:
    """(n_channels,) share of a blink: 1 at Fpz, and less with the distance from the eyes."""
    eyes = np.array([[-0.4, 1.2, -0.4], [0.4, 1.2, -0.4]])
    points = electrode_positions([*names, "Fpz"])
    distances = np.linalg.norm(points[:, None] - eyes, axis=2)
    shares = (1 / distances**2).sum(axis=1)
    return shares[:-1] / shares[-1]


def blink_signal(onsets_s: Sequence[float], n_samples: int, seed: int = 0) -> np.ndarray:
    """(n_samples,) microvolts at Fpz: blinks of 120 to 240 microvolts and 0.25 to 0.45 s."""
    rng = np.random.default_rng(seed)
    signal = np.zeros(n_samples)
    for onset_s in onsets_s:
        length = round(rng.uniform(0.25, 0.45) * EEG_HZ)
        start = round(onset_s * EEG_HZ)
        blink = rng.uniform(120, 240) * np.hanning(length)
        signal[start : start + length] += blink[: n_samples - start]
    return signal


# A discontinuous EDF+ or BDF+ file --------------------------------------------------------

FIRST_S, GAP_S = 10, 7.25


def write_discontinuous(path: Path, names: Sequence[str], signals: np.ndarray) -> Path:
    """Write records of 1 s, of which those after the tenth start `GAP_S` later.

    The annotations ``before`` and ``after`` are at 3 s, and 6 s after the gap.
    """
    bdf = path.suffix == ".bdf"
    kind = edfio.BdfSignal if bdf else edfio.EdfSignal
    written = [
        kind(
            row,
            EEG_HZ,
            label=name,
            physical_dimension="uV",
            physical_range=(-8388608, 8388607) if name == "Status" else (-6000, 6000),
        )
        for name, row in zip(names, signals, strict=True)
    ]
    annotations = [
        edfio.EdfAnnotation(3.0, None, "before"),
        edfio.EdfAnnotation(4.5, None, "a text that makes room for longer onsets"),
        edfio.EdfAnnotation(16.0, None, "after"),
    ]
    (edfio.Bdf if bdf else edfio.Edf)(
        written, annotations=annotations, data_record_duration=1.0
    ).write(path)
    layout = read_record_layout(path, 3 if bdf else 2)
    data = bytearray(path.read_bytes())
    data[192:197] = b"BDF+D" if bdf else b"EDF+D"
    (part,) = layout.annotation_bytes
    for record in range(FIRST_S, layout.n_records):
        start = layout.header_bytes + record * layout.record_bytes
        own = slice(start + part.start, start + part.stop)
        text = bytes(data[own]).replace(b"+%d" % record, b"+%g" % (record + GAP_S), 1)
        text = text.replace(b"+16\x14after", b"+%g\x14after" % (16 + GAP_S))
        data[own] = text.rstrip(b"\x00").ljust(part.stop - part.start, b"\x00")
    path.write_bytes(data)
    return path


# Bundles --------------------------------------------------------------------------------------


def edit_bundle(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change bundle.json of a bundle as its writer would, with a valid digest."""
    document = json.loads((folder / "bundle.json").read_text())
    edit(document)
    (folder / "bundle.json").write_text(json.dumps(seal(document)))


def replace_bundle_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of a bundle, with a valid digest."""
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit_bundle(folder, lambda document: document["files"].update({name: digest}))


def git_hash(content: bytes) -> str:
    """Return the name of a file in git, which the Hugging Face Hub states."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
