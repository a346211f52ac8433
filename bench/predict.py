"""Prediction: speed relative to real time, share of each part, and memory.

    python bench/predict.py [--threads 4]                                  speed and shares
    python bench/predict.py --minutes 30,120 --backbone scratch:micro      memory

Input: an AVI of a face (720x576, 50 fps, H.264; see bench/prepare.py) and 32 channels of EEG at
512 Hz; 10 faces per 3 s, detector dlib. The model is not trained; `scratch:tiny` is Swin-Tiny with
random weights, which needs the same arithmetic. The model is loaded before the measurement.

The parts are measured one after the other, in processor seconds per minute of recording. Their
shares add up to 100 %:

- `decode`: the wanted frames, as RGB;
- `detect`: detection, tracking, crop and JPEG of the faces (measured in the pass of `decode`);
- `EEG`: preprocessing and segments;
- `model`: JPEG decoding and forward passes;
- `output`: table, page and JSON.

Afterwards the whole prediction is timed, in which the parts run in parallel. Finally the model is
timed with three ways of distributing the work over threads: all threads within a forward pass of 32
or of 8 faces, and one segment per thread, as `milmer predict` does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import edfio
import numpy as np
import torch
from prepare import film, repeat, resident_mb

from milmer_cli.bundle.document import BundleDocument, TrainingFacts
from milmer_cli.bundle.write import write_bundle
from milmer_cli.data.labels import class_names
from milmer_cli.device import Device
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.models import build_model
from milmer_cli.prediction.chunks import SegmentChunk, iter_chunks
from milmer_cli.prediction.eeg_segments import EegSegmentReader
from milmer_cli.prediction.onsets import Onset
from milmer_cli.prediction.output import TimelineWriter
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.segment_inference import SegmentInference
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.progress import SilentProgress
from milmer_cli.reports.prediction import write_prediction
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.predict import TrainedModel, load_model
from milmer_cli.video.frames import VideoReader, VideoSpan

RATE = 512
SEGMENT_S = 3.0


class MemoryProgress(SilentProgress):
    """Record the elapsed time and the resident memory every few segments."""

    def __init__(self, every: int) -> None:
        self.samples: list[tuple[float, float]] = []
        self._every, self._done, self._start = every, 0, time.perf_counter()

    def advance(self, task: str, by: float = 1.0) -> None:
        """Count segments and sample."""
        self._done += 1
        if self._done % self._every == 0:
            self.samples.append((time.perf_counter() - self._start, resident_mb()))


def write_model(path: Path, backbone: str, settings: Settings) -> Path:
    model = build_model(settings.model, class_names("quadrant"), 32, 384, 10)
    document = BundleDocument(
        class_names=class_names("quadrant"),
        label_rule="",
        temperatures={},
        channels=GENEVA,
        settings=settings,
        training=TrainingFacts(),
        fingerprints={},
    )
    write_bundle(path, model, document, {"headline": "not trained"})
    return path


def write_eeg(path: Path, minutes: float) -> None:
    random = np.random.default_rng(0)
    sources = random.normal(0, 12, (4, RATE * 60)).cumsum(axis=1)
    sources -= np.linspace(sources[:, :1], sources[:, -1:], sources.shape[1], axis=1)[..., 0]
    signals = []
    for name in GENEVA:
        minute = random.normal(size=4) @ sources * 0.02 + random.normal(0, 8, RATE * 60)
        samples = np.tile(minute, max(1, round(minutes)))
        signals.append(edfio.EdfSignal(samples, RATE, label=name, physical_dimension="uV"))
    edfio.Edf(signals).write(path)


class Stopwatch:
    """Processor seconds of each part."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time spent in the body."""
        start = time.process_time()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - start

    def timed(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        """Add the time spent inside an iterator."""
        while True:
            with self.part(name):
                item = next(items, None)
            if item is None:
                return
            yield item


def measure_parts(
    model: TrainedModel, video: Path, eeg: Path, out: Path, seconds: float
) -> tuple[dict[str, float], list[SegmentChunk]]:
    """Run the parts one after the other; return processor seconds, and chunks with faces."""
    watch = Stopwatch()
    bundle = model.bundle
    onsets = np.arange(0.0, seconds, SEGMENT_S)
    frames_at = VideoReader.frames_at

    def timed_frames_at(*args: Any, **kwargs: Any) -> Iterator[Any]:
        return watch.timed("decode", frames_at(*args, **kwargs))

    with mock.patch.object(VideoReader, "frames_at", timed_frames_at), watch.part("faces"):
        chunks = list(iter_chunks(onsets, None, VideoSpan(video), bundle.settings, "cpu"))
    watch.spent["detect"] = watch.spent.pop("faces") - watch.spent["decode"]

    with watch.part("EEG"):
        timing = StimulusTiming(None, Onset(0.0, "file_start"), seconds)
        recording = open_recording(eeg, bundle)
        eeg_settings, quality = bundle.settings.eeg, bundle.settings.quality
        reader = EegSegmentReader(recording, timing, onsets, eeg_settings, quality)
        segments = reader.read(len(onsets))

    both = [replace(chunk, eeg=segments[: len(chunk)]) for chunk in chunks]
    device = Device.from_settings(model.settings.run)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with watch.part("model"):
        list(SegmentInference(bundle.load_model(), device, bundle.face_size, 8).run(both))
    torch.set_num_threads(threads)

    result = model.predict(video, eeg, out=out)
    with watch.part("output"):
        with TimelineWriter(out / "timeline.csv", bundle.class_names) as table:
            for segment in result.segments:
                table.write(segment)
        write_prediction(out, result)
    return watch.spent, chunks


def measure_speed(model: TrainedModel, video: Path, eeg: Path, out: Path, seconds: float) -> None:
    parts, chunks = measure_parts(model, video, eeg, out, seconds)
    total = sum(parts.values())
    print("| part | processor s per minute of recording | share |\n|---|---|---|")
    for name in ("decode", "detect", "EEG", "model", "output"):
        print(f"| {name} | {parts[name] * 60 / seconds:.1f} | {parts[name] / total:.0%} |")
    print(f"| all parts | {total * 60 / seconds:.1f} | 100% |\n")
    processor, wall = [], []
    for _ in range(3):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        model.predict(video, eeg, out=out)
        processor.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    print(
        f"The whole prediction, {torch.get_num_threads()} threads: {min(wall):.1f} s for "
        f"{seconds:g} s, {seconds / min(wall):.1f} times real time (slowest of three: "
        f"{seconds / max(wall):.1f}); {min(processor):.1f} processor s, "
        f"{min(processor) / min(wall):.1f} processors busy; load of the machine "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    compare_threading(model, chunks)


def compare_threading(model: TrainedModel, chunks: list[SegmentChunk]) -> None:
    threads = torch.get_num_threads()
    network = model.bundle.load_model()
    device = Device.from_settings(model.settings.run)
    batches = []
    for chunk in chunks:
        images = [image for row in range(len(chunk)) for image in chunk.images(row)]
        faces = np.stack([image for image in images if image is not None])
        faces = faces[: len(faces) // 10 * 10].reshape(-1, 10, *faces.shape[1:])
        batches += [torch.from_numpy(faces[first : first + 8]) for first in range(0, len(faces), 8)]

    def threads_within_pass(chunk_size: int) -> None:
        network.score_chunk = chunk_size
        with torch.inference_mode():
            for batch in batches:
                network(faces=batch)

    def segment_per_thread() -> None:
        network.score_chunk = 0
        list(SegmentInference(network, device, model.bundle.face_size, 8).run(chunks))

    ways: dict[str, Callable[[], None]] = {
        "all threads in each pass, of 32 faces": lambda: threads_within_pass(32),
        "all threads in each pass, of 8 faces": lambda: threads_within_pass(8),
        "one segment per thread, passes of 8 faces": segment_per_thread,
    }
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(3):
        for way, work in ways.items():
            torch.set_num_threads(threads)
            cpu_start, wall_start = time.process_time(), time.perf_counter()
            work()
            wall = time.perf_counter() - wall_start
            spent[way].append((wall, time.process_time() - cpu_start))
    segments = sum(map(len, chunks))
    print("| model on the faces of a minute | s | processor s |\n|---|---|---|")
    for way, times in spent.items():
        wall, processor = min(times)
        print(f"| {way} | {wall * 20 / segments:.1f} | {processor * 20 / segments:.1f} |")


def measure_memory(model: TrainedModel, folder: Path, short: Path, minutes: float) -> None:
    video, eeg = folder / "long.avi", folder / "long.edf"
    with ProcessPoolExecutor(1) as other:  # another process, so that it does not raise the peak
        other.submit(repeat, short, video, minutes).result()
        other.submit(write_eeg, eeg, minutes).result()
    progress = MemoryProgress(max(1, round(minutes * 20 / 10)))
    before = resident_mb()
    model.predict(video, eeg, out=folder / "long", progress=progress)
    print(f"\n{minutes:g} minutes of video and EEG; {before:.0f} MB before\n")
    print("| minute | elapsed s | resident MB |\n|---|---|---|")
    for number, (seconds, memory) in enumerate(progress.samples, start=1):
        print(f"| {number * minutes / 10:.0f} | {seconds:.0f} | {memory:.0f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"\npeak: {peak:.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="scratch:tiny")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--minutes", default="", help="durations of long recordings, as in 30,120")
    arguments = parser.parse_args()
    minutes = [part for part in arguments.minutes.split(",") if part]
    if len(minutes) > 1:  # one process per duration, because a peak cannot be reset
        for duration in minutes:
            subprocess.run([sys.executable, *sys.argv, "--minutes", duration], check=True)
        return
    torch.set_num_threads(arguments.threads)
    size = 112 if arguments.backbone == "scratch:micro" else 224
    settings = load_settings(
        overrides=[
            *(f"model.backbone={arguments.backbone}", f"faces.image_size={size}"),
            *("faces.detector=dlib", "run.device=cpu", f"run.precision={arguments.precision}"),
        ]
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film(folder / "short.avi", 60)
        write_eeg(folder / "short.edf", 1)
        written = write_model(folder / "model", arguments.backbone, settings)
        model = load_model(written, settings)
        if minutes:
            measure_memory(model, folder, folder / "short.avi", float(minutes[0]))
        else:
            video, eeg = folder / "short.avi", folder / "short.edf"
            measure_speed(model, video, eeg, folder / "out", 60.0)


if __name__ == "__main__":
    main()
