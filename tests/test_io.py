"""Atomic writes."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from milmer_cli import io
from milmer_cli.errors import InputError, MilmerError


@pytest.mark.parametrize(
    "content", ["µV\r\n", "µV\r\n".encode(), lambda f: f.write(b"\xc2\xb5V\r\n")]
)
def test_atomic_write_replaces_the_file_and_creates_folders(tmp_path, content):
    path = tmp_path / "new" / "file.txt"
    io.atomic_write(path, "old")
    io.atomic_write(path, content)
    assert path.read_bytes() == "µV\r\n".encode()
    assert [other.name for other in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_write_keeps_the_old_file_if_writing_fails(tmp_path, error):
    path = tmp_path / "file.txt"
    io.atomic_write(path, "old")

    def write(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        io.atomic_write(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_path_gives_a_hidden_name_in_the_same_folder(tmp_path):
    with io.atomic_path(tmp_path / "file.h5") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"x")
        assert not (tmp_path / "file.h5").exists()
    assert (tmp_path / "file.h5").read_bytes() == b"x"


def test_atomic_write_says_that_the_disk_is_full(tmp_path):
    def write(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MilmerError, match="The disk is full") as caught:
        io.atomic_write(tmp_path / "file", write)
    assert caught.value.exit_code == 1


def test_atomic_write_into_a_file_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/inner\.txt cannot be written"):
        io.atomic_write(tmp_path / "file" / "inner.txt", "x")


def test_require_writable_creates_nothing(tmp_path):
    assert io.require_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_require_writable_refuses_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is not a folder"):
        io.require_writable(tmp_path / "file" / "store")


def test_require_writable_refuses_a_folder_without_permission(tmp_path, monkeypatch):
    def refuse(**_: Path) -> None:  # the tests may run as root, who may write everywhere
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        io.require_writable(tmp_path)


def test_atomic_folder_appears_only_when_it_is_complete(tmp_path):
    folder = tmp_path / "deep" / "out"
    with io.atomic_folder(folder) as temporary:
        (temporary / "a").write_text("1")
        assert not folder.exists()
    assert (folder / "a").read_text() == "1"
    assert folder.stat().st_mode & 0o777 == (tmp_path / "deep").stat().st_mode & 0o777


def test_atomic_folder_leaves_nothing_if_writing_fails(tmp_path):
    def write():
        with io.atomic_folder(tmp_path / "out") as temporary:
            (temporary / "a").write_text("1")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert not list(tmp_path.iterdir())


def test_atomic_folder_never_replaces_a_folder_with_content(tmp_path):
    folder = tmp_path / "out"

    def write():
        with io.atomic_folder(folder) as temporary:
            (temporary / "a").write_text("1")
            folder.mkdir()
            (folder / "b").write_text("2")

    with pytest.raises(MilmerError, match="out cannot be written"):
        write()
    assert [path.name for path in folder.iterdir()] == ["b"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_atomic_files_have_the_usual_permissions(tmp_path):
    usual = tmp_path / "usual"
    usual.write_text("")
    with io.atomic_files(tmp_path / "out") as staged:
        (staged / "private").touch(mode=0o600)
    assert (tmp_path / "out" / "private").stat().st_mode == usual.stat().st_mode
