"""Run calls in several processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool

from milmer_cli.errors import MilmerError
from milmer_cli.process_end import ignore_stop_signals, watch_parent


def run_parallel(calls: Iterable[Any], n_workers: int, threads: int | None = None) -> Iterator[Any]:
    """Run calls in parallel and yield each result when it is available.

    Ctrl-C on a terminal, and SIGTERM of a cluster, reach all processes. The workers ignore them:
    the main process is interrupted and ends them.

    Parameters
    ----------
    calls
        Calls made by `joblib.delayed`. They start in this order.
    n_workers
        Number of processes; with 1 the calls run in this process.
    threads
        Threads of each process in numerical libraries; None for joblib's default.

    Raises
    ------
    MilmerError
        The system ended a worker.
    """
    with joblib.parallel_config(
        backend="loky",
        inner_max_num_threads=threads,
        initializer=_prepare_worker,
        initargs=(os.getpid(),),
    ):
        # batch_size=1: joblib would otherwise hold back the results of a batch
        parallel = joblib.Parallel(n_workers, return_as="generator_unordered", batch_size=1)
    try:
        yield from parallel(calls)
    except BrokenProcessPool as error:  # also TerminatedWorkerError, which has no public name
        raise MilmerError(
            f"The system ended one of {n_workers} worker processes, most likely because memory ran "
            "out.",
            "Run the same command again with fewer --workers, or with more memory; it resumes the "
            "work, and finished parts are kept.",
        ) from error


def _prepare_worker(parent: int) -> None:
    """Ignore stop signals, and limit OpenCV to one thread, which joblib does not: there are others.

    Parameters
    ----------
    parent
        Process identifier of the main process.
    """
    watch_parent(parent)
    ignore_stop_signals()
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"  # read when OpenCV is imported
