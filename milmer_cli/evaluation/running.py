"""All jobs of an evaluation: what is there already is left alone, the rest runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import torch

from milmer_cli.compute import Compute
from milmer_cli.errors import MilmerError
from milmer_cli.evaluation.bandpower import lda
from milmer_cli.evaluation.rivals import MAIN
from milmer_cli.evaluation.work import (
    Job,
    Outcome,
    file_of,
    identity,
    load,
    make_tokens,
    save,
    token_key,
    train_and_test,
    visible,
)
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import RunSettings
from milmer_cli.training.material import Material, check_classes

TASK = "evaluate"


def run_jobs(
    jobs: Sequence[Job],
    material: Material,
    power: np.ndarray | None,
    out: Path,
    run: RunSettings,
    compute: Compute,
    progress: Progress = SILENT,
) -> list[Outcome]:
    """Do jobs, or read what an earlier call left of them in ``out``.

    Parameters
    ----------
    jobs
        Whose outcomes are wanted.
    material
        What they are trained and tested on.
    power
        Band power of every segment; needed by jobs of kind ``lda``.
    out
        Folder of the evaluation; networks leave their outcome in ``folds/`` as soon as they have
        it.
    run
        ``workers`` above 1 trains as many networks at a time, each in its own process.
    compute
        Where to.
    progress
        Advanced by jobs.

    Returns
    -------
    list of Outcome
        In the order of the jobs.

    Raises
    ------
    MilmerError
        A training failed. What is finished is kept.
    """
    files = {
        place: file_of(job, material, out)
        for place, job in enumerate(jobs)
        if job.rival.kind == "network"
    }
    outcomes: dict[int, Outcome] = {}
    for place, path in files.items():
        if (kept := load(path, identity(jobs[place], material))) is not None:
            outcomes[place] = kept
    if outcomes:
        progress.note(
            f"{len(outcomes)} of {len(files)} trainings are there from an earlier call and are "
            "not done again."
        )
    waiting = [place for place in files if place not in outcomes]
    progress.start(TASK, len(waiting), "trainings")
    try:
        if run.workers > 1 and len(waiting) > 1:
            _side_by_side([jobs[p] for p in waiting], material, out, run, compute, progress)
        else:
            for place in waiting:
                _do(jobs[place], material, out, compute, progress)
                progress.advance(TASK)
    except KeyboardInterrupt:
        progress.note("Stopped. What is finished is kept: the same command goes on there.")
        raise
    progress.done(TASK)
    for place, job in enumerate(jobs):
        if place in waiting:
            done = load(files[place], identity(job, material))
            if done is None:
                raise MilmerError(
                    f"{files[place]} is not what was just written there.", "Check the disk."
                )
            outcomes[place] = done
        elif job.rival.kind != "network":
            outcomes[place] = _without_network(job, material, power)
    return [outcomes[place] for place in range(len(jobs))]


def _do(
    job: Job,
    material: Material,
    out: Path,
    compute: Compute,
    progress: Progress,
) -> None:
    outcome = train_and_test(job, material, out, compute, progress)
    save(file_of(job, material, out), identity(job, material), outcome)


def _side_by_side(
    jobs: list[Job],
    material: Material,
    out: Path,
    run: RunSettings,
    compute: Compute,
    progress: Progress,
) -> None:
    for one in {token_key(job): job for job in jobs}.values():
        make_tokens(one, material, out, compute, progress)
    for job in (one for one in jobs if one.rival.name == MAIN):
        check_classes(visible(job.round.fold, material, job.settings), material.labels,
                      material.names, progress)  # fmt: skip
    workers = min(run.workers, len(jobs))
    threads = max(1, torch.get_num_threads() // workers)
    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
        for _ in parallel(
            joblib.delayed(_in_worker)(job, material, out, run, threads) for job in jobs
        ):
            progress.advance(TASK)


def _in_worker(job: Job, material: Material, out: Path, run: RunSettings, threads: int) -> None:
    torch.set_num_threads(threads)
    compute = Compute.choose(run)
    compute.activate()
    _do(job, material, out, compute, SILENT)


def _without_network(job: Job, material: Material, power: np.ndarray | None) -> Outcome:
    fold, labels, n_classes = job.round.fold, material.labels, len(material.names)
    if job.rival.kind == "lda" and power is not None:
        rows = fold.train
        if not np.array_equal(fold.validation, fold.test):
            rows = np.sort(np.concatenate([rows, fold.validation]))  # there is no epoch to choose
        return Outcome(lda(power, labels, rows, fold.test, n_classes))
    shares = np.bincount(labels[fold.train], minlength=n_classes) / len(fold.train)
    return Outcome(np.tile(shares, (len(fold.test), 1)))
