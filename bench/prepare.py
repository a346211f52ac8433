"""Face extraction from a DEAP-like video: speed relative to real time, and memory.

    python bench/prepare.py [--seconds 60] [--minutes 5 20 60] [--detectors centerface dlib]

The videos are H.264 AVI of 720x576 pixels and 50 fps that pan over a photograph with camera noise:
a bare face, a small one, one with a cap, one with a cap and electrodes, and one that is absent for
a tenth of the time; 10 faces per 3 s. Three methods, on one core:

- `Milmer`: the code of a worker of `milmer prepare`, including JPEG encoding;
- `detection in every sampled frame`: the same frames, each searched as a whole;
- `every frame`: every frame of the video decoded, converted and searched (bare face, first 6 s).

With `--minutes`, also videos of these durations with the first detector, each in its own process:
time and memory in every tenth.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from skimage import data

from milmer_cli.datasets.synthetic.headgear import HeadFrame, draw_cap, draw_electrodes
from milmer_cli.faces.crop import crop_face
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.jpeg import encode_face
from milmer_cli.faces.search import find_faces
from milmer_cli.preprocessing import instance_times, iter_face_segments
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.video.frames import VideoReader, VideoSpan

FPS, SEGMENT_S, INSTANCES, EVERY_FRAME_S = 50, 3.0, 10, 6


FACES = {"bare": 1.35, "small": 0.5, "cap": 1.35, "cap and electrodes": 1.35, "absent": 1.35}
"""Size of each face relative to the photograph, in which it is 87 pixels wide."""
ABSENT_S = 0.3  # of every 3 s


def write_video(path: Path, seconds: float, kind: str = "bare") -> None:
    photograph = data.astronaut()
    head = HeadFrame.from_eyes(np.array((202.5, 101.0)), np.array((247.0, 104.0)))
    if kind.startswith("cap"):
        draw_cap(photograph, head)
    if kind == "cap and electrodes":
        draw_electrodes(photograph, head)
    astronaut = photograph[:300, 60:380]
    noise = np.random.default_rng(0).normal(0, 4, (8, 576, 720, 3)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for number in range(round(seconds * FPS)):
            scale = FACES[kind] + 0.15 * np.sin(number / 90)
            face = cv2.resize(astronaut, None, fx=scale, fy=scale)
            frame = np.full((576, 720, 3), 96, np.int16)
            x, y = int(120 + 60 * np.sin(number / 40)), int(50 + 20 * np.cos(number / 55))
            if kind != "absent" or number / FPS % SEGMENT_S > ABSENT_S:
                frame[y : y + face.shape[0], x : x + face.shape[1]] = face
            frame += noise[number % 8]
            image_rgb = np.clip(frame, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_rgb, format="rgb24")))
        container.mux(stream.encode())


def write_repeated(short: Path, long: Path, minutes: float) -> None:
    """Write a video that repeats the packets of a short one, without encoding again."""
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


def milmer_method(
    video: Path, times: np.ndarray, settings: FacesSettings, detector: FaceDetector
) -> int:
    onsets = np.arange(len(times)) * SEGMENT_S
    chunks = iter_face_segments(VideoSpan(video), onsets, SEGMENT_S, settings, "cpu")
    return sum(int(chunk.found.sum()) for chunk in chunks)


def whole_frame_method(
    video: Path, times: np.ndarray, settings: FacesSettings, detector: FaceDetector
) -> int:
    found = 0
    for frame in VideoReader(video).frames_at(times.ravel()):
        image = frame.image
        boxes = find_faces(detector, image, detector.frame_side)
        found += bool(boxes)
        for box in boxes[:1]:
            encode_face(crop_face(image, box, settings.margin, settings.image_size))
    return found


def every_frame_method(
    video: Path, seconds: float, settings: FacesSettings, detector: FaceDetector
) -> int:
    found = 0
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= seconds * FPS:
                break
            image = frame.to_ndarray(format="rgb24")
            boxes = find_faces(detector, image, detector.frame_side)
            for box in boxes[:1]:
                encode_face(crop_face(image, box, settings.margin, settings.image_size))
                found += 1
    return found


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def long_video(path: Path, minutes: float, settings: FacesSettings) -> None:
    """Print a row for each tenth. The encoded faces are kept in memory, as in a worker."""
    cv2.setNumThreads(1)
    onsets = np.arange(int(minutes * 60 / SEGMENT_S)) * SEGMENT_S
    print(f"\n{minutes:g} minutes\n\n| minute | s of one core per minute | resident MB |")
    print("|---|---|---|")
    start, done, reported, kept = time.process_time(), 0, 0.0, []
    for chunk in iter_face_segments(VideoSpan(path), onsets, SEGMENT_S, settings, "cpu"):
        kept.append(chunk)
        done += len(chunk)
        now = done * SEGMENT_S / 60
        if now >= reported + minutes / 10 or done == len(onsets):
            spent = time.process_time() - start
            print(
                f"| {now:.0f} | {spent / (now - reported):.2f} | {resident_mb():.0f} |", flush=True
            )
            start, reported = time.process_time(), now
    found = np.concatenate([chunk.found for chunk in kept]).mean()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"\nfaces found: {found:.1%}; peak resident: {peak:.0f} MB", flush=True)


def compare_methods(video: Path, seconds: float, kind: str, settings: FacesSettings) -> None:
    detector = FaceDetector(settings)
    times = instance_times(np.arange(seconds // SEGMENT_S) * SEGMENT_S, SEGMENT_S, INSTANCES)
    methods = {
        "Milmer": (milmer_method, times.size, seconds),
        "detection in every sampled frame": (whole_frame_method, times.size, seconds),
        "every frame": (every_frame_method, EVERY_FRAME_S * FPS, EVERY_FRAME_S),
    }
    for name, (method, n_expected, duration_s) in methods.items():
        if method is every_frame_method and kind != "bare":
            continue
        argument = EVERY_FRAME_S if method is every_frame_method else times
        start = time.process_time()
        n_found = method(video, argument, settings, detector)
        spent = time.process_time() - start
        print(
            f"| {kind} | {settings.detector} | {name} | {n_found} of {n_expected} "
            f"| {spent / duration_s * 60:.1f} | {duration_s / spent:.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, nargs="*", default=[])
    parser.add_argument("--detectors", nargs="+", default=["centerface", "dlib"])
    arguments = parser.parse_args()
    sys.path.remove(str(Path(__file__).parent))  # numba would import the coverage.py of this folder
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    settings = [FacesSettings(detector=name) for name in arguments.detectors]
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"PyAV {av.__version__}, OpenCV {cv2.__version__}\n"
    )
    print("| face | detector | method | faces found | s of one core per minute | times real time |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "trial.avi"
        for kind in reversed(FACES):
            write_video(video, arguments.seconds, kind)
            for own in settings:
                compare_methods(video, arguments.seconds, kind, own)
        for minutes in arguments.minutes:
            long = Path(folder) / "long.avi"
            write_repeated(video, long, minutes)
            process = multiprocessing.get_context("spawn").Process(
                target=long_video, args=(long, minutes, settings[0])
            )
            process.start()
            process.join()


if __name__ == "__main__":
    main()
