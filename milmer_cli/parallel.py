"""Run calls in several processes of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any

import joblib


def run_parallel(calls: Iterable[Any], n_workers: int, threads: int | None = None) -> Iterator[Any]:
    """Run calls in parallel and yield each result when it is available.

    Ctrl-C on a terminal reaches all processes. The workers ignore it: the main process is
    interrupted and ends them.

    Parameters
    ----------
    calls
        Calls made by `joblib.delayed`. They start in this order.
    n_workers
        Number of processes; with 1 the calls run in this process.
    threads
        Threads of each process in numerical libraries; None for joblib's default.
    """
    with joblib.parallel_config(
        backend="loky", inner_max_num_threads=threads, initializer=_prepare_worker
    ):
        # batch_size=1: joblib would otherwise hold back the results of a batch
        parallel = joblib.Parallel(n_workers, return_as="generator_unordered", batch_size=1)
    yield from parallel(calls)


def _prepare_worker() -> None:
    """Ignore Ctrl-C, and limit OpenCV to one thread, which joblib does not: there are others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"  # read when OpenCV is imported
