"""Data that several rooms' tests share, made once per test session and not once per worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Started in the background of a script, Ctrl-C is ignored, and so by every process the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

Maker = Callable[[Path], None]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Maker], Path]:
    """``made_once(name, make)`` gives a folder that the first to ask fills by ``make(folder)``."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if worker else base

    def once(name: str, make: Maker) -> Path:
        folder = shared / f"shared-{name}"
        with FileLock(shared / f"shared-{name}.lock"):
            done = shared / f"shared-{name}.done"
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return once
