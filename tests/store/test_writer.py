"""Writing the file of a participant: atomic, reproducible, consistent with its header."""

import pickle
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace

import h5py
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.integrity import file_checksum
from milmer_cli.store import write_participant


def test_write_participant_same_trials_give_same_bytes(tmp_path, header, trials):
    path, again = tmp_path / "s01.h5", tmp_path / "again.h5"
    write_participant(path, header("s01"), trials)
    write_participant(again, header("s01"), trials)

    assert again.read_bytes() == path.read_bytes()


def test_write_participant_writes_no_time_into_the_file(tmp_path, header, trials):
    path = tmp_path / "s01.h5"
    write_participant(path, header("s01"), trials)

    with h5py.File(path) as file:
        objects = [file[name] for name in ("/", "quality", "faces", "eeg")]
        tracked = [item.id.get_create_plist().get_obj_track_times() for item in objects]
    assert not any(tracked)


def test_write_participant_trial_that_does_not_match_the_header(tmp_path, header, trials):
    wrong = replace(trials[0], eeg=trials[0].eeg[:, :, :-1])

    with pytest.raises(ValueError, match="Trial 1 of s01: expected eeg of shape"):
        write_participant(tmp_path / "s01.h5", header("s01"), [wrong])
    assert not list(tmp_path.iterdir())


WRITER = """
import os, pickle, sys
from pathlib import Path
import milmer_cli.store.writer as writer
path, how, header, trials = pickle.load(sys.stdin.buffer)
if how == "killed":
    writer._write_faces = lambda *_: os._exit(9)
elif how == "interrupted":
    def stop(*_):
        raise KeyboardInterrupt
    writer._write_faces = stop
else:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
writer.write_participant(Path(path), header, trials)
"""


@pytest.mark.parametrize("how", ["killed", "interrupted", "disk"])
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_write_participant_interrupted_leaves_no_file(tmp_path, header, trials, how):
    path = tmp_path / "s01.h5"
    work = pickle.dumps((str(path), how, header("s01"), trials))

    done = subprocess.run([sys.executable, "-c", WRITER], input=work, capture_output=True)

    assert done.returncode != 0
    assert not path.exists()
    if how == "disk":
        last = done.stderr.decode().strip().splitlines()[-1]
        assert "cannot be written: File too large" in last
    if how != "killed":
        assert not list(tmp_path.iterdir())


def test_write_participant_full_disk(tmp_path, header, trials, monkeypatch):
    def full(*_):
        # the error of h5py on a full disk: no errno, several lines
        raise RuntimeError("flush failed (file write failed: time = now\n, errno = 28, buf = 0x5)")

    monkeypatch.setattr("milmer_cli.store.writer._write_faces", full)
    with pytest.raises(MilmerError, match="disk is full") as caught:
        write_participant(tmp_path / "s01.h5", header("s01"), trials)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_write_participant_returns_the_checksum_of_the_file(tmp_path, header, trials):
    path = tmp_path / "s01.h5"
    assert write_participant(path, header("s01"), trials) == file_checksum(path)


def test_write_participant_names_the_space_that_is_needed(tmp_path, header, trials, monkeypatch):
    path = tmp_path / "s01.h5"
    write_participant(path, header("s01"), trials)
    before = path.read_bytes()
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(MilmerError, match=r"disk is full: .*s01\.h5 needs 0\.\d MiB, and 0\.0 MiB"):
        write_participant(path, header("s01"), trials)
    assert path.read_bytes() == before
    assert [other.name for other in tmp_path.iterdir()] == ["s01.h5"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, which the user may not be allowed to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, *options], capture_output=True, check=False).returncode
    ):
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_write_participant_on_a_full_disk_is_one_sentence(small_disk, header, trials, monkeypatch):
    for check in (shutil.disk_usage, lambda _: shutil._ntuple_diskusage(10**9, 0, 10**9)):
        monkeypatch.setattr(shutil, "disk_usage", check)  # also if the check is too optimistic
        with pytest.raises(MilmerError, match="disk is full") as caught:
            write_participant(small_disk / "s01.h5", header("s01"), trials)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 1
        assert not list(small_disk.iterdir())
