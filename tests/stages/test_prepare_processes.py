"""prepare in real processes: killed, interrupted, and on a Dask cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.errors import InputError
from milmer_cli.settings import load_settings
from milmer_cli.stages.prepare import prepare

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

SMALL = ["eeg.segment_s=2", "faces.instances=2", "faces.image_size=64"]
PREPARE = """
import sys
from pathlib import Path
from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.settings import load_settings
from milmer_cli.stages.prepare import prepare
root, out, *settings = sys.argv[1:]
prepare(DeapRecordings(Path(root)), Path(out), load_settings(overrides=settings))
"""


def files(folder: Path) -> dict[str, bytes]:
    """Bytes of the files of a store, except index.json, which contains modification times."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".h5", ".csv")}


def until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    for _ in range(6000):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.01)
    raise AssertionError("the condition was not met within a minute")


@pytest.mark.slow
def test_prepare_killed_repeatedly_gives_the_same_store(deap, prepared, tmp_path):
    out = tmp_path / "prepared"
    command = [sys.executable, "-c", PREPARE, deap, out, *SMALL, "run.workers=1"]
    conditions = [
        lambda: list(out.glob(".trials/s01/*-eeg-*.npz")),  # while the EEG is segmented
        lambda: list(out.glob(".trials/s01/*-faces-*.npz")),  # between two trials
        lambda: (out / "s01.h5").exists(),  # between two participants
        lambda: list(out.glob(".trials/s29/*-faces-*.npz")),  # before the last file
    ]
    for condition in conditions:
        process = subprocess.Popen(command)
        until(condition, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it finished before it was killed"
        assert not (out / "index.json").exists()
    subprocess.run(command, check=True)
    assert files(out) == files(prepared)
    assert {p.name for p in out.iterdir()} == {p.name for p in prepared.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_prepare_interrupted_says_how_to_resume_and_resumes(deap, prepared, tmp_path, number):
    out = tmp_path / "prepared"
    command = [sys.executable, "-m", "milmer_cli", "prepare", "--deap-root", deap, "--out", out]
    command += [argument for setting in SMALL for argument in ("--set", setting)]
    command += ["--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: list(out.glob(".trials/s01/*-faces-*.npz")), process)
    os.killpg(process.pid, number)  # like a terminal or a cluster: also to the workers
    _, output = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to resume" in output
    assert "Traceback" not in output
    prepare(DeapRecordings(deap), out, load_settings(overrides=[*SMALL, "run.workers=1"]))
    assert files(out) == files(prepared)


@pytest.mark.slow
def test_prepare_on_a_cluster_gives_the_same_store(deap, prepared, tmp_path):
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "prepared"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        settings = load_settings(overrides=[*SMALL, f"run.scheduler={cluster.scheduler_address}"])
        prepare(DeapRecordings(deap), out, settings)
    assert files(out) == files(prepared)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_prepare_without_a_scheduler_at_the_address(deap, tmp_path, address):
    settings = load_settings(overrides=[*SMALL, f"run.scheduler={address}"])
    with pytest.raises(InputError, match=f"no Dask scheduler at {address}"):
        prepare(DeapRecordings(deap), tmp_path / "prepared", settings)
