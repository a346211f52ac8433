"""The checksum of a file is the published one, otherwise the digits in its name, or a record."""

from __future__ import annotations

import hashlib
import re

import pytest

from milmer_cli.faces import centerface
from milmer_cli.faces.detector import DETECTORS
from milmer_cli.weights.checksums import PUBLISHED, find_checksum, record_checksum


def test_published_checksums_are_of_files_that_the_program_uses():
    files = {file for spec in DETECTORS.values() for file, _ in spec.weights}
    assert set(PUBLISHED) <= files | {"centerface.onnx"}
    for checksum in PUBLISHED.values():
        assert re.fullmatch("[0-9a-f]{64}", checksum.sha256)


def test_published_checksum_agrees_with_the_digits_in_the_name():
    assert PUBLISHED["s3fd-619a316812.pth"].sha256.startswith("619a316812")


def test_published_checksum_of_centerface_is_that_of_the_installed_file():
    content = centerface.weights_file().read_bytes()
    assert PUBLISHED["centerface.onnx"].sha256 == hashlib.sha256(content).hexdigest()


def test_find_checksum_in_a_file_name(tmp_path):
    digits = hashlib.sha256(b"weights").hexdigest()[:8]
    path = tmp_path / f"net-{digits}.pth"
    path.write_bytes(b"weights")

    checksum = find_checksum(path)

    assert checksum.sha256 == digits
    assert checksum.describe() == "first 8 digits of the SHA-256 in the file name"
    assert checksum.matches(path)
    path.write_bytes(b"other weights")
    assert not checksum.matches(path)


def test_find_checksum_recorded_at_the_download(tmp_path):
    path = tmp_path / "anchors.npy"
    path.write_bytes(b"anchors")
    assert find_checksum(path) is None

    record_checksum(path)

    record = tmp_path / "anchors.npy.sha256"
    assert record.read_text() == f"{hashlib.sha256(b'anchors').hexdigest()}  anchors.npy\n"
    path.write_bytes(b"damaged")
    assert not find_checksum(path).matches(path)
    path.unlink()
    assert find_checksum(path) is None  # the next download may be of another version


@pytest.mark.parametrize("content", [b"", b"not a checksum", b"\xff\xfe"])
def test_find_checksum_ignores_a_damaged_record(tmp_path, content):
    (tmp_path / "anchors.npy").write_bytes(b"anchors")
    (tmp_path / "anchors.npy.sha256").write_bytes(content)
    assert find_checksum(tmp_path / "anchors.npy") is None
