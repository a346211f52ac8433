"""Prediction: speed relative to real time, share of each part, and memory.

    python bench/predict.py [--threads 4]                                  speed and shares
    python bench/predict.py --threads 2 --inference torch,openvino         the two engines
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
timed with ways of distributing the work over threads: all threads within a forward pass of 32 or of
8 faces, and one segment per thread, as `milmer predict` does.

With several engines, each repetition times all of them, so that other work on the machine affects
them equally; the ratio is the median over the repetitions. The first prediction of OpenVINO, which
converts and compiles the backbone, is timed by itself.
"""

from __future__ import annotations

import argparse
import contextvars
import functools
import os
import resource
import subprocess
import sys
import tempfile
import threading
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
from prepare import resident_mb, write_repeated, write_video

from milmer_cli.bundle.document import BundleDocument, TrainingFacts
from milmer_cli.bundle.write import write_bundle
from milmer_cli.data.labels import class_names
from milmer_cli.device import Device
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.inference.backbone_engine import backbone_engine
from milmer_cli.models import build_model, openvino_backbone
from milmer_cli.prediction.chunks import SegmentChunk, iter_chunks
from milmer_cli.prediction.eeg_segments import EegSegmentReader
from milmer_cli.prediction.onsets import Onset
from milmer_cli.prediction.output import TimelineWriter
from milmer_cli.prediction.recording import open_recording
from milmer_cli.prediction.result import PredictResult
from milmer_cli.prediction.segment_inference import SegmentInference
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.progress import SilentProgress
from milmer_cli.reports.prediction import write_prediction
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.predict import TrainedModel, load_model
from milmer_cli.video.frames import VideoReader, VideoSpan

Models = dict[str, TrainedModel]
"""Engine -> the same model, in the order in which they are compared."""
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


def measure_inputs(
    model: TrainedModel, video: Path, eeg: Path, seconds: float
) -> tuple[dict[str, float], list[SegmentChunk], list[SegmentChunk]]:
    """Read the files; return processor seconds, chunks with faces, and chunks with both."""
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
    return watch.spent, chunks, [replace(chunk, eeg=segments[: len(chunk)]) for chunk in chunks]


def measure_model(models: Models, chunks: list[SegmentChunk], repeats: int) -> dict[str, float]:
    """Run the model in one thread with each engine; return the lowest processor seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, model in models.items():
            network, device = model.bundle.load_model(), device_of(model)
            with backbone_engine(network, device, len(chunks[0])) as engine:
                if engine is not None:
                    engine.compile()
                start = time.process_time()
                list(SegmentInference(network, device, model.bundle.face_size, 8).run(chunks))
                spent[name].append(time.process_time() - start)
    torch.set_num_threads(threads)
    return {name: min(values) for name, values in spent.items()}


def measure_output(model: TrainedModel, result: PredictResult, out: Path) -> float:
    start = time.process_time()
    with TimelineWriter(out / "timeline.csv", model.bundle.class_names) as table:
        for segment in result.segments:
            table.write(segment)
    write_prediction(out, result)
    return time.process_time() - start


def device_of(model: TrainedModel) -> Device:
    return Device.from_settings(model.settings.run)


def measure_speed(
    models: Models, video: Path, eeg: Path, out: Path, seconds: float, repeats: int
) -> None:
    first = next(iter(models.values()))
    parts, faces, both = measure_inputs(first, video, eeg, seconds)
    spent = measure_model(models, both, repeats)
    for name, model in models.items():  # a new process: nothing is compiled yet
        openvino_backbone._compiled.clear()
        start = time.perf_counter()
        result = model.predict(video, eeg, out=out)
        print(f"First prediction with {name}: {time.perf_counter() - start:.1f} s")
    parts["output"] = measure_output(first, result, out)
    print("\n| part | processor s per minute of recording | share |\n|---|---|---|")
    for name in models:
        rows = {**parts, "model": spent[name]}
        total = sum(rows.values())
        for part in ("decode", "detect", "EEG", "model", "output"):
            print(f"| {part} | {rows[part] * 60 / seconds:.1f} | {rows[part] / total:.0%} |")
        print(f"| all parts, {name} | {total * 60 / seconds:.1f} | 100% |")
    compare_engines(models, video, eeg, out, seconds, repeats)
    compare_threading(models, faces)


def compare_engines(
    models: Models, video: Path, eeg: Path, out: Path, seconds: float, repeats: int
) -> None:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, model in models.items():
            cpu_start, wall_start = time.process_time(), time.perf_counter()
            model.predict(video, eeg, out=out)
            wall = time.perf_counter() - wall_start
            times[name].append((wall, time.process_time() - cpu_start))
    print(f"\nThe whole prediction, {torch.get_num_threads()} threads, {repeats} repetitions:\n")
    print("| engine | s | times real time (slowest) | processor s |\n|---|---|---|---|")
    for name, pairs in times.items():
        walls, processors = zip(*pairs, strict=True)
        print(
            f"| {name} | {min(walls):.1f} | {seconds / min(walls):.1f} "
            f"({seconds / max(walls):.1f}) | {min(processors):.1f} |"
        )
    reference = next(iter(models))
    for name in list(models)[1:]:
        ratios = np.array(times[reference]) / np.array(times[name])
        wall, processor = np.median(ratios, axis=0)
        print(
            f"\n{name} compared with {reference}, median of the repetitions: {wall:.2f} times as "
            f"fast ({ratios[:, 0].min():.2f}-{ratios[:, 0].max():.2f}), {processor:.2f} times less "
            f"processor time ({ratios[:, 1].min():.2f}-{ratios[:, 1].max():.2f})"
        )
    print(f"Load of the machine {os.getloadavg()[0]:.1f}\n")


def compare_threading(models: Models, chunks: list[SegmentChunk]) -> None:
    threads = torch.get_num_threads()
    model = next(iter(models.values()))
    network = model.bundle.load_model()
    batches = []
    for chunk in chunks:
        images = [image for row in range(len(chunk)) for image in chunk.images(row)]
        faces = np.stack([image for image in images if image is not None])
        faces = faces[: len(faces) // 10 * 10].reshape(-1, 10, *faces.shape[1:])
        batches += [torch.from_numpy(faces[first : first + 8]) for first in range(0, len(faces), 8)]

    def threads_within_pass(chunk_size: int) -> None:
        network.images_per_pass = chunk_size
        with torch.inference_mode():
            for batch in batches:
                network(faces=batch)

    def segment_per_thread(device: Device, n_faces: int) -> None:
        network.images_per_pass = 0
        with backbone_engine(network, device, n_faces):
            list(SegmentInference(network, device, model.bundle.face_size, 8).run(chunks))

    def openvino_threads_within_pass(n_faces: int) -> None:
        """One stream of all threads, called by one thread."""
        with backbone_engine(network, device_of(models["openvino"]), n_faces) as engine:
            engine._own = one_stream()
            pool_thread = threading.Thread(
                target=contextvars.copy_context().run, args=(one_by_one,)
            )
            pool_thread.start()
            pool_thread.join()

    def one_by_one() -> None:
        torch.set_num_threads(1)  # one pass at a time
        threads_within_pass(8)

    @functools.cache
    def one_stream() -> Any:
        compiled = (
            openvino_backbone._import_openvino()
            .Core()
            .compile_model(
                openvino_backbone._convert(network.backbone, network.config.image_size),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "NUM_STREAMS": 1,
                    "INFERENCE_NUM_THREADS": threads,
                },
            )
        )
        return openvino_backbone._CompiledBackbone(compiled)

    segments = sum(map(len, chunks))
    torch_device = device_of(model).with_torch()
    ways: dict[str, Callable[[], None]] = {
        "torch, all threads in each pass, of 32 faces": lambda: threads_within_pass(32),
        "torch, all threads in each pass, of 8 faces": lambda: threads_within_pass(8),
        "torch, one segment per thread": lambda: segment_per_thread(torch_device, segments),
    }
    if "openvino" in models:
        device = device_of(models["openvino"])
        ways["OpenVINO, all threads in each pass, of 8 faces"] = lambda: (
            openvino_threads_within_pass(segments)
        )
        ways["OpenVINO, one segment per thread"] = lambda: segment_per_thread(device, segments)
        for way in list(ways)[3:]:
            ways[way]()  # compile
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(3):
        for way, work in ways.items():
            torch.set_num_threads(threads)
            cpu_start, wall_start = time.process_time(), time.perf_counter()
            work()
            wall = time.perf_counter() - wall_start
            spent[way].append((wall, time.process_time() - cpu_start))
    print("| model on the faces of a minute | s | processor s |\n|---|---|---|")
    for way, times in spent.items():
        wall = min(seconds for seconds, _ in times)
        processor = min(seconds for _, seconds in times)
        print(f"| {way} | {wall * 20 / segments:.1f} | {processor * 20 / segments:.1f} |")


def measure_memory(model: TrainedModel, folder: Path, short: Path, minutes: float) -> None:
    video, eeg = folder / "long.avi", folder / "long.edf"
    with ProcessPoolExecutor(1) as other:  # another process, so that it does not raise the peak
        other.submit(write_repeated, short, video, minutes).result()
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


def with_inference(settings: Settings, inference: str) -> Settings:
    run = settings.run.model_copy(update={"inference": inference})
    return settings.model_copy(update={"run": run})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="scratch:tiny")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--inference", default="torch", help="engines, as in torch,openvino")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", default="", help="durations of long recordings, as in 30,120")
    arguments = parser.parse_args()
    minutes = [part for part in arguments.minutes.split(",") if part]
    if len(minutes) > 1:  # one process per duration, because a peak cannot be reset
        for duration in minutes:
            subprocess.run([sys.executable, *sys.argv, "--minutes", duration], check=True)
        return
    sys.path.remove(str(Path(__file__).parent))  # numba would import the coverage.py of this folder
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
        write_video(folder / "short.avi", 60)
        write_eeg(folder / "short.edf", 1)
        written = write_model(folder / "model", arguments.backbone, settings)
        models = {
            name: load_model(written, with_inference(settings, name))
            for name in arguments.inference.split(",")
        }
        if minutes:
            model = next(iter(models.values()))
            measure_memory(model, folder, folder / "short.avi", float(minutes[0]))
        else:
            video, eeg = folder / "short.avi", folder / "short.edf"
            measure_speed(models, video, eeg, folder / "out", 60.0, arguments.repeats)


if __name__ == "__main__":
    main()
