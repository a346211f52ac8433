"""Processes end on SIGTERM and together with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from helpers import run_python
from milmer_cli.process_end import Terminated, child_environment, interrupted_by_sigterm

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

PARENT = """
import subprocess, sys
from milmer_cli.process_end import child_environment
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=child_environment())
print(child.pid, flush=True)
child.wait()
"""
CHILD = """
import time
from milmer_cli.process_end import watch_given_parent
watch_given_parent()
print("watching", flush=True)
time.sleep(60)
"""


@posix
def test_interrupted_by_sigterm_raises_and_restores_the_handler():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), interrupted_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@posix
def test_watch_given_parent_ends_the_child_of_a_killed_parent():
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        assert "watching" in lines
        parent.kill()
        # the child holds the other end of the pipe, so this returns when it has ended
        assert parent.stdout.read() == ""


def test_watch_given_parent_ignores_the_parent_of_another_process():
    script = "from milmer_cli.process_end import *; watch_given_parent(); watch_given_parent()"
    done = run_python("-c", script, environment=child_environment())
    assert (done.returncode, done.stderr) == (0, "")


@posix
@pytest.mark.parametrize(
    ("number", "interruption"),
    [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)],
)
def test_interrupted_by_sigterm_repeats_a_discarded_interruption(number, interruption):
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(number)
            time.sleep(0)  # the handler runs here, and Python discards its exception

    given_up = threading.Event()
    blocked = threading.Event()
    watchdog = threading.Timer(5.0, lambda: (given_up.set(), blocked.set()))
    watchdog.start()

    def wait() -> None:
        Finalized()
        blocked.wait()

    with pytest.raises(interruption), interrupted_by_sigterm():
        wait()
    watchdog.cancel()
    assert not given_up.is_set(), "the interruption did not end the wait"
