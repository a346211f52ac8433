"""Run all experiments of an evaluation, in sequence or in parallel, and reuse finished ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import joblib
import torch

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_checks import check_training_classes
from milmer_cli.device import Device
from milmer_cli.errors import MilmerError, shorten
from milmer_cli.evaluation.baselines import BASELINES, COMBINED
from milmer_cli.evaluation.experiment import Experiment, ExperimentResult
from milmer_cli.evaluation.features import SegmentFeatures
from milmer_cli.evaluation.fit_baseline import fit_features, fuse, predict_frequencies
from milmer_cli.evaluation.folds import EvaluationFold
from milmer_cli.evaluation.result_cache import load_result, result_path, save_result
from milmer_cli.evaluation.run_experiment import (
    backbone_key,
    prepare_face_tokens,
    run_experiment,
)
from milmer_cli.evaluation.usable_sets import check_usable_sets, usable_rows
from milmer_cli.parallel import run_parallel
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.baseline_names import is_encoder
from milmer_cli.settings.schema import RunSettings
from milmer_cli.training.fit_network import new_network

TASK, BASELINE_TASK = "evaluate", "baselines"


def run_experiments(
    experiments: Sequence[Experiment],
    labeled: LabeledSegments,
    features: SegmentFeatures,
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
    features
        Features for the baselines that classify them.
    out
        Folder of the evaluation. The result of each network, and of each classifier of features, is
        written as soon as it is known.
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
    check_usable_sets(experiments, labeled, progress)
    _check_external(experiments, labeled, features, out)
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
    return _run_baselines(experiments, labeled, features, out, progress)


def _check_external(
    experiments: Sequence[Experiment],
    labeled: LabeledSegments,
    features: SegmentFeatures,
    out: Path,
) -> None:
    """Build the networks and run the encoders that are not part of Milmer before any training.

    Errors in their names and weights then come first.
    """
    first = {experiment.spec.name: experiment for experiment in reversed(experiments)}
    for experiment in first.values():
        baseline = experiment.spec.baseline
        if baseline is None or load_result(experiment, labeled, out) is not None:
            continue
        if baseline.network:
            new_network(baseline.network, labeled, experiment.settings.seed)
        elif is_encoder(baseline.features):
            features.get(baseline.features, experiment.settings)


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


def _run_baselines(
    experiments: Sequence[Experiment],
    labeled: LabeledSegments,
    features: SegmentFeatures,
    out: Path,
    progress: Progress,
) -> list[ExperimentResult]:
    """Fit the baselines that train no network; the results of all networks are in ``out``."""
    progress.start(BASELINE_TASK, len(experiments), "fits")
    finished: dict[tuple[str, EvaluationFold], ExperimentResult] = {}
    for experiment in experiments:
        fold, method = experiment.fold, experiment.spec.method
        if method == "network":
            result = _load(experiment, labeled, out)
        elif method == "features":
            result = _classify_features(experiment, labeled, features, out)
        elif method == "fusion":
            eeg, face = (finished[BASELINES[name].title, fold] for name in COMBINED)
            result = fuse(experiment, labeled, eeg, face)
        else:
            result = predict_frequencies(experiment, labeled)
        finished[experiment.spec.name, fold] = result
        progress.advance(BASELINE_TASK)
    progress.done(BASELINE_TASK)
    return [finished[experiment.spec.name, experiment.fold] for experiment in experiments]


def _classify_features(
    experiment: Experiment, labeled: LabeledSegments, features: SegmentFeatures, out: Path
) -> ExperimentResult:
    """Fit a classifier of features, or load its result from ``out``."""
    if (finished := load_result(experiment, labeled, out)) is not None:
        return finished
    result = fit_features(experiment, labeled, features)
    save_result(experiment, labeled, out, result)
    return result
