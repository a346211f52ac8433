"""Faces of a DEAP-like video: how many times faster than it plays, and how much memory.

    python bench/prepare.py [--minutes 5 20 60] [--detector dlib]

A 720x576, 50 fps, H.264 AVI of a real photograph that moves, with camera noise; 10 faces per 3 s.
Side by side on one core:

- `milmer`: the code that a worker of `milmer prepare` runs, JPEG included;
- `every wanted frame whole`: the same frames, each searched whole;
- `every frame`: decode, convert and search every frame of the video, as most public code does
  (timed on the first 6 s).

With `--minutes` also long videos, each in one go in a process of its own: time and memory in each
tenth.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from skimage import data

from milmer_cli.recordings.faces import FaceFinder, crop
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import frames_at, instance_times
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.stages.segments import iter_face_segments
from milmer_cli.store import encode_face

FPS, SEGMENT_S, INSTANCES, EVERY_FRAME_S = 50, 3.0, 10, 6


def film(path: Path, seconds: float) -> None:
    astronaut = data.astronaut()[:300, 60:380]
    noise = np.random.default_rng(0).normal(0, 4, (8, 576, 720, 3)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for number in range(round(seconds * FPS)):
            scale = 1.35 + 0.15 * np.sin(number / 90)
            face = cv2.resize(astronaut, None, fx=scale, fy=scale)
            frame = np.full((576, 720, 3), 96, np.int16)
            x, y = int(120 + 60 * np.sin(number / 40)), int(50 + 20 * np.cos(number / 55))
            frame[y : y + face.shape[0], x : x + face.shape[1]] = face
            frame += noise[number % 8]
            picture = np.clip(frame, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def repeat(short: Path, long: Path, minutes: float) -> None:
    """Write the short video over and over, without coding it again."""
    step = 0
    with av.open(str(short)) as source, av.open(str(long), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        base = source.streams.video[0].time_base
        length = int(source.streams.video[0].duration)
        while step * length * base < minutes * 60:
            source.seek(0)
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.pts = None if packet.pts is None else packet.pts + step * length
                    packet.dts += step * length
                    packet.stream = stream
                    target.mux(packet)
            step += 1


def milmer(video: Path, times: np.ndarray, settings: FacesSettings, finder: FaceFinder) -> int:
    onsets = np.arange(len(times)) * SEGMENT_S
    parts = iter_face_segments(VideoSpan(video), onsets, SEGMENT_S, settings)
    return sum(int(part.found.sum()) for part in parts)


def whole_frames(
    video: Path, times: np.ndarray, settings: FacesSettings, finder: FaceFinder
) -> int:
    found = 0
    for _, _, image in frames_at(video, times.ravel()):
        boxes = finder.find(image)
        found += bool(boxes)
        for box in boxes[:1]:
            encode_face(crop(image, box, settings.widen, settings.size))
    return found


def every_frame(video: Path, seconds: float, settings: FacesSettings, finder: FaceFinder) -> int:
    found = 0
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= seconds * FPS:
                break
            image = frame.to_ndarray(format="rgb24")
            boxes = finder.find(image)
            for box in boxes[:1]:
                encode_face(crop(image, box, settings.widen, settings.size))
                found += 1
    return found


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def long_video(path: Path, minutes: float, settings: FacesSettings) -> None:
    """Print a row for each tenth; keep what is encoded, as a worker does."""
    onsets = np.arange(int(minutes * 60 / SEGMENT_S)) * SEGMENT_S
    print(f"\n{minutes:g} minutes in one go\n\n| minute | s of one core per minute | resident MB |")
    print("|---|---|---|")
    start, done, reported, kept = time.process_time(), 0, 0.0, []
    for part in iter_face_segments(VideoSpan(path), onsets, SEGMENT_S, settings):
        kept.append(part)
        done += len(part.found)
        now = done * SEGMENT_S / 60
        if now >= reported + minutes / 10 or done == len(onsets):
            spent = time.process_time() - start
            print(
                f"| {now:.0f} | {spent / (now - reported):.2f} | {resident_mb():.0f} |", flush=True
            )
            start, reported = time.process_time(), now
    found = np.concatenate([part.found for part in kept]).mean()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"\nfaces found: {found:.1%}; peak resident: {peak:.0f} MB", flush=True)


def side_by_side(video: Path, settings: FacesSettings) -> None:
    finder = FaceFinder(settings)
    times = instance_times(20, SEGMENT_S, INSTANCES)
    print("| way | faces found | s of one core per minute | times real time |")
    print("|---|---|---|---|")
    ways = {
        "milmer": (milmer, times.size, 60),
        "every wanted frame whole": (whole_frames, times.size, 60),
        "every frame": (every_frame, EVERY_FRAME_S * FPS, EVERY_FRAME_S),
    }
    for name, (work, wanted, seconds) in ways.items():
        argument = EVERY_FRAME_S if work is every_frame else times
        start = time.process_time()
        found = work(video, argument, settings, finder)
        spent = time.process_time() - start
        print(
            f"| {name} | {found} of {wanted} | {spent / seconds * 60:.1f} "
            f"| {seconds / spent:.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, nargs="*", default=[])
    parser.add_argument("--detector", default="dlib")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    settings = FacesSettings(detector=arguments.detector)
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"PyAV {av.__version__}, detector {arguments.detector}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "trial.avi"
        film(video, 60)
        side_by_side(video, settings)
        for minutes in arguments.minutes:
            long = Path(folder) / "long.avi"
            repeat(video, long, minutes)
            process = multiprocessing.get_context("spawn").Process(
                target=long_video, args=(long, minutes, settings)
            )
            process.start()
            process.join()


if __name__ == "__main__":
    main()
