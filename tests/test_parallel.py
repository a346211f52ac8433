from __future__ import annotations

import time

import pytest

from milmer_cli.parallel import IsolatedError, run_isolated

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
