"""The torch device of a worker process. With several GPUs, every process claims one of them."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from milmer_cli.device import Device
from milmer_cli.settings.schema import RunSettings

_claims: list[FileLock] = []
"""Locks that this process holds until it ends."""


@functools.cache
def worker_device(run: RunSettings) -> str:
    """Return the torch device of this process, for example ``cuda:1``.

    Parameters
    ----------
    run
        ``device`` is resolved on the machine of the worker, which can be another one than that of
        the main process.

    Raises
    ------
    InputError
        This machine does not have the requested device.
    """
    device_type = Device.from_settings(run).type
    if device_type != "cuda":
        return device_type
    n_gpus = torch.cuda.device_count()
    return f"cuda:{_claim_gpu(n_gpus)}" if n_gpus > 1 else device_type


def _claim_gpu(n_gpus: int) -> int:
    """Return the index of a GPU that no other worker of this machine uses.

    A claim is a file lock, which the operating system releases when the process ends. If there are
    more processes than GPUs, the rest is distributed by process id.
    """
    for index in range(n_gpus):
        lock = FileLock(Path(tempfile.gettempdir()) / f"milmer-gpu-{index}.lock")
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):  # in use, or the lock file belongs to another user
            continue
        _claims.append(lock)
        return index
    return os.getpid() % n_gpus
