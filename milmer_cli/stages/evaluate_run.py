"""``milmer evaluate --run``: evaluate a trained run on its own test set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from milmer_cli.data.eeg_alignment import align_eeg
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.errors import InputError
from milmer_cli.evaluation.baselines import MAIN, ModelSpec
from milmer_cli.evaluation.fold_predictions import FoldPredictions, Predictions
from milmer_cli.evaluation.folds import evaluation_folds
from milmer_cli.evaluation.run_experiment import evaluate_model
from milmer_cli.evaluation.summary import summarize_evaluation
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.evaluation_output import write_evaluation
from milmer_cli.run_log import RunLog
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.evaluate import EvaluateResult, locked_evaluation, start_device
from milmer_cli.training.run_dir import Run


def evaluate_run(
    run_dir: Path | str,
    prepared: Path | str,
    out: Path | str,
    requested: Settings | None = None,
    progress: Progress = SILENT,
) -> EvaluateResult:
    """Evaluate a trained run on its own test set; no model is trained.

    Parameters
    ----------
    run_dir
        The run folder.
    prepared
        The prepared store that the run was trained on.
    out
        Folder of the evaluation.
    requested
        ``evaluate`` and ``run`` are used, by default those of `load_settings`; all other settings
        are those of the run.
    progress
        Receives the progress and notes.

    Raises
    ------
    InputError
        The run or the store cannot be used, or the run has no test set.
    """
    prepared, out, requested = Path(prepared), Path(out), requested or load_settings()
    with RunLog(progress) as log:
        return log.record(_evaluate_run(Path(run_dir), prepared, out, requested, log))


def _evaluate_run(
    run_dir: Path, prepared: Path, out: Path, requested: Settings, log: RunLog
) -> EvaluateResult:
    """Evaluate with a log; see `evaluate_run`."""
    device = start_device(requested)
    run = Run.open(run_dir)
    settings = _settings_of_run(run, requested)
    labeled = LabeledSegments.open(prepared, settings, log)
    split = run.splits(labeled)
    if not len(split.folds[0].test):
        raise InputError(
            f"{run.path} was trained without a test set.",
            "Train with train.test_fraction above 0, or evaluate by folds.",
        )
    (fold,) = evaluation_folds([split], labeled, "validation")
    labeled = align_eeg(labeled, fold.fold.train, settings.model)
    model, test = run.load_model(), fold.fold.test
    with locked_evaluation(out):
        log.open(out)
        model_result = evaluate_model(model, labeled, test, settings, device, log)
        spec = ModelSpec(MAIN, "network", settings)
        predictions: Predictions = {
            fold.protocol: {MAIN: FoldPredictions(spec, [fold], [model_result])}
        }
        result = summarize_evaluation(predictions, labeled, settings, device, run=run.path)
        provenance = {**result.provenance, "weights_sha256": run.bundle.weights_digest}
        result = replace(result, provenance=provenance)
        write_evaluation(out, result, predictions, [split], labeled)
    return EvaluateResult(out, result)


def _settings_of_run(run: Run, requested: Settings) -> Settings:
    """Combine the settings of the run with the requested ``evaluate`` and ``run`` settings."""
    single_fold = {
        "protocols": (run.settings.train.protocol,),
        "select_epoch_on": "validation",
        "per_participant": False,
        "seeds": 1,
        "ablate": (),
        "calibration_trials": (),
    }
    evaluation = requested.evaluate.model_copy(update=single_fold)
    return run.settings.model_copy(update={"evaluate": evaluation, "run": requested.run})
