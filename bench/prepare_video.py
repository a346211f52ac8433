"""Faces of a DEAP-like video: how many times faster than it plays, and how much memory.

    python bench/prepare_video.py [--minutes 60] [--detector dlib]

A 720x576, 50 fps, H.264 AVI of a real photograph that moves, with camera noise; 10 faces per 3 s.
Side by side on one core:

- `milmer`: find_faces and JPEG, as `milmer prepare` does it;
- `every wanted frame whole`: the same frames, each searched whole;
- `every frame`: decode, convert and search every frame of the video, as most public code does
  (timed on the first 6 s).

With `--minutes` also a long video in one go: time and memory in each tenth of it.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from skimage import data

from milmer_cli.recordings.faces import FaceFinder, crop, iter_faces
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import frames_at, instance_times
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.store import encode_face

FPS, SEGMENT_S, INSTANCES = 50, 3.0, 10


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
    found = 0
    for bag in iter_faces(VideoSpan(video), times, settings, finder):
        found += sum(bool(encode_face(image)) for image in bag.images if image is not None)
    return found


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--detector", default="dlib")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    settings = FacesSettings(detector=arguments.detector)
    finder = FaceFinder(settings)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "trial.avi"
        film(video, 60)
        times = instance_times(20, SEGMENT_S, INSTANCES)
        print("| way | faces found | s of one core per minute | times real time |")
        print("|---|---|---|---|")
        ways = {
            "milmer": lambda: (milmer(video, times, settings, finder), times.size, 60),
            "every wanted frame whole": lambda: (
                whole_frames(video, times, settings, finder),
                times.size,
                60,
            ),
            "every frame": lambda: (every_frame(video, 6, settings, finder), 6 * FPS, 6),
        }
        for name, work in ways.items():
            start = time.process_time()
            found, wanted, seconds = work()
            spent = time.process_time() - start
            print(
                f"| {name} | {found} of {wanted} | {spent / seconds * 60:.1f} "
                f"| {seconds / spent:.1f} |"
            )
        if arguments.minutes:
            long = Path(folder) / "long.avi"
            repeat(video, long, arguments.minutes)
            times = instance_times(int(arguments.minutes * 60 / SEGMENT_S), SEGMENT_S, INSTANCES)
            print("\n| minute | s of one core per minute | resident MB | faces found |")
            print("|---|---|---|---|")
            start, done, found, reported = time.process_time(), 0, 0, 0
            for bag in iter_faces(VideoSpan(long), times, settings, finder):
                found += sum(bool(encode_face(image)) for image in bag.images if image is not None)
                done += len(bag.found)
                minutes = done * SEGMENT_S / 60
                if minutes >= reported + arguments.minutes / 10:
                    now = time.process_time()
                    print(
                        f"| {minutes:.0f} | {(now - start) / (minutes - reported):.1f} "
                        f"| {resident_mb():.0f} | {found / done / INSTANCES:.3f} |",
                        flush=True,
                    )
                    start, reported = now, minutes
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
            print(f"\npeak resident: {peak:.0f} MB")


if __name__ == "__main__":
    main()
