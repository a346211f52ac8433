"""Train a Milmer model on a prepared store, and score it once on a held-out test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milmer_cli.bundle.model_names import MODEL
from milmer_cli.data.eeg_alignment import align_eeg
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_checks import check_fold, check_training_classes, require_protocol
from milmer_cli.data.split_file import ProtocolFolds, save_splits
from milmer_cli.data.splits import Fold, holdout
from milmer_cli.device import Device
from milmer_cli.formats import write_document
from milmer_cli.io import atomic_write
from milmer_cli.metrics.calibration import read_reliability
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.plots import evaluation as figures
from milmer_cli.reports.plots.calibration import plot_reliability_diagram
from milmer_cli.reports.plots.style import save_figure
from milmer_cli.run_log import RunLog
from milmer_cli.settings import Settings, dump_yaml, load_settings
from milmer_cli.training import run_dir
from milmer_cli.training.begin_run import DESCRIPTIONS, begin_run, check_run, require_kept
from milmer_cli.training.distributed import join_processes
from milmer_cli.training.dry_run import DryRunResult, dry_run
from milmer_cli.training.evaluate_fold import evaluate_fold, majority_rate
from milmer_cli.training.fit_fold import fit_fold, new_model, note_face_input
from milmer_cli.training.result import METRICS_KEYS, TrainResult, train_metrics
from milmer_cli.training.sources import used_trials
from milmer_cli.training.training_args import TrainingLog


def train(
    prepared: Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    restart: bool = False,
    progress: Progress = SILENT,
) -> TrainResult:
    """Train a Milmer model and score it once on the test set.

    Parameters
    ----------
    prepared
        The prepared store.
    out
        The run folder. If it already contains this run, finished, the run is returned unchanged;
        unfinished, it is resumed.
    settings
        All settings, by default those of `load_settings`. ``eeg`` and ``faces`` must not differ
        from those of the store.
    restart
        Remove a run in ``out``, and start again.
    progress
        Progress display and messages.

    Raises
    ------
    InputError
        The store cannot be used, or ``out`` contains something else.
    MilmerError
        The training failed; checkpoints are kept.
    """
    prepared, out, settings = Path(prepared), Path(out), settings or load_settings()
    device = Device.from_settings(settings.run)
    device.configure_torch()
    processes = join_processes(device.type)
    progress = progress if processes.is_main_process else SILENT
    with run_dir.locked_run(out), RunLog(progress) as log:
        return log.record(_train(prepared, out, settings, restart, device, log))


def _train(
    prepared: Path, out: Path, settings: Settings, restart: bool, device: Device, log: RunLog
) -> TrainResult:
    """Train in a locked run folder; see `train`."""
    processes = join_processes(device.type)
    plan = _plan(prepared, settings, log)
    labeled, resolved, fold = plan.labeled, plan.settings, plan.fold
    if restart:  # nothing is removed for a training that cannot start
        require_kept(resolved.model.backbone, out)
        new_model(labeled, resolved, device)
    if begin_run(out, plan.identity, run_dir.FILES, restart, log):
        metrics, device_name = run_dir.read_result(out, TrainResult.format_name, METRICS_KEYS)
        return TrainResult(out, device_name, metrics)
    if processes.is_main_process:
        log.open(out)
    protocol = resolved.train.protocol
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in fold.sets())
    log.note(f"Training on {device.describe()}: {sizes} segments ({protocol} protocol).")
    note_face_input(resolved, labeled.store, log)
    labeled = align_eeg(labeled, fold.train, resolved.model)
    model, history = fit_fold(labeled, fold, resolved, device, out, TrainingLog(log))
    # predict with the micro-batch size that fitted into memory
    fitting = resolved.with_micro_batch_size(history.micro_batch_size)
    result = evaluate_fold(model, labeled, fold, fitting, device, log)
    metrics = train_metrics(labeled, fold, protocol, history, result)
    if processes.is_main_process:
        run_dir.save_bundle(
            out / MODEL,
            model,
            run_dir.bundle_document(labeled, fold, resolved),
            metrics,
            used_trials(labeled, fold),
            _calibration_figure(metrics),
        )
        atomic_write(out / run_dir.REQUESTED_SETTINGS, dump_yaml(settings, exclude_unset=True))
        atomic_write(out / run_dir.SETTINGS, dump_yaml(resolved))
        splits = [ProtocolFolds(protocol, resolved.seed, (fold,))]
        save_splits(out / run_dir.SPLITS, splits, labeled)
        history.write_csv(out / run_dir.HISTORY)
        majority = majority_rate(labeled, fold)
        figures.plot_learning_curve(history, out / run_dir.CURVE, protocol, majority)
        write_document(out / run_dir.METRICS, TrainResult.format_name, metrics)
        run_dir.finish_run(
            out,
            plan.identity,
            resolved.seed,
            device,
            store=run_dir.describe_store(labeled.store, labeled.segments),
            **log.facts(),
        )
    processes.wait_for_everyone()
    return TrainResult(out, device.describe(), metrics)


def _calibration_figure(metrics: Mapping[str, Any]) -> Callable[[Path], None] | None:
    """Return the function that draws the reliability diagram; None without a test set."""
    pair = read_reliability(metrics["calibration"])
    if pair is None:
        return None
    return lambda path: save_figure(plot_reliability_diagram(*pair), path)


def train_dry_run(
    prepared: Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    restart: bool = False,
    progress: Progress = SILENT,
) -> DryRunResult:
    """Check everything that `train` checks, measure a few steps, and write nothing.

    Parameters and errors are those of `train`.
    """
    settings = settings or load_settings()
    device = Device.from_settings(settings.run)
    device.configure_torch()
    plan = _plan(Path(prepared), settings, progress)
    out = Path(out)
    if restart:
        require_kept(plan.settings.model.backbone, out)
    progress.note(f"{out}: {DESCRIPTIONS[check_run(out, plan.identity, restart)]}")
    note_face_input(plan.settings, plan.labeled.store, progress)
    check_training_classes(plan.fold, plan.labeled, progress)
    return dry_run(plan.labeled, plan.fold, plan.settings, device)


@dataclass(frozen=True)
class _Plan:
    """What is trained: segments, resolved settings, split, and the identity of the run."""

    labeled: LabeledSegments
    settings: Settings
    fold: Fold
    identity: Mapping[str, Any]


def _plan(prepared: Path, settings: Settings, progress: Progress) -> _Plan:
    labeled = LabeledSegments.open(prepared, settings, progress)
    resolved = run_dir.with_store_settings(settings, labeled.store)
    fold = _split(labeled, resolved)
    return _Plan(labeled, resolved, fold, run_dir.train_identity(resolved, labeled.store))


def _split(labeled: LabeledSegments, settings: Settings) -> Fold:
    train = settings.train
    require_protocol(labeled, train.protocol)
    fold = holdout(
        labeled, train.protocol, train.test_fraction, train.validation_fraction, settings.seed
    )
    if len(fold.test):
        check_fold(fold, labeled, train.protocol)
    return fold
