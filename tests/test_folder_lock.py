"""The lock of an output folder: one holder at a time, released when its process ends."""

import json
import os
import subprocess
import sys

import pytest

from milmer_cli.errors import InputError
from milmer_cli.folder_lock import HOLDER_FILE, LOCK_FILE, FolderLock, is_holder, is_unused

HOLD = """
import sys
from pathlib import Path
from milmer_cli.folder_lock import FolderLock
with FolderLock(Path(sys.argv[1])) as lock:
    print(lock.token, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that holds the lock, and its token."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    token = process.stdout.readline().strip()
    yield process, token
    process.kill()
    process.communicate()


def test_folder_lock_refuses_a_second_process(tmp_path, other_process):
    process, token = other_process

    with pytest.raises(InputError, match=rf"written by process {process.pid} on"):
        FolderLock(tmp_path).__enter__()
    assert is_holder(tmp_path, token)


def test_folder_lock_is_free_after_its_process_was_killed(tmp_path, other_process):
    process, token = other_process
    process.kill()
    process.wait()
    assert is_holder(tmp_path, token)  # its workers may still write ...

    with FolderLock(tmp_path) as lock:
        assert is_holder(tmp_path, lock.token)
        assert not is_holder(tmp_path, token)  # ... until another process takes the lock
        assert json.loads((tmp_path / HOLDER_FILE).read_text())["pid"] == os.getpid()
    assert not is_holder(tmp_path, lock.token)


def test_folder_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with FolderLock(tmp_path):
            pass


def test_folder_lock_removes_partial_files(tmp_path):
    (tmp_path / ".s01.h5.4711.part").write_bytes(b"half")

    with FolderLock(tmp_path):
        assert not list(tmp_path.glob("*.part"))


@pytest.mark.skipif(os.name == "nt", reason="folder permissions of POSIX")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_folder_lock_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot be written"):
            FolderLock(tmp_path).__enter__()
    finally:
        tmp_path.chmod(0o700)


def test_folder_lock_leaves_nothing_behind(tmp_path):
    with FolderLock(tmp_path / "new") as lock:
        assert is_unused(lock.folder)
    assert not lock.folder.exists()
    (tmp_path / "result").write_text("kept")
    with FolderLock(tmp_path):
        assert not is_unused(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_folder_lock_of_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        FolderLock(tmp_path / "file").__enter__()


@pytest.mark.skipif(os.name == "nt", reason="links need special rights on Windows")
@pytest.mark.parametrize("target", ["file", "new"])
def test_folder_lock_refuses_a_link_with_the_name_of_its_file(tmp_path, target):
    victim, folder = tmp_path / "file", tmp_path / "out"
    victim.write_text("precious")
    folder.mkdir()
    (folder / LOCK_FILE).symlink_to(tmp_path / target)
    with pytest.raises(InputError, match=rf"{LOCK_FILE} is a link"):
        FolderLock(folder).__enter__()
    assert victim.read_text() == "precious"
    assert not (tmp_path / "new").exists()
    assert [path.name for path in folder.iterdir()] == [LOCK_FILE]
