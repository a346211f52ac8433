"""`FinetuneResult`: what `finetune-swin` returns and prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.stage_result import StageResult

METRICS_KEYS = (
    *("classes", "images", "scored_on", "scores", "majority_rate", "protocol"),
    *("skipped", "training"),
)
"""Entries of metrics.json that `FinetuneResult` shows."""


@dataclass(frozen=True, repr=False)
class FinetuneResult(StageResult):
    """Result of fine-tuning.

    Attributes
    ----------
    out
        The model folder.
    metrics
        Content of metrics.json: `fer.metrics.compute_metrics`, ``skipped`` (number of excluded
        images) and ``training``.
    device
        Description of the device on which the model was trained.
    """

    format_name: ClassVar[str] = "swin-metrics"

    out: Path
    metrics: dict[str, Any]
    device: str

    def to_json(self) -> dict[str, Any]:
        """Return the output of ``--json``."""
        return {"out": str(self.out), **self.metrics}

    def summary(self) -> list[tuple[str, str]]:
        """Return the printed rows of label and value."""
        scores, training = self.metrics["scores"], self.metrics["training"]
        images = ", ".join(f"{count} {name}" for name, count in self.metrics["images"].items())
        rows = [
            ("classes", ", ".join(self.metrics["classes"])),
            ("images", images),
            (
                f"{self.metrics['scored_on']} set",
                f"macro F1 {scores['macro_f1']:.1%}, accuracy {scores['accuracy']:.1%}, "
                f"majority {self.metrics['majority_rate']:.1%} ({self.metrics['protocol']})",
            ),
            ("selected epoch", f"{training['best_epoch']} of {training['epochs']}"),
            ("time", f"{training['seconds']:.0f} s on {self.device}"),
        ]
        if self.metrics["skipped"]:
            rows.append(("excluded", f"{self.metrics['skipped']}, see {self.out / 'skipped.csv'}"))
        return [*rows, ("model", str(self.out))]
