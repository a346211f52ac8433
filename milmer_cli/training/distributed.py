"""Training with several processes: ``train --processes N``, torchrun and accelerate launch.

`launch_processes` starts the command N times on this machine with torch's elastic launcher, the
same that torchrun uses. Only the first process writes to the terminal, unless another one fails
by itself. Torch is imported in functions only, so that the command line starts without it.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from milmer_cli.process_end import child_environment
from milmer_cli.run_log import VARIABLE, command_line

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

SAVE_TIMEOUT_S = 600
"""Time that the processes may take to save a checkpoint after a signal, before they are killed."""

POLL_INTERVAL_S = 0.5
RELEASE_S = 0.2
INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started by `launch_processes`, torchrun or accelerate launch."""
    return "WORLD_SIZE" in environment


def is_main_process(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is the first of the launched processes, or the only process."""
    return environment.get("RANK", "0") == "0"


def join_processes(device: str) -> PartialState:
    """Connect the launched processes with each other until the program ends.

    Parameters
    ----------
    device
        Type of the device: ``cpu``, ``cuda`` or ``mps``.

    Returns
    -------
    PartialState
        Rank and number of the processes; without a launcher, of this process alone.
    """
    from accelerate import PartialState

    atexit.unregister(_leave_processes)
    atexit.register(_leave_processes)
    return PartialState(cpu=device == "cpu")


def _leave_processes() -> None:
    import torch.distributed

    if torch.distributed.is_initialized():
        # A thread of torch may still hold the tensors of the last communication. If it releases
        # them while the interpreter ends, Python below 3.14 aborts the process.
        time.sleep(RELEASE_S)
        torch.distributed.destroy_process_group()


def launch_processes(n_processes: int, arguments: Sequence[str]) -> int:
    """Run ``milmer`` in several processes on this machine.

    Parameters
    ----------
    n_processes
        Number of processes: one per GPU, or a few on a CPU.
    arguments
        Arguments of ``milmer``, without ``--processes``.

    Returns
    -------
    int
        Exit code of the first process if it failed, otherwise that of the process that failed;
        0 if none failed, 130 after a signal.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _set_environment(n_processes)
    with tempfile.TemporaryDirectory(prefix="milmer-") as logs, _quiet_launcher():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=n_processes,
            run_id=str(uuid.uuid4()),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            # without it the launcher looks up the host name, which many laptops cannot resolve
            local_addr="127.0.0.1",
            max_restarts=0,
            monitor_interval=POLL_INTERVAL_S,
            logs_specs=DefaultLogsSpecs(logs, dict.fromkeys(range(1, n_processes), Std.ALL)),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "milmer_cli", *arguments)
        except SignalException:
            return INTERRUPTED
        except ChildFailedError as error:
            return _report_failure(error.failures, Path(logs))
    return 0


def _set_environment(n_processes: int) -> None:
    """Set defaults of the environment that the processes inherit."""
    threads = max(1, (os.cpu_count() or 1) // n_processes)
    os.environ.update(child_environment())
    os.environ[VARIABLE] = command_line()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SAVE_TIMEOUT_S))
    if sys.platform == "win32":  # torch for Windows is built without libuv
        os.environ.setdefault("USE_LIBUV", "0")


@contextmanager
def _quiet_launcher() -> Iterator[None]:
    """Suppress the launcher's log messages, and restore the signal handlers that it replaces."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _report_failure(failures: Mapping[int, ProcessFailure], logs: Path) -> int:
    """Write the error message of a failed process, unless the first one wrote its own.

    Parameters
    ----------
    failures
        Failed processes by rank. When one process fails, the launcher terminates the others with
        SIGTERM, which gives them a negative exit code.
    logs
        Folder with the captured output of all processes except the first.
    """
    first = failures.get(0)
    if first is not None and first.exitcode > 0:
        return int(first.exitcode)
    cause = min(failures.values(), key=lambda failure: failure.timestamp)
    for log in logs.glob(f"**/{cause.local_rank}/stderr.log"):
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
    if cause.exitcode > 0:
        return int(cause.exitcode)
    if -cause.exitcode in (signal.SIGINT, signal.SIGTERM):
        return INTERRUPTED
    sys.stderr.write(f"Error: process {cause.local_rank} ended with {cause.signal_name()}.\n")
    return 1
