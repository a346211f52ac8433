"""Worker processes: results, lost workers, lost main processes; isolated processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import joblib
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.parallel import IsolatedError, run_isolated, run_parallel

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


@pytest.mark.slow
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


PROGRAM = """
import os, signal, sys, time

def echo():
    sys.stdout.write(" ".join(sys.argv[1:]))

def fail():
    sys.stderr.write("the reason\\n")
    sys.exit(3)

def crash():
    os.kill(os.getpid(), signal.SIGSEGV)

def wait():
    time.sleep(60)

def allocate():
    len(bytearray(2**32))
"""
GIB = 2**30


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``run(name, timeout_s)`` runs a function of `PROGRAM`."""
    (tmp_path / "isolated_program.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)

    def call(name, timeout_s=60.0):
        return run_isolated(f"isolated_program:{name}", ["a", "b c"], GIB, timeout_s)

    return call


def test_run_isolated_returns_the_output(run):
    assert run("echo") == b"a b c"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fail", "^the reason$"),
        ("crash", r"the process that read it crashed \(SIGSEGV\)"),
        ("allocate", "needs more memory"),
    ],
)
def test_run_isolated_reports_failures_crashes_and_memory(run, name, reason):
    with pytest.raises(IsolatedError, match=reason):
        run(name)


def test_run_isolated_ends_a_process_that_takes_too_long(run):
    started = time.monotonic()
    with pytest.raises(IsolatedError, match="takes longer than 1 s"):
        run("wait", 1.0)
    assert time.monotonic() - started < 30
