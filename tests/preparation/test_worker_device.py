"""Every worker process claims a GPU of its own."""

import os
import subprocess
import sys

import pytest

from milmer_cli.preparation import worker_device as module
from milmer_cli.preparation.worker_device import worker_device
from milmer_cli.settings import load_settings

CLAIM = """
import sys
from milmer_cli.preparation.worker_device import _claim_gpu
print(_claim_gpu(2), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def claim(tmp_path):
    """``claim()`` starts a worker and returns its process and the GPU that it claimed."""
    workers = []

    def start():
        worker = subprocess.Popen(
            [sys.executable, "-c", CLAIM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        workers.append(worker)
        return worker, int(worker.stdout.readline())

    yield start
    for worker in workers:
        worker.kill()
        worker.communicate()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sets TMPDIR")
def test_claim_gpu_differs_between_processes_and_is_released(claim):
    _, first = claim()
    worker, second = claim()
    assert {first, second} == {0, 1}
    _, third = claim()  # more workers than GPUs share them
    assert third in (0, 1)

    worker.kill()
    worker.communicate()

    assert claim()[1] == second


def test_worker_device_without_several_gpus(monkeypatch):
    run = load_settings(overrides=["run.device=cpu"]).run
    assert worker_device(run) == "cpu"

    monkeypatch.setattr(module.Device, "from_settings", lambda run: type("D", (), {"type": "cuda"}))
    monkeypatch.setattr(module.torch.cuda, "device_count", lambda: 1)
    worker_device.cache_clear()
    assert worker_device(run) == "cuda"
    worker_device.cache_clear()
