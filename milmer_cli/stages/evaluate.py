"""``milmer evaluate``: from a prepared store to scores, predictions and a report page.

`evaluate_run` evaluates a trained run instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from milmer_cli.data.cross_dataset import CrossDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.named_splits import open_splits
from milmer_cli.data.split_file import ProtocolFolds
from milmer_cli.device import Device
from milmer_cli.errors import InputError
from milmer_cli.evaluation.adaptation import require_calibration_trials
from milmer_cli.evaluation.baselines import AvailableData, baselines_left_out, model_specs
from milmer_cli.evaluation.dry_run import EvaluationDryRunResult, evaluation_dry_run
from milmer_cli.evaluation.executor import run_experiments
from milmer_cli.evaluation.experiment import Experiment
from milmer_cli.evaluation.features import FeatureInput, SegmentFeatures
from milmer_cli.evaluation.fold_predictions import group_predictions
from milmer_cli.evaluation.folds import cross_dataset_splits, evaluation_folds, make_splits
from milmer_cli.evaluation.noise_floor import measure_noise_floor
from milmer_cli.evaluation.results import EvaluationResult
from milmer_cli.evaluation.summary import summarize_evaluation
from milmer_cli.folder_lock import FolderLock
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.evaluation_output import METRICS, PAGE, PREDICTIONS, write_evaluation
from milmer_cli.run_log import RunLog
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stage_result import StageResult
from milmer_cli.training.fit_fold import note_face_input
from milmer_cli.training.run_dir import with_store_settings


@dataclass(frozen=True, repr=False)
class EvaluateResult(StageResult):
    """Result of ``milmer evaluate``.

    Attributes
    ----------
    out
        Folder of the evaluation.
    evaluation
        Results under all protocols.
    """

    format_name: ClassVar[str] = "evaluation"

    out: Path
    evaluation: EvaluationResult

    @property
    def headline(self) -> str:
        """Accuracy under the main protocol in one line."""
        return self.evaluation.headlines[0]

    def to_json(self) -> dict[str, Any]:
        """Values for ``--json``: the folder and the contents of metrics.json."""
        return {"out": str(self.out), **self.evaluation.to_json()}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value for the console."""
        main = self.evaluation.main
        scores, splits = main.scores, self.evaluation.provenance.get("splits")
        seeds = f" ({scores.n_repeats} seeds)" if scores.n_repeats > 1 else ""
        return [
            ("result", self.headline),
            *(("other protocol", line) for line in self.evaluation.headlines[1:]),
            (
                "test set",
                f"{scores.n_trials} trials, {scores.n_segments} segments{seeds}, "
                f"{scores.n_participants} participants",
            ),
            *(
                [("stores", f"trained on {stores['train_on']}, tested on {stores['test_on']}")]
                if (stores := self.evaluation.provenance.get("cross_dataset"))
                else []
            ),
            *([("splits", f"{splits['name']} (SHA-256 {splits['sha256']})")] if splits else []),
            *(("comparison", comparison.sentence) for comparison in main.comparisons),
            *(
                ("calibration trials", f"{protocol.label} protocol: {protocol.adaptation.sentence}")
                for protocol in self.evaluation.protocols
                if protocol.adaptation
            ),
            ("conclusion", main.conclusion[1]),
            ("verdict", self.evaluation.verdict),
            *(("noise floor", floor.sentence) for floor in [self.evaluation.noise_floor] if floor),
            ("predictions", str(self.out / PREDICTIONS)),
            ("metrics", str(self.out / METRICS)),
            ("report", str(self.out / PAGE)),
        ]


def evaluate(
    prepared: Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    splits: Path | str | None = None,
    test_on: Path | str | None = None,
    progress: Progress = SILENT,
) -> EvaluateResult:
    """Cross-validate a model, its baselines and its ablations, or test them on another data set.

    Parameters
    ----------
    prepared
        The prepared store.
    out
        Folder of the evaluation. Finished trainings in it are reused if everything that determines
        their result is unchanged; all other files are written again.
    settings
        All settings, by default those of `load_settings`. ``eeg`` and ``faces`` must not differ
        from those of the store.
    splits
        A splits.json of an evaluation or a run, or the name of a split of DEAP
        (`data.named_splits`), instead of ``evaluate.protocols``, ``folds`` and ``seeds``.
    test_on
        Another prepared store. Models are then trained on all of ``prepared`` and tested on all of
        this store, instead of ``splits`` and ``evaluate.protocols`` and ``folds``.
    progress
        Receives the progress and notes.

    Raises
    ------
    InputError
        The store or the splits cannot be used, or there are fewer groups than folds.
    MilmerError
        A training failed; finished trainings are kept.
    """
    prepared, out, settings = Path(prepared), Path(out), settings or load_settings()
    device = start_device(settings)
    with locked_evaluation(out), RunLog(progress) as log:
        return log.record(_evaluate(prepared, out, settings, splits, test_on, device, log))


def locked_evaluation(out: Path) -> FolderLock:
    """Return the lock of the folder of an evaluation."""
    return FolderLock(out, f"The evaluation in {out} is being written")


def evaluate_dry_run(
    prepared: Path,
    out: Path,
    settings: Settings,
    *,
    splits: Path | str | None = None,
    test_on: Path | str | None = None,
    progress: Progress = SILENT,
) -> EvaluationDryRunResult:
    """Check everything that `evaluate` checks, estimate its cost, and write nothing.

    Parameters and errors are those of `evaluate`.
    """
    device = start_device(settings)
    plan = _plan(prepared, settings, splits, test_on, progress)
    if settings.evaluate.noise_floor:
        progress.note("evaluate.noise_floor adds a training to those that are counted.")
    return evaluation_dry_run(plan.experiments, plan.labeled, out, device, progress)


@dataclass(frozen=True)
class _Plan:
    """What is evaluated."""

    labeled: LabeledSegments
    settings: Settings
    splits: Sequence[ProtocolFolds]
    experiments: Sequence[Experiment]
    reads_eeg: bool
    left_out: Mapping[str, str]
    given_splits: Mapping[str, str] | None
    cross_dataset: Mapping[str, str] | None


def _plan(
    prepared: Path,
    settings: Settings,
    splits: Path | str | None,
    test_on: Path | str | None,
    progress: Progress,
) -> _Plan:
    """Open the store or stores, and list the experiments."""
    crossed = None if test_on is None else _open_stores(prepared, Path(test_on), settings, progress)
    labeled = crossed.labeled if crossed else LabeledSegments.open(prepared, settings, progress)
    settings = with_store_settings(settings, labeled.store)
    options, fraction = settings.evaluate, settings.train.validation_fraction
    given_splits: Mapping[str, str] | None = None
    if crossed is not None:
        used_splits = cross_dataset_splits(crossed, options, fraction, settings.seed)
    elif splits:
        used_splits, given_splits = open_splits(splits, labeled, settings.seed)
    else:
        used_splits = make_splits(labeled, options, fraction, settings.seed, progress)
    require_calibration_trials(labeled, used_splits, options.calibration_trials)
    folds = evaluation_folds(used_splits, labeled, options.select_epoch_on)
    data = _available_data(labeled)
    specs, left_out = model_specs(settings, data), baselines_left_out(settings, data)
    if left_out:
        reasons = "; ".join(f"{title} {reason}" for title, reason in left_out.items())
        progress.note(f"Baselines that are left out: {reasons}.", "info")
    note_face_input(settings, labeled.store, progress)
    experiments = [Experiment(spec, fold) for fold in folds for spec in specs]
    reads_eeg = data.has_eeg and settings.model.modalities != "face"
    stores = {"train_on": str(prepared), "test_on": str(test_on)} if crossed else None
    return _Plan(
        labeled, settings, used_splits, experiments, reads_eeg, left_out, given_splits, stores
    )


def _open_stores(
    prepared: Path, test_on: Path, settings: Settings, progress: Progress
) -> CrossDataset:
    """Open the stores of a cross-dataset evaluation."""
    crossed = CrossDataset.open(prepared, test_on, settings, progress)
    progress.note(
        f"Cross-dataset: trained on {prepared} ({crossed.train_store}), tested on {test_on} "
        f"({crossed.test_store})."
    )
    return crossed


def _evaluate(
    prepared: Path,
    out: Path,
    settings: Settings,
    splits: Path | str | None,
    test_on: Path | str | None,
    device: Device,
    log: RunLog,
) -> EvaluateResult:
    """Evaluate in a locked folder; see `evaluate`."""
    plan = _plan(prepared, settings, splits, test_on, log)
    labeled, settings, experiments = plan.labeled, plan.settings, plan.experiments
    log.open(out)
    features = SegmentFeatures(FeatureInput(labeled, settings, device, out, log))
    power = features.get("band power").values if plan.reads_eeg else None
    results = run_experiments(experiments, labeled, features, out, settings.run, device, log)
    predictions = group_predictions(experiments, results)
    result = summarize_evaluation(predictions, labeled, settings, device, power)
    result = replace(result, left_out=plan.left_out)
    provenance = {**result.provenance, "splits": plan.given_splits}
    if plan.cross_dataset:
        provenance["cross_dataset"] = plan.cross_dataset
        result = replace(result, title=" to ".join(map(str, plan.cross_dataset.values())))
    result = replace(result, provenance=provenance)
    if settings.evaluate.noise_floor:
        floor = measure_noise_floor(experiments[0], results[0], labeled, out, device, log)
        result = replace(result, noise_floor=floor)
    write_evaluation(out, result, predictions, plan.splits, labeled)
    return EvaluateResult(out, result)


def _available_data(labeled: LabeledSegments) -> AvailableData:
    used, segments = labeled.labels != EXCLUDED, labeled.segments
    channels = (labeled.store.participant(str(n)).channels for n in np.unique(segments.participant))
    return AvailableData(
        has_eeg=bool(segments.eeg_found[used].any()),
        has_faces=bool((segments.faces_found[used] > 0).any()),
        channels=max(channels, key=len),  # a participant without EEG has none
    )


def start_device(settings: Settings) -> Device:
    """Select and configure the device; an evaluation cannot run under a distributed launcher."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "milmer evaluate runs as one process and cannot be started by a distributed launcher.",
            "Call it without a launcher; --workers trains several folds at once.",
        )
    device = Device.from_settings(settings.run)
    device.configure_torch()
    return device
