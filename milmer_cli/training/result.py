"""The result of `milmer train`, which metrics.json and the terminal show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.splits import Fold
from milmer_cli.json_files import to_json
from milmer_cli.metrics import headline
from milmer_cli.settings.schema import Protocol
from milmer_cli.stage_result import StageResult
from milmer_cli.training import run_dir
from milmer_cli.training.evaluate_fold import FoldResult
from milmer_cli.training.history import History

METRICS_KEYS = ("protocol", "headline", "segments", "training")
"""Entries of metrics.json that `TrainResult` shows."""


@dataclass(frozen=True, repr=False)
class TrainResult(StageResult):
    """A finished run.

    Attributes
    ----------
    run
        The run folder.
    device
        Description of the device that trained the model.
    metrics
        The contents of metrics.json; see `train_metrics`.
    """

    format_name: ClassVar[str] = "run-metrics"

    run: Path
    device: str
    metrics: Mapping[str, Any]

    @property
    def headline(self) -> str:
        """Accuracy on the test set, with its protocol, its interval and the majority rate."""
        return str(self.metrics["headline"])

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return {"run": str(self.run), **self.metrics}

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value for the terminal."""
        training = self.metrics["training"]
        sizes = self.metrics["segments"]
        accuracy = training["validation_balanced_accuracy"]
        return [
            ("test set", self.headline),
            ("segments", ", ".join(f"{count} {name}" for name, count in sizes.items())),
            (
                "selected epoch",
                f"{training['best_epoch']} of {training['epochs']}, balanced accuracy "
                f"{accuracy:.1%} on the validation set ({self.metrics['protocol']} protocol)",
            ),
            (
                "time",
                f"{training['seconds']:.0f} s on {self.device}, "
                f"{training['waiting_share']:.0%} of it waiting for data",
            ),
            ("learning curve", str(self.run / run_dir.CURVE)),
            ("run", str(self.run)),
        ]


def train_metrics(
    labeled: LabeledSegments,
    fold: Fold,
    protocol: Protocol,
    history: History,
    result: FoldResult,
) -> dict[str, Any]:
    """Collect the contents of metrics.json, as JSON values.

    Parameters
    ----------
    labeled, fold, protocol
        The segments, their split, and what the sets of the split do not share.
    history
        The training.
    result
        Scores and calibration.
    """
    line = "no test set"
    if result.scores is not None:
        line = headline(result.scores, protocol, transductive=result.transductive)
    metrics = {
        "protocol": protocol,
        "headline": line,
        "transductive": result.transductive,
        "headline_per_modality": dict(result.headline_per_modality),
        "above_chance_per_modality": dict(result.above_chance_per_modality),
        "calibration": dict(result.calibration),
        "segments": {name: len(rows) for name, rows in fold.sets()},
        "segments_per_class": fold.class_counts(labeled),
        "training": history.summary(
            "validation_loss", "validation_accuracy", "validation_balanced_accuracy"
        ),
        "test": result.scores.to_json() if result.scores else None,
    }
    return dict(to_json(metrics))
