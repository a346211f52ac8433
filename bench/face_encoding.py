"""Encodings of face images: size, speed of writing and random reading, quality.

    python bench/face_encoding.py

Milmer crops the faces from an H.264 video (720x576, 50 fps) that pans over a photograph with camera
noise. A bag has 10 faces of 224x224 pixels. The files are in the page cache, so the reading speed
is that of decoding. `MB per minute` assumes DEAP's 200 faces per minute. One core.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
from PIL import Image
from skimage import data

from milmer_cli.faces.crop import crop_face
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.preprocessing import instance_times
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.video.frames import VideoReader

BAGS, FACES = 120, 10


@dataclass
class Codec:
    """Encoder and decoder of face images."""

    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes], np.ndarray]


def write_video(path: Path, seconds: float) -> None:
    astronaut = data.astronaut()
    noise = np.random.default_rng(0).normal(0, 4, (8, 576, 720, 3)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=50)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for number in range(round(seconds * 50)):
            scale = 1.1 + 0.35 * np.sin(number / 90)
            face = cv2.resize(astronaut[:260, 90:350], None, fx=scale, fy=scale)
            frame = np.full((576, 720, 3), 96, np.int16)
            x, y = int(150 + 60 * np.sin(number / 40)), int(60 + 20 * np.cos(number / 55))
            frame[y : y + face.shape[0], x : x + face.shape[1]] = face
            frame += noise[number % 8]
            image = np.clip(frame, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def extract_uncompressed(video: Path, settings: FacesSettings) -> np.ndarray:
    """Detect and crop the largest face at the times of 7 segments: (n, size, size, 3) uint8."""
    detector = FaceDetector(settings)
    times = instance_times(3.0 * np.arange(7), 3.0, FACES).ravel()
    faces = []
    for frame in VideoReader(video).frames_at(times):
        for box in detector.detect(frame.image)[:1]:
            faces.append(crop_face(frame.image, box, settings.margin, settings.image_size))
    return np.stack(faces)


def pillow(format_name: str, **options: object) -> Codec:
    def encode(rgb: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, format_name, **options)
        return buffer.getvalue()

    def decode(encoded: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))

    return Codec(encode, decode)


def opencv(extension: str, *options: int) -> Codec:
    def encode(rgb: np.ndarray) -> bytes:
        return cv2.imencode(extension, rgb[:, :, ::-1], list(options))[1].tobytes()

    def decode(encoded: bytes) -> np.ndarray:
        return cv2.cvtColor(
            cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        )

    return Codec(encode, decode)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def measure_arrays(path: Path, bags: np.ndarray, **options: object) -> tuple[float, ...]:
    start = time.process_time()
    with h5py.File(path, "w") as file:
        file.create_dataset("faces", data=bags, **options)
    writing = time.process_time() - start
    order = np.random.default_rng(1).integers(0, len(bags), 300)
    with h5py.File(path, "r") as file:
        start = time.process_time()
        for index in order:
            file["faces"][index]
        reading = time.process_time() - start
    return path.stat().st_size, writing, len(order) / reading, float("inf")


def measure_codec(path: Path, bags: np.ndarray, codec: Codec) -> tuple[float, ...]:
    faces = bags.reshape(-1, *bags.shape[2:])
    start = time.process_time()
    encoded = [codec.encode(face) for face in faces]
    writing = time.process_time() - start
    offsets = np.cumsum([0, *map(len, encoded)])
    with h5py.File(path, "w") as file:
        file.create_dataset("encoded", data=np.frombuffer(b"".join(encoded), np.uint8))
    order = np.random.default_rng(1).integers(0, len(bags), 100)
    with h5py.File(path, "r") as file:
        start = time.process_time()
        for index in order:
            first = index * FACES
            block = file["encoded"][offsets[first] : offsets[first + FACES]].tobytes()
            for k in range(first, first + FACES):
                codec.decode(block[offsets[k] - offsets[first] : offsets[k + 1] - offsets[first]])
        reading = time.process_time() - start
    quality = np.mean(
        [
            psnr(face, codec.decode(data_bytes))
            for face, data_bytes in zip(faces, encoded, strict=True)
        ][:60]
    )
    return path.stat().st_size, writing, len(order) / reading, float(quality)


def main() -> None:
    settings = FacesSettings(detector="dlib")
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "face.mp4"
        write_video(video, 21)
        faces = extract_uncompressed(video, settings)
        bags = faces[np.arange(BAGS * FACES) % len(faces)].reshape(BAGS, FACES, *faces.shape[1:])
        quality = cv2.IMWRITE_JPEG_QUALITY
        full = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
        rows = {
            "raw": {"chunks": (1, *bags.shape[1:])},
            "raw, lzf": {"chunks": (1, *bags.shape[1:]), "compression": "lzf"},
            "raw, gzip 4": {"chunks": (1, *bags.shape[1:]), "compression": "gzip"},
            "PNG (Pillow)": pillow("PNG", compress_level=3),
            "PNG (OpenCV)": opencv(".png"),
            "JPEG 90, 4:2:0 (Pillow)": pillow("JPEG", quality=90),
            "JPEG 95, 4:2:0 (Pillow)": pillow("JPEG", quality=95),
            "JPEG 95, 4:4:4 (Pillow)": pillow("JPEG", quality=95, subsampling=0),
            "JPEG 95, 4:4:4 (OpenCV)": opencv(".jpg", quality, 95, *full),
            "WebP 90 (Pillow)": pillow("WEBP", quality=90, method=2),
            "WebP lossless (Pillow)": pillow("WEBP", lossless=True, method=0),
        }
        print(f"{len(faces)} different faces in {BAGS} bags")
        print(
            "| encoding | kB per face | MB per minute | writing, ms per face | bags/s | PSNR, dB |"
        )
        print("|---|---|---|---|---|---|")
        for name, encoding in rows.items():
            path = Path(folder) / "faces.h5"
            if isinstance(encoding, Codec):
                size, writing, rate, decibel = measure_codec(path, bags, encoding)
            else:
                size, writing, rate, decibel = measure_arrays(path, bags, **encoding)
            kb = size / (BAGS * FACES) / 1e3
            print(
                f"| {name} | {kb:.1f} | {kb * 0.2:.2f} | {writing / BAGS / FACES * 1e3:.2f} "
                f"| {rate:.0f} | {decibel:.1f} |"
            )


if __name__ == "__main__":
    main()
