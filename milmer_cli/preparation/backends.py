"""Run jobs in processes of this machine (joblib) or on a Dask cluster."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import joblib
import torch

from milmer_cli.device import Device
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.faces.detector import uses_gpu
from milmer_cli.parallel import run_parallel
from milmer_cli.preparation.jobs import FacesJob, Job, JobResult
from milmer_cli.settings.schema import Settings

_CONNECT_TIMEOUT_S = 20
_RETRIES = 2


def job_groups(jobs: Sequence[Job], settings: Settings) -> list[tuple[list[Job], int]]:
    """Divide jobs into groups that run one after the other, each with its number of processes.

    If faces are detected on CUDA devices, they form a group of their own with one process per GPU,
    after the EEG with one process per core. Otherwise there is one group. ``run.workers``
    overrides both numbers.
    """
    groups = [(list(jobs), joblib.cpu_count())]
    if _detects_on_cuda(settings):
        eeg: list[Job] = [job for job in jobs if not isinstance(job, FacesJob)]
        faces: list[Job] = [job for job in jobs if isinstance(job, FacesJob)]
        groups = [(eeg, joblib.cpu_count()), (faces, torch.cuda.device_count())]
    return [
        (group, min(settings.run.workers or default, len(group)))
        for group, default in groups
        if group
    ]


def _detects_on_cuda(settings: Settings) -> bool:
    """Whether faces are detected on CUDA devices of this machine."""
    if settings.run.scheduler or not uses_gpu(settings.faces):
        return False
    return Device.from_settings(settings.run).type == "cuda"


def run_jobs(groups: Sequence[tuple[list[Job], int]], scheduler: str) -> Iterator[JobResult]:
    """Run jobs in parallel and yield each result when it is available.

    Parameters
    ----------
    groups
        From `job_groups`. Jobs start in this order.
    scheduler
        Address of a Dask scheduler whose workers have access to the same files; empty for
        processes of this machine.

    Raises
    ------
    InputError
        A job failed because of its input, or there is no scheduler at this address.
    """
    if scheduler:
        yield from _run_on_cluster([job for jobs, _ in groups for job in jobs], scheduler)
        return
    for jobs, n_workers in groups:
        yield from run_parallel((joblib.delayed(job)() for job in jobs), n_workers)


def _run_on_cluster(jobs: Sequence[Job], scheduler: str) -> Iterator[JobResult]:
    try:
        import distributed  # in the extra `cluster`
    except ImportError as error:
        raise InputError(
            "run.scheduler needs the package distributed, which is not installed.",
            "Run `pip install 'milmer-cli[cluster]'`.",
        ) from error
    with _connect(distributed, scheduler) as client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_TIMEOUT_S)
        except TimeoutError as error:
            raise InputError(
                f"The Dask scheduler at {scheduler} has no workers.",
                f"Start workers with `dask worker {scheduler}` where Milmer is installed.",
            ) from error
        # pure=False: a job is run for its side effect, so Dask must not reuse an earlier result
        futures = [client.submit(job, pure=False, retries=_RETRIES) for job in jobs]
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                yield _result_of(future)
        finally:
            client.cancel([future for future in futures if not future.done()])


def _connect(distributed: Any, scheduler: str) -> Any:
    """Connect to a Dask scheduler."""
    address = urlsplit(scheduler)
    try:
        # Try a plain connection first: without a scheduler, Client takes most of a minute to fail.
        host, port = address.hostname or "", address.port or 0
        socket.create_connection((host, port), _CONNECT_TIMEOUT_S).close()
        return distributed.Client(scheduler, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"There is no Dask scheduler at {scheduler}.",
            "Start one with `dask scheduler` and workers with `dask worker`, and use the address "
            "that it prints, as in tcp://host:8786.",
        ) from error


def _result_of(future: Any) -> JobResult:
    try:
        result: JobResult = future.result()
    except (MilmerError, KeyboardInterrupt):
        raise
    except Exception as error:  # Dask raises errors of many types for lost workers and tasks
        raise MilmerError(
            f"A job failed on the cluster: {type(error).__name__}: {error}",
            "See the log of the workers, and run the same command again to resume.",
        ) from error
    return result
