"""Predict: how many times faster than it plays, where the time goes, and how much memory.

    python bench/predict.py [--threads 4]                                  speed and shares
    python bench/predict.py --minutes 30,120 --backbone scratch:micro      memory

A 720x576, 50 fps H.264 AVI of a face (see bench/prepare.py) beside 32 channels of EEG at
512 Hz, 10 faces per 3 s, dlib, an untrained Milmer model on the given backbone (`scratch:tiny` is
Swin-Tiny with random weights: the arithmetic is the same). The model is loaded before the clock
starts.

Shares are processor seconds of a minute of recording, each part by itself:

- `decode`: the wanted frames, as RGB;
- `detect`: finding, following and cropping the faces;
- `Swin`: the backbone over the 200 faces;
- `rest`: cleaning the EEG, fusion, table, page, and whatever else.

The largest share is then measured in three ways: all threads within a pass, as PyTorch does by
itself, of 32 faces or of 8; and a segment a thread, as `milmer predict` does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import edfio
import numpy as np
import torch
from prepare import film, repeat, resident_mb

from milmer_cli.compute import Compute
from milmer_cli.data.labels import class_names
from milmer_cli.model import build_model
from milmer_cli.progress import SilentProgress
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.recordings.faces import FaceBag, iter_faces
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import frames_at, instance_times
from milmer_cli.settings import Settings, dump_yaml, load_settings
from milmer_cli.stages.predict import Predictor, load_model
from milmer_cli.stages.predicting.inference import Inference
from milmer_cli.stages.predicting.stream import Stretch
from milmer_cli.stages.segments import face_finder
from milmer_cli.training.runfolder import save_model

RATE = 512


class Watch(SilentProgress):
    """Remembers the resident memory as segments are done."""

    def __init__(self, every: int) -> None:
        self.seen: list[tuple[float, float]] = []
        self._every, self._done, self._began = every, 0, time.perf_counter()

    def advance(self, task: str, by: float = 1.0) -> None:
        """Look at every so manieth segment."""
        self._done += 1
        if self._done % self._every == 0:
            self.seen.append((time.perf_counter() - self._began, resident_mb()))


def run_folder(path: Path, backbone: str, settings: Settings) -> Path:
    model = build_model(settings.model, class_names("quadrant"), 32, 384, 10)
    path.mkdir()
    save_model(model, path / "model")
    (path / "settings.yaml").write_text(dump_yaml(settings))
    (path / "splits.json").write_text("{}")
    store = {"channels": GENEVA, "sfreq": 128.0, "segment_s": 3.0, "instances": 10}
    store |= {"face_size": settings.faces.size, "detector": "dlib"}
    about = {"classes": class_names("quadrant"), "label_rule": "", "store": store}
    (path / "environment.json").write_text(json.dumps(about))
    (path / "metrics.json").write_text(json.dumps({"headline": "untrained"}))
    return path


def record_eeg(path: Path, minutes: float) -> None:
    random = np.random.default_rng(0)
    piece = random.normal(0, 12, (4, RATE * 60)).cumsum(axis=1)
    piece -= np.linspace(piece[:, :1], piece[:, -1:], piece.shape[1], axis=1)[..., 0]
    signals = []
    for name in GENEVA:
        minute = random.normal(size=4) @ piece * 0.02 + random.normal(0, 8, RATE * 60)
        whole = np.tile(minute, max(1, round(minutes)))
        signals.append(edfio.EdfSignal(whole, RATE, label=name, physical_dimension="uV"))
    edfio.Edf(signals).write(path)


def shares(predictor: Predictor, video: Path, eeg: Path, out: Path, seconds: float) -> None:
    times = instance_times(int(seconds / 3), 3.0, 10)
    faces = predictor.run.settings.faces
    finder = face_finder(faces)
    began = time.process_time()
    sum(1 for _ in frames_at(video, times.ravel()))
    decode = time.process_time() - began

    began = time.process_time()
    bags = list(iter_faces(VideoSpan(video), times, faces, finder))
    detect = time.process_time() - began - decode

    images = [image for bag in bags for image in bag.images if image is not None]
    model = predictor.run.load_model()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    began = time.process_time()
    with torch.inference_mode():
        for first in range(0, len(images), 10):
            batch = torch.from_numpy(np.stack(images[first : first + 10]))[None]
            model.encode_faces(batch, torch.ones(batch.shape[:2], dtype=torch.bool))
    swin = time.process_time() - began
    torch.set_num_threads(threads)

    whole, wall = [], []
    for _ in range(3):
        cpu, clock = time.process_time(), time.perf_counter()
        predictor.predict(video, eeg, out=out)
        whole.append(time.process_time() - cpu)
        wall.append(time.perf_counter() - clock)
    total = min(whole)
    parts = {"decode": decode, "detect": detect, "Swin": swin}
    parts["rest"] = total - sum(parts.values())
    print("| part | processor s a minute of recording | share |\n|---|---|---|")
    for name, spent in parts.items():
        print(f"| {name} | {spent * 60 / seconds:.1f} | {spent / total:.0%} |")
    print(f"| all | {total * 60 / seconds:.1f} | 100% |\n")
    print(
        f"{threads} threads: {min(wall):.1f} s for {seconds:g} s, {seconds / min(wall):.1f} times "
        f"real time (slowest of three: {seconds / max(wall):.1f}); "
        f"{total / min(wall):.1f} processors kept busy; load of the machine "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    all_ways(predictor, bags, threads)


def all_ways(predictor: Predictor, bags: list[FaceBag], threads: int) -> None:
    count = sum(len(bag.found) for bag in bags)
    model = predictor.run.load_model()
    compute = Compute.choose(predictor.settings.run)
    batches = []
    for bag in bags:
        faces = np.stack([image for image in bag.images if image is not None])
        faces = faces[: len(faces) // 10 * 10].reshape(-1, 10, *faces.shape[1:])
        batches += [torch.from_numpy(faces[first : first + 8]) for first in range(0, len(faces), 8)]
    stretches = [Stretch(np.arange(float(len(bag.found))), None, bag) for bag in bags]

    def within_a_pass(chunk: int) -> None:
        model.score_chunk = chunk
        with torch.inference_mode():
            for batch in batches:
                model(faces=batch)

    def a_segment_a_thread() -> None:
        model.score_chunk = 0
        list(Inference(model, compute, predictor.run.face_size, 8).answers(stretches))

    ways = {
        "all threads in each pass, of 32 faces": lambda: within_a_pass(32),
        "all threads in each pass, of 8 faces": lambda: within_a_pass(8),
        "a segment a thread, passes of 8 faces": a_segment_a_thread,
    }
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(3):
        for way, work in ways.items():
            torch.set_num_threads(threads)
            cpu, clock = time.process_time(), time.perf_counter()
            work()
            spent[way].append((time.perf_counter() - clock, time.process_time() - cpu))
    print("| model over the faces of a minute | s | processor s |\n|---|---|---|")
    for way, times in spent.items():
        wall, busy = min(times)
        print(f"| {way} | {wall * 20 / count:.1f} | {busy * 20 / count:.1f} |")


def long(predictor: Predictor, folder: Path, short: Path, minutes: float) -> None:
    video, eeg = folder / "long.avi", folder / "long.edf"
    with ProcessPoolExecutor(1) as other:  # making the files is not to count in the peak
        other.submit(repeat, short, video, minutes).result()
        other.submit(record_eeg, eeg, minutes).result()
    watch = Watch(max(1, round(minutes * 20 / 10)))
    before = resident_mb()
    predictor.predict(video, eeg, out=folder / "long", progress=watch)
    print(f"\n{minutes:g} minutes of video and EEG; {before:.0f} MB before\n")
    print("| minute | s so far | resident MB |\n|---|---|---|")
    for number, (seconds, memory) in enumerate(watch.seen, start=1):
        print(f"| {number * minutes / 10:.0f} | {seconds:.0f} | {memory:.0f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"\npeak: {peak:.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="scratch:tiny")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--minutes", default="", help="lengths of long recordings, as in 30,120")
    arguments = parser.parse_args()
    lengths = [part for part in arguments.minutes.split(",") if part]
    if len(lengths) > 1:  # a process each: a peak is for good
        for length in lengths:
            subprocess.run([sys.executable, *sys.argv, "--minutes", length], check=True)
        return
    torch.set_num_threads(arguments.threads)
    size = 112 if arguments.backbone == "scratch:micro" else 224
    settings = load_settings(
        overrides=[
            *(f"model.backbone={arguments.backbone}", f"faces.size={size}"),
            *("faces.detector=dlib", "run.device=cpu", f"run.precision={arguments.precision}"),
        ]
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film(folder / "short.avi", 60)
        record_eeg(folder / "short.edf", 1)
        run = run_folder(folder / "run", arguments.backbone, settings)
        predictor = load_model(run, settings)
        if lengths:
            long(predictor, folder, folder / "short.avi", float(lengths[0]))
        else:
            shares(predictor, folder / "short.avi", folder / "short.edf", folder / "out", 60.0)


if __name__ == "__main__":
    main()
