"""Images are opened only in the listed formats, and never larger than the limit."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from milmer_cli.faces.jpeg import decode_face, encode_face
from milmer_cli.fer.dataset import load_image
from milmer_cli.fer.filtering import find_undecodable
from milmer_cli.fer.labeled_images import LabeledImage
from milmer_cli.images import MAX_PIXELS, open_image

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"


def png_of_size(path: Path, width: int, height: int) -> Path:
    """Write a small PNG file that decodes to width x height black pixels."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(b"\0" * (1 + width // 8)) for _ in range(height)) + rows.flush()

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


@pytest.mark.parametrize("as_bytes", [False, True])
def test_load_image_never_starts_ghostscript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_bytes: bool
) -> None:
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("started"))
    monkeypatch.setattr(shutil, "which", lambda *_: "gs")
    path = tmp_path / "x.jpg"
    path.write_bytes(POSTSCRIPT)
    source = POSTSCRIPT if as_bytes else path
    (reason,) = find_undecodable([LabeledImage(source, "anger", "x")])
    assert reason.startswith("expected an image in BMP, GIF, JPEG")


@pytest.mark.parametrize("size", [(8000, 7000), (12_000, 9000), (20_000, 20_000)])
def test_open_image_limits_the_number_of_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    assert size[0] * size[1] > MAX_PIXELS
    path = png_of_size(tmp_path / "bomb.png", *size)
    assert path.stat().st_size < 200_000
    (reason,) = find_undecodable([LabeledImage(path, "anger", "x")])
    assert "pixels" in reason


def test_load_image_reads_the_listed_formats(tmp_path: Path) -> None:
    for suffix in ("bmp", "gif", "jpg", "png", "ppm", "tiff", "webp"):
        path = tmp_path / f"a.{suffix}"
        Image.new("RGB", (20, 10), "white").save(path)
        assert load_image(LabeledImage(path, "anger", "a")).size == (20, 10), suffix


def test_find_undecodable_of_damaged_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = []
    for suffix in ("png", "tiff", "webp", "gif", "bmp"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save(path)
        content = bytearray(path.read_bytes())
        content[30:60] = b"\xff" * 30
        path.write_bytes(content[:200])
        images.append(LabeledImage(path, "anger", suffix))
    assert len(find_undecodable(images)) == 5


def test_decode_face_reads_jpeg_only(tmp_path: Path) -> None:
    face = np.full((8, 8, 3), 100, np.uint8)
    assert decode_face(encode_face(face)).shape == (8, 8, 3)
    with pytest.raises(ValueError, match="expected an image in JPEG"):
        decode_face(png_of_size(tmp_path / "a.png", 8, 8).read_bytes())
    with open_image(encode_face(face)) as image:
        assert image.format == "JPEG"
