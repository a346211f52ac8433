"""Run all experiments of an evaluation, in sequence or in parallel, and reuse finished ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import torch

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_checks import check_training_classes
from milmer_cli.device import Device
from milmer_cli.errors import MilmerError
from milmer_cli.evaluation.band_power import predict_lda
from milmer_cli.evaluation.experiment import (
    Experiment,
    ExperimentResult,
    backbone_key,
    prepare_face_tokens,
    run_experiment,
    usable_rows,
)
from milmer_cli.evaluation.result_cache import load_result, result_path, save_result
from milmer_cli.io import shorten
from milmer_cli.parallel import run_parallel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import RunSettings
from milmer_cli.training.fit_network import new_network

TASK = "evaluate"


def run_experiments(
    experiments: Sequence[Experiment],
    labeled: LabeledSegments,
    power: np.ndarray | None,
    out: Path,
    run: RunSettings,
    device: Device,
    progress: Progress = SILENT,
) -> list[ExperimentResult]:
    """Run experiments, except those whose result is already in ``out``.

    Parameters
    ----------
    experiments
        Experiments of all models and folds.
    labeled
        The segments.
    power
        (n_segments, n_features) band power; required by experiments with the method ``lda``.
    out
        Folder of the evaluation. The result of each network is written as soon as it is known.
    run
        With ``workers`` above 1, that many networks are trained at once, each in its own process.
    device
        Device and precision.
    progress
        Advanced by one per training.

    Returns
    -------
    list of ExperimentResult
        In the order of the experiments.

    Raises
    ------
    MilmerError
        A training failed. Finished results are kept.
    """
    networks = [e for e in experiments if e.spec.method == "network"]
    pending = [e for e in networks if load_result(e, labeled, out) is None]
    for source, experiment in {e.spec.source: e for e in pending if e.spec.source}.items():
        new_network(source, labeled, experiment.settings.seed)  # errors come before any training
    progress.note(_describe(experiments, len(networks), device))
    damaged = [e.name for e in pending if result_path(e, labeled, out).exists()]
    if damaged:
        progress.note(
            f"The results of {shorten(damaged)} in {out} are damaged and are computed again.",
            "warning",
        )
    if len(pending) < len(networks):
        progress.note(
            f"{len(networks) - len(pending)} of {len(networks)} trainings are already finished in "
            f"{out} and are reused."
        )
    progress.start(TASK, len(pending), "trainings")
    if run.workers > 1 and len(pending) > 1:
        _run_parallel(pending, labeled, out, run, device, progress)
    else:
        for experiment in pending:
            result = run_experiment(experiment, labeled, out, device, progress)
            save_result(experiment, labeled, out, result)
            progress.advance(TASK)
    progress.done(TASK)
    return [
        _load(experiment, labeled, out)
        if experiment.spec.method == "network"
        else _fit_baseline(experiment, labeled, power)
        for experiment in experiments
    ]


def _describe(experiments: Sequence[Experiment], n_trainings: int, device: Device) -> str:
    folds = dict.fromkeys(experiment.fold for experiment in experiments)
    models = dict.fromkeys(experiment.spec.name for experiment in experiments)
    protocols = ", ".join(dict.fromkeys(fold.protocol for fold in folds))
    return (
        f"{len(models)} model{'s' if len(models) > 1 else ''} in {len(folds)} folds ({protocols}): "
        f"{n_trainings} trainings on {device.describe()}."
    )


def _load(experiment: Experiment, labeled: LabeledSegments, out: Path) -> ExperimentResult:
    result = load_result(experiment, labeled, out)
    if result is None:
        raise MilmerError(
            f"{result_path(experiment, labeled, out)} is damaged or was removed.",
            "Check the disk and run the same command again.",
        )
    return result


def _run_parallel(
    experiments: Sequence[Experiment],
    labeled: LabeledSegments,
    out: Path,
    run: RunSettings,
    device: Device,
    progress: Progress,
) -> None:
    # Compute shared face tokens once and report missing classes here: workers have no progress.
    for experiment in {backbone_key(e): e for e in experiments}.values():
        prepare_face_tokens(experiment, labeled, out, device, progress)
    for experiment in experiments:
        if experiment.spec.is_main:
            modalities = experiment.settings.model.modalities
            usable = usable_rows(experiment.fold.fold, labeled, modalities)
            check_training_classes(usable, labeled, progress)
    workers = min(run.workers, len(experiments))
    threads = max(1, torch.get_num_threads() // workers)
    calls = (
        joblib.delayed(_run_in_worker)(experiment, labeled, out, run, threads)
        for experiment in experiments
    )
    for _ in run_parallel(calls, workers, threads):
        progress.advance(TASK)


def _run_in_worker(
    experiment: Experiment, labeled: LabeledSegments, out: Path, run: RunSettings, threads: int
) -> None:
    torch.set_num_threads(threads)
    device = Device.from_settings(run)
    device.configure_torch()
    save_result(experiment, labeled, out, run_experiment(experiment, labeled, out, device))


def _fit_baseline(
    experiment: Experiment, labeled: LabeledSegments, power: np.ndarray | None
) -> ExperimentResult:
    """Fit a baseline without epochs; LDA therefore uses the validation set for training, too."""
    fold, labels, n_classes = experiment.fold.fold, labeled.labels, len(labeled.class_names)
    if experiment.spec.method == "lda" and power is not None:
        rows = fold.train
        if not experiment.fold.epoch_selected_on_test:
            rows = np.sort(np.concatenate([rows, fold.validation]))
        return ExperimentResult(predict_lda(power, labels, rows, fold.test, n_classes))
    frequencies = np.bincount(labels[fold.train], minlength=n_classes) / len(fold.train)
    return ExperimentResult(np.tile(frequencies, (len(fold.test), 1)))
