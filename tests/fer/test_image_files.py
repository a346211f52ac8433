"""Known samples of every bit depth, sample type and orientation become the right 8-bit RGB."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from milmer_cli.fer.image_files import read_rgb

LEVELS = np.array([[0, 1, 64, 128], [200, 253, 254, 255]], np.uint8)
COLORS = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def gray(path):
    """The red channel of an image whose three channels are equal."""
    image = read_rgb(path)
    assert image.mode == "RGB"
    pixels = np.asarray(image)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_read_rgb_gray_of_16_bits(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(LEVELS.astype(np.uint16) * 257).save(path)

    np.testing.assert_array_equal(gray(path), LEVELS)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(np.uint8, 1), (np.uint16, 257), (np.float32, 1), (np.float32, 1 / 255)],
)
def test_read_rgb_gray_tiff_whose_zero_is_white(tmp_path, dtype, scale):
    path = tmp_path / "a.tiff"
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    Image.fromarray(LEVELS.astype(dtype) * dtype(scale)).save(path, tiffinfo=tags)
    set_tag(path, 262, 0)

    np.testing.assert_array_equal(gray(path), 255 - LEVELS)


def set_tag(path, tag, value):
    """Overwrite a SHORT of the first directory of a little-endian TIFF file."""
    content = bytearray(path.read_bytes())
    begin = int.from_bytes(content[4:8], "little")
    for index in range(int.from_bytes(content[begin : begin + 2], "little")):
        entry = begin + 2 + 12 * index
        if int.from_bytes(content[entry : entry + 2], "little") == tag:
            content[entry + 8 : entry + 10] = value.to_bytes(2, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_read_rgb_color_of_16_bits(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), COLORS[..., ::-1].astype(np.uint16) * 257)

    np.testing.assert_array_equal(np.asarray(read_rgb(path)), COLORS)


@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_read_rgb_floating_point(tmp_path, scale):
    Image.fromarray(LEVELS.astype(np.float32) * scale).save(tmp_path / "a.tiff")

    np.testing.assert_array_equal(gray(tmp_path / "a.tiff"), LEVELS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((4, 4), -1, np.float32), "floating-point samples from -1 to -1"),
        (np.full((4, 4), 4000, np.float32), "floating-point samples from 4000 to 4000"),
        (np.full((4, 4), np.nan, np.float32), "floating-point samples from nan"),
        (np.full((4, 4), 4000, np.uint16), "16-bit samples up to 4000 only"),
        (np.full((4, 4), 2**14 - 1, np.uint16), "16-bit samples up to 16383 only"),
        (np.full((4, 4), 4000, np.int32), "mode I have no defined range"),
    ],
)
def test_read_rgb_unknown_range(tmp_path, values, message):
    Image.fromarray(values).save(tmp_path / "a.tiff")

    with pytest.raises(ValueError, match=message):
        read_rgb(tmp_path / "a.tiff")


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_read_rgb_color_of_unused_bits(tmp_path, suffix, channels, bits):
    path = tmp_path / f"a{suffix}"
    samples = np.full((4, 4, channels), 2**bits - 1, np.uint16)
    samples[..., 3:] = 2**16 - 1  # opaque
    cv2.imwrite(str(path), samples)

    with pytest.raises(ValueError, match=r"16-bit samples up to \d+ only"):
        read_rgb(path)


def test_read_rgb_signed_samples(tmp_path):
    Image.fromarray(LEVELS).save(tmp_path / "a.tiff", tiffinfo={339: 2})

    with pytest.raises(ValueError, match="signed samples have no defined range"):
        read_rgb(tmp_path / "a.tiff")


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_read_rgb_dark_gray_converted_from_8_bits(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray((LEVELS // 8).astype(np.uint16) * 257).save(path)

    np.testing.assert_array_equal(gray(path), LEVELS // 8)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_read_rgb_gray_of_few_bits(tmp_path, bits):
    levels = np.arange(2**bits, dtype=np.uint8)[None].repeat(2, axis=0)
    flags = [cv2.IMWRITE_PNG_BILEVEL, 1] if bits == 1 else []
    scaled = levels * np.uint8(255 // (2**bits - 1))
    if bits == 1:
        cv2.imwrite(str(tmp_path / "a.png"), scaled, flags)
    else:
        write_png(tmp_path / "a.png", levels, bits)

    np.testing.assert_array_equal(gray(tmp_path / "a.png"), scaled)


def write_png(path, levels, bits):
    """Write a gray PNG with the given bit depth; Pillow cannot."""
    import struct
    import zlib

    rows = b"".join(
        b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes()
        for row in levels
    )

    def chunk(name, data):
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], bits, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def test_read_rgb_palette(tmp_path):
    palette = Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "b.png", transparency=1)

    colors = [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]]
    np.testing.assert_array_equal(np.asarray(read_rgb(tmp_path / "a.png")), colors)
    colors[0][1] = [255, 255, 255]
    np.testing.assert_array_equal(np.asarray(read_rgb(tmp_path / "b.png")), colors)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_read_rgb_transparency_becomes_white(tmp_path, mode):
    alpha = np.array([[0, 255]], np.uint8)
    color = np.full((1, 2, len(mode) - 1), 40, np.uint8)
    Image.fromarray(np.concatenate([color, alpha[..., None]], axis=2)).save(tmp_path / "a.png")

    with Image.open(tmp_path / "a.png") as saved:
        assert saved.mode == mode
    np.testing.assert_array_equal(gray(tmp_path / "a.png"), [[255, 40]])


def test_read_rgb_cmyk(tmp_path):
    cmyk = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255], [0, 255, 255, 0]]], np.uint8)
    Image.fromarray(cmyk, "CMYK").save(tmp_path / "a.tiff")

    expected = [[[255, 255, 255], [0, 255, 255], [0, 0, 0], [255, 0, 0]]]
    np.testing.assert_array_equal(np.asarray(read_rgb(tmp_path / "a.tiff")), expected)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize(
    ("orientation", "restore"),
    [
        (2, np.fliplr),
        (3, lambda image: np.rot90(image, 2)),
        (4, np.flipud),
        (5, lambda image: np.rot90(np.fliplr(image))),
        (6, lambda image: np.rot90(image, -1)),
        (7, lambda image: np.rot90(np.fliplr(image), -1)),
        (8, np.rot90),
    ],
)
@pytest.mark.parametrize("bits", [8, 16, 24])
def test_read_rgb_orientation(tmp_path, suffix, orientation, restore, bits):
    path = tmp_path / f"a{suffix}"
    first = COLORS[..., 0]
    stored = {8: first, 16: first.astype(np.uint16) * 257, 24: COLORS}[bits]
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(path, exif=exif)

    expected = restore(COLORS if bits == 24 else np.stack([first] * 3, axis=2))
    np.testing.assert_array_equal(np.asarray(read_rgb(path)), expected)
