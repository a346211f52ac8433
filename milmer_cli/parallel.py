"""Run calls in several processes of this machine, or in one that may crash."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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
    # here: joblib is slow to import, and isolated processes do not need it
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool

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


FAILED = 3
"""Exit status of an isolated process that wrote the reason of its failure to stderr."""


class IsolatedError(Exception):
    """An isolated process failed, crashed, or exceeded its limits; the text is the reason."""


def run_isolated(
    function: str, arguments: Sequence[str], memory_bytes: int, timeout_s: float
) -> bytes:
    """Run a function in a process of its own, and return what it writes to stdout.

    For libraries that crash or allocate without limit when they read a damaged file.

    Parameters
    ----------
    function
        Module and name, as in ``package.module:function``. It is called without arguments after
        the memory of the process was limited. It reads ``sys.argv``, and reports a failure by
        writing one line to stderr and exiting with `FAILED`.
    arguments
        ``sys.argv[1:]`` of the process.
    memory_bytes
        Limit of the address space, where the system has such a limit (not on Windows).
    timeout_s
        Limit of the run time.

    Raises
    ------
    IsolatedError
        The function failed; the process crashed or ran out of memory or time.
    """
    module, _, name = function.partition(":")
    code = (
        f"from milmer_cli.parallel import limit_memory; limit_memory({memory_bytes}); "
        f"from {module} import {name}; {name}()"
    )
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | threads | paths,
    ) as process:
        try:
            output, messages = process.communicate(timeout=timeout_s)
        except BaseException as error:
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise IsolatedError(f"reading it takes longer than {timeout_s:.0f} s") from error
            raise
    if process.returncode:
        raise IsolatedError(_failure(process.returncode, messages.decode("utf-8", "replace")))
    return output


def limit_memory(n_bytes: int) -> None:
    """Limit the address space of this process; Windows has no such limit."""
    if sys.platform == "win32":
        return
    import resource  # does not exist on Windows

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _failure(status: int, messages: str) -> str:
    """Return why a process ended."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    if status == FAILED and lines:
        return lines[-1]
    if "MemoryError" in messages:
        return "it needs more memory than a file of its size can contain"
    name = str(-status)
    with contextlib.suppress(ValueError):
        name = signal.Signals(-status).name
    return f"it is damaged, so that the process that read it crashed ({name})"
