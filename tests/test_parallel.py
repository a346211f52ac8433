"""Worker processes: results, lost workers and lost main processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import joblib
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.parallel import run_parallel

MAIN = """
import os, time
import joblib
from milmer_cli.parallel import run_parallel

def work(seconds):
    time.sleep(seconds)
    return os.getpid()

for pid in run_parallel([joblib.delayed(work)(s) for s in (0.1, 0.1, 60, 60)], 2):
    print(pid, flush=True)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_run_parallel_explains_that_the_system_ended_a_worker():
    calls = [joblib.delayed(os._exit)(9)] * 2
    with pytest.raises(MilmerError, match="memory") as caught:
        list(run_parallel(calls, 2))
    assert "--workers" in caught.value.hint
    assert "same command" in caught.value.hint


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_run_parallel_workers_end_with_a_killed_main_process():
    with subprocess.Popen([sys.executable, "-c", MAIN], stdout=subprocess.PIPE, text=True) as main:
        worker = int(main.stdout.readline())
        assert is_alive(worker)
        main.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while is_alive(worker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_alive(worker)
