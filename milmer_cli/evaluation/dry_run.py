"""``evaluate --dry-run``: the trainings of an evaluation, their time and their disk space."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.data.feature_cache import token_folder
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_checks import check_training_classes
from milmer_cli.device import Device
from milmer_cli.evaluation.experiment import Experiment
from milmer_cli.evaluation.result_cache import load_result
from milmer_cli.evaluation.run_experiment import backbone_key
from milmer_cli.evaluation.usable_sets import check_usable_sets, usable_rows
from milmer_cli.progress import SILENT, Progress
from milmer_cli.stage_result import StageResult
from milmer_cli.training.dry_run import (
    DryRunResult,
    count_steps,
    describe_duration,
    describe_tokens,
    dry_run,
)


@dataclass(frozen=True, repr=False)
class EvaluationDryRunResult(StageResult):
    """The size and cost of an evaluation that was not run.

    Attributes
    ----------
    device
        Description of the device and the precision.
    folds
        Protocol -> number of folds, over all seeds.
    models
        Names of the compared models.
    n_trainings
        Number of networks to train; baselines without training are not counted.
    n_finished
        Further trainings that are finished in the output folder and would be reused.
    step_s
        Model -> median duration of a step, in seconds.
    training_s
        Model -> duration of the steps of all its trainings, in seconds; one after another, without
        validation, test and face tokens.
    face_tokens_s, face_tokens_bytes
        Time to compute the face tokens of all frozen backbones, in seconds, and their size on the
        disk; less if tokens of an earlier command are there.
    free_bytes
        Free space on the disk of the face tokens.
    """

    format_name: ClassVar[str] = "evaluate-dry-run"

    device: str
    folds: Mapping[str, int]
    models: Sequence[str]
    n_trainings: int
    n_finished: int
    step_s: Mapping[str, float]
    training_s: Mapping[str, float]
    face_tokens_s: float
    face_tokens_bytes: int
    free_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return asdict(self) | {"total_s": self.total_s}

    @property
    def total_s(self) -> float:
        """Duration of all trainings and face tokens, in seconds."""
        return sum(self.training_s.values()) + self.face_tokens_s

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value for the terminal."""
        folds = ", ".join(f"{count} {protocol}" for protocol, count in self.folds.items())
        finished = f", {self.n_finished} are finished and reused" if self.n_finished else ""
        rows = [
            ("device", self.device),
            ("folds", folds),
            ("models", ", ".join(self.models)),
            ("trainings", f"{self.n_trainings}{finished}"),
        ]
        rows += [
            (f"time: {name}", f"{describe_duration(s)}, with {self.step_s[name]:.2f} s a step")
            for name, s in self.training_s.items()
        ]
        if self.face_tokens_s:
            tokens = describe_tokens(self.face_tokens_s, self.face_tokens_bytes)
            rows.append(("face tokens", f"{tokens} with {self.free_bytes / 1e9:.0f} GB free"))
        total = f"about {describe_duration(self.total_s)}, without validation and test"
        return [*rows, ("total time", total)]


def evaluation_dry_run(
    experiments: Sequence[Experiment],
    labeled: LabeledSegments,
    out: Path,
    device: Device,
    progress: Progress = SILENT,
) -> EvaluationDryRunResult:
    """Check the trainings of an evaluation, measure a few steps of each model, and write nothing.

    Parameters
    ----------
    experiments
        Experiments of all models and folds.
    labeled
        The segments.
    out
        Folder of the evaluation, in which finished trainings are counted.
    device
        Device and precision.
    progress
        Advanced by models.

    Raises
    ------
    MilmerError
        A training could not run.
    """
    networks = [e for e in experiments if e.spec.method == "network"]
    pending = [e for e in networks if load_result(e, labeled, out) is None]
    check_usable_sets(experiments, labeled, progress)
    measured = _measure(pending, labeled, device, progress)
    training_s = dict.fromkeys(measured, 0.0)
    for experiment in pending:
        name, learning = experiment.spec.name, experiment.settings.train
        rows = usable_rows(experiment.fold.fold, labeled, experiment.settings.model.modalities)
        training_s[name] += count_steps(len(rows.train), learning) * measured[name].step_s
    of_backbone = {backbone_key(e): measured[e.spec.name] for e in pending}.values()
    folds = dict.fromkeys(experiment.fold for experiment in experiments)
    return EvaluationDryRunResult(
        device=device.describe(),
        folds={
            protocol: sum(fold.protocol == protocol for fold in folds)
            for protocol in dict.fromkeys(fold.protocol for fold in folds)
        },
        models=list(dict.fromkeys(experiment.spec.name for experiment in experiments)),
        n_trainings=len(pending),
        n_finished=len(networks) - len(pending),
        step_s={name: result.step_s for name, result in measured.items()},
        training_s=training_s,
        face_tokens_s=sum(result.face_tokens_s for result in of_backbone),
        face_tokens_bytes=sum(result.face_tokens_bytes for result in of_backbone),
        free_bytes=_free_bytes(token_folder(labeled.store.folder, out)),
    )


def _measure(
    pending: Sequence[Experiment], labeled: LabeledSegments, device: Device, progress: Progress
) -> dict[str, DryRunResult]:
    """Check all trainings, and measure one of each model."""
    task = "dry run"
    measured: dict[str, DryRunResult] = {}
    progress.start(task, len({experiment.spec.name for experiment in pending}), "models")
    for experiment in pending:
        settings = experiment.settings
        usable = usable_rows(experiment.fold.fold, labeled, settings.model.modalities)
        check_training_classes(usable, labeled, progress if experiment.spec.is_main else SILENT)
        if experiment.spec.name not in measured:
            measured[experiment.spec.name] = dry_run(labeled, usable, settings, device)
            progress.advance(task)
    progress.done(task)
    return measured


def _free_bytes(folder: Path) -> int:
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free
