"""``train --processes N``: this very command again, N times side by side on this machine.

Does what ``torchrun --standalone --nproc-per-node N`` does, with its environment variables, and
keeps the terminal clean: the first process alone talks, unless another one fails by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import IO

LOOK_EVERY_S = 0.1
GRACE_S = 10.0
"""How long the others may take to end by themselves once one has failed."""


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `launch`, torchrun or ``accelerate launch`` has started this process."""
    return "WORLD_SIZE" in environment


def is_main(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is the one that talks: the first of those launched, or the only one."""
    return environment.get("RANK", "0") == "0"


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run ``milmer`` with these arguments in several processes.

    Parameters
    ----------
    processes
        How many: one a GPU, or a few on a CPU.
    arguments
        Of ``milmer``, without ``--processes``.

    Returns
    -------
    int
        Exit code of the first process; that of the first to fail where it did not.
    """
    command = [sys.executable, "-m", "milmer_cli", *arguments]
    common = {
        **os.environ,
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    common.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    with ExitStack() as stack:
        errors: list[IO[str] | None] = [None]
        errors += [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(processes - 1)]
        running = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdout=None if rank == 0 else subprocess.DEVNULL,
                    stderr=errors[rank],
                )
            )
            for rank in range(processes)
        ]
        codes = _wait(running)
        failed = next((rank for rank, code in enumerate(codes) if code), None)
        if failed is not None and codes[0] in (0, -signal.SIGTERM) and (log := errors[failed]):
            log.seek(0)
            sys.stderr.write(log.read())
    first = codes[0] or next((code for code in codes if code), 0)
    return 130 if first in (-signal.SIGINT, -signal.SIGTERM) else min(abs(first), 130)


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Wait for all; end the others when one has failed. A Ctrl-C has reached them too."""

    def pass_on(number: int, frame: object) -> None:
        for process in running:
            process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    failed_at: float | None = None
    try:
        while any(process.poll() is None for process in running):
            try:
                time.sleep(LOOK_EVERY_S)
            except KeyboardInterrupt:
                continue
            if failed_at is None and any(process.poll() for process in running):
                failed_at = time.monotonic()
            if failed_at is not None and time.monotonic() - failed_at > GRACE_S:
                for process in running:
                    process.kill()
    finally:
        signal.signal(signal.SIGTERM, before)
    return [process.returncode for process in running]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
