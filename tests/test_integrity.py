"""Checksums of files: any change is found, and a file is read once per process."""

from __future__ import annotations

import os

import pytest

from milmer_cli import integrity
from milmer_cli.errors import InputError
from milmer_cli.integrity import checksum, damaged_files, file_checksum, folder_checksums, is_intact


def test_checksum_of_a_file_is_that_of_its_content(tmp_path):
    content = os.urandom(3 * 2**20 + 5)
    (tmp_path / "file").write_bytes(content)
    assert file_checksum(tmp_path / "file") == checksum(content)
    assert checksum(b"123456789") == "crc32:cbf43926"  # the check value of CRC-32
    assert checksum(b"1234", b"56789") == checksum(b"123456789")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c[:-1],
        lambda c: c + b"\0",
        lambda c: c[:100] + bytes(64) + c[164:],
        lambda c: c[:9] + bytes([c[9] ^ 1]) + c[10:],
        lambda c: b"",
    ],
)
def test_damaged_files_finds_any_change(tmp_path, change):
    path = tmp_path / "model" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(os.urandom(1000))
    checksums = folder_checksums(tmp_path, ["*.safetensors", "model/*.safetensors"])
    assert damaged_files(tmp_path, checksums) == []
    path.write_bytes(change(path.read_bytes()))
    assert damaged_files(tmp_path, checksums) == ["model/model.safetensors"]
    path.unlink()
    assert damaged_files(tmp_path, checksums) == ["model/model.safetensors"]


def test_is_intact_reads_a_file_once(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert is_intact(path, "other", checksum(b"content"))
    monkeypatch.setattr(integrity, "file_checksum", None)  # calling it would fail
    assert is_intact(path, checksum(b"content"))


def test_is_intact_names_an_unreadable_file(tmp_path):
    with pytest.raises(InputError, match="missing cannot be read"):
        is_intact(tmp_path / "missing", "x")
