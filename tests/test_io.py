"""Atomic writes, JSON, digests and lists in messages."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from milmer_cli import io
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.settings.schema import EegSettings


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


@dataclass
class _Result:
    path: Path
    score: float


def test_to_json_converts_everything_that_results_contain(tmp_path):
    value = {
        1: np.float32(0.5),
        "nan": float("nan"),
        "infinite": [np.inf, -np.inf],
        "result": _Result(Path("a/b"), np.float64("nan")),
        "array": np.array([[1.0, np.nan]]),
        "tensor": torch.tensor([1, 2]),
        "names": ("a", None, True),
        "set": {"b", "a"},
        "settings": EegSettings().model_copy(update={"band_hz": (1.0, 50.0)}),
    }
    plain = io.to_json(value)
    assert plain["settings"].pop("band_hz") == [1.0, 50.0]
    del plain["settings"]
    assert plain == {
        "1": 0.5,
        "nan": None,
        "infinite": [None, None],
        "result": {"path": "a/b", "score": None},
        "array": [[1.0, None]],
        "tensor": [1, 2],
        "names": ["a", None, True],
        "set": ["a", "b"],
    }
    io.write_json(tmp_path / "file.json", value)
    assert json.loads((tmp_path / "file.json").read_text())["result"]["score"] is None


def test_json_text_refuses_what_json_cannot_hold():
    with pytest.raises(TypeError):
        io.json_text({"x": object()})


def test_read_json_names_the_file(tmp_path):
    path = tmp_path / "file.json"
    with pytest.raises(InputError, match=r"file\.json cannot be read") as caught:
        io.read_json(path, "Run prepare again.")
    assert caught.value.hint == "Run prepare again."
    path.write_text("{")
    with pytest.raises(InputError, match=r"file\.json is not valid JSON"):
        io.read_json(path)
    io.write_json(path, [1])
    assert io.read_json(path) == [1]


def test_digest_depends_on_values_order_and_limits():
    digests = {
        io.digest("ab"),
        io.digest("a", "b"),
        io.digest("b", "a"),
        io.digest(b"ab"),
        io.digest(["ab"]),
        io.digest(np.array([1, 2])),
        io.digest(np.array([1.0, 2.0])),
        io.digest(np.array([[1, 2]])),
        io.digest(torch.tensor([1.0, 2.0])),
        io.digest(torch.tensor([1.0, 2.0], dtype=torch.bfloat16)),
    }
    assert len(digests) == 10
    assert io.digest({"a": 1, "b": 2}) == io.digest({"b": 2, "a": 1})
    assert io.digest("a", length=12) == io.digest("a", length=64)[:12]
    assert io.digest(np.array(["a", "b"])) == io.digest(["a", "b"])


def test_digest_is_the_same_in_another_process():
    code = "from milmer_cli.io import digest; print(digest({'a', 'b', 'c'}, 'x', 1.5))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert other == io.digest({"a", "b", "c"}, "x", 1.5)


def test_file_digest_is_the_sha256_of_the_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert io.file_digest(path).startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(InputError, match="nothing cannot be read"):
        io.file_digest(tmp_path / "nothing")


def test_quick_file_digest_sees_both_ends_and_the_size(tmp_path):
    path = tmp_path / "file"
    digests = set()
    content = bytearray(300_000)
    for position in (None, 0, -1):
        if position is not None:
            content[position] = 1
        path.write_bytes(content)
        digests.add(io.quick_file_digest(path))
    path.write_bytes(content + b"\0")
    digests.add(io.quick_file_digest(path))
    assert len(digests) == 4


def test_content_digest_is_that_of_a_renamed_copy(tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "a.edf").write_bytes(content)
    (tmp_path / "b.edf").write_bytes(content)
    (tmp_path / "c.edf").write_bytes(content[:-1] + b"x")
    first, copy, other = (io.content_digest(tmp_path / f"{name}.edf") for name in "abc")
    assert first == copy != other


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a", "b"], "a, b"), (["a", "", "c", "d"], "a, (no name) and 2 more")],
)
def test_shorten_counts_what_it_leaves_out(names, text):
    assert io.shorten(names, most=2) == text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\x00" * 64, b"\xff\xfe{", b"[" * 100_000, b"9" * 5000]
)
def test_read_json_names_a_damaged_file_in_one_sentence(tmp_path, content):
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"index\.json is not valid JSON") as caught:
        io.read_json(path, "Prepare again.")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300 + len(str(path))
    assert caught.value.hint == "Prepare again."


@pytest.mark.parametrize(("content", "problem"), [("[1]", "got list"), ("{}", "it has no name")])
def test_read_json_object_requires_its_keys(tmp_path, content, problem):
    path = tmp_path / "index.json"
    path.write_text(content)
    with pytest.raises(InputError, match=problem):
        io.read_json_object(path, ["name"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_read_json_never_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="expected a regular file"):
        io.read_json(tmp_path / "pipe.json")


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
