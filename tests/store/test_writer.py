"""Writing the file of a participant: atomic, reproducible, consistent with its header."""

import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.store import write_participant


def test_write_participant_same_trials_give_same_bytes(tmp_path, header, trials):
    path, again = tmp_path / "s01.h5", tmp_path / "again.h5"
    write_participant(path, header("s01"), trials)
    write_participant(again, header("s01"), trials)

    assert again.read_bytes() == path.read_bytes()


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
