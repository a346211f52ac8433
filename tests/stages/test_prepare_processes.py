"""prepare in real processes: killed at any instant, interrupted, and on a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.deap import DeapRecordings
from milmer_cli.settings import load_settings
from milmer_cli.stages.prepare import prepare

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.size=64"]
PREPARE = """
import sys
from pathlib import Path
from milmer_cli.recordings.deap import DeapRecordings
from milmer_cli.settings import load_settings
from milmer_cli.stages.prepare import prepare
root, out, *settings = sys.argv[1:]
prepare(DeapRecordings(Path(root)), Path(out), load_settings(overrides=settings))
"""


def files(folder: Path) -> dict[str, bytes]:
    """The bytes of what a reader of the store sees; index.json holds times of writing."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".h5", ".csv")}


def until(found: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    for _ in range(6000):
        if found() or process.poll() is not None:
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def test_killed_again_and_again_the_store_is_the_same(deap, whole, tmp_path):
    out = tmp_path / "prepared"
    command = [sys.executable, "-c", PREPARE, deap, out, *SMALL, "run.workers=1"]
    instants = [
        lambda: list(out.glob(".pieces/s01/*-eeg-*.npz")),  # while the EEG is cut
        lambda: list(out.glob(".pieces/s01/*-faces-*.npz")),  # between two trials
        lambda: (out / "s01.h5").exists(),  # between two participants
        lambda: list(out.glob(".pieces/s29/*-faces-*.npz")),  # before the last file
    ]
    for instant in instants:
        process = subprocess.Popen(command)
        until(instant, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it was to be killed before it was done"
        assert not (out / "index.json").exists()
    subprocess.run(command, check=True)
    assert files(out) == files(whole)
    assert {p.name for p in out.iterdir()} == {p.name for p in whole.iterdir()}


def test_interrupted_it_says_how_to_go_on_and_goes_on(deap, whole, tmp_path):
    out = tmp_path / "prepared"
    command = [sys.executable, "-m", "milmer_cli", "prepare", "--deap-root", deap, "--out", out]
    command += [argument for setting in SMALL for argument in ("--set", setting)]
    command += ["--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: list(out.glob(".pieces/s01/*-faces-*.npz")), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from there" in told
    assert "Traceback" not in told
    prepare(DeapRecordings(deap), out, load_settings(overrides=[*SMALL, "run.workers=1"]))
    assert files(out) == files(whole)


def test_a_cluster_makes_the_same_store(deap, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "prepared"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        settings = load_settings(overrides=[*SMALL, f"run.scheduler={cluster.scheduler_address}"])
        prepare(DeapRecordings(deap), out, settings)
    assert files(out) == files(whole)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_a_scheduler_that_is_not_there_is_one_sentence(deap, tmp_path, address):
    settings = load_settings(overrides=[*SMALL, f"run.scheduler={address}"])
    with pytest.raises(InputError, match=f"no Dask scheduler at {address}"):
        prepare(DeapRecordings(deap), tmp_path / "prepared", settings)
