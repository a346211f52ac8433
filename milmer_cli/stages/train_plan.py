"""``train --dry-run``: what a training would be, before hours are spent on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.compute import Compute
from milmer_cli.data.splits import holdout
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.training import runfolder
from milmer_cli.training.estimate import Estimate, estimate
from milmer_cli.training.material import Material, check_classes


@dataclass(frozen=True)
class TrainPlan:
    """What a training would be.

    Attributes
    ----------
    device
        Device and precision, in words.
    protocol
        What the parts do not share.
    segments_per_class
        Part -> class -> segments.
    estimate
        Steps, time and memory.
    """

    device: str
    protocol: str
    segments_per_class: dict[str, dict[str, int]]
    estimate: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        found = self.estimate
        rows = [
            ("device", self.device),
            ("protocol", self.protocol),
            *(
                (part, f"{sum(counts.values())} segments: "
                 + ", ".join(f"{count} {name}" for name, count in counts.items()))
                for part, counts in self.segments_per_class.items()
            ),
            (
                "model",
                f"{found.parameters / 1e6:.1f} million parameters, "
                f"{found.learning / 1e6:.1f} million of them learn",
            ),
            (
                "steps",
                f"{found.steps} of {found.step_s:.2f} s, {found.waiting_share:.0%} of it waiting "
                "for data",
            ),
            ("time", f"about {_duration(found.total_s)}"),
            (
                "memory",
                f"about {found.memory_bytes / 1e9:.1f} GB" if found.memory_bytes else "unknown",
            ),
        ]  # fmt: skip
        if found.tokens_s:
            words = f"{_duration(found.tokens_s)} of it, once for store and backbone"
            rows.insert(-1, ("face tokens", words))
        return rows


def plan_training(prepared: Path, settings: Settings, *, progress: Progress = SILENT) -> TrainPlan:
    """Say what `train` would do with the same arguments, from a few timed steps; write nothing.

    Parameters
    ----------
    prepared
        The prepared store.
    settings
        As for `train`.
    progress
        Whom to tell.

    Raises
    ------
    InputError
        As for `train`.
    """
    compute = Compute.choose(settings.run)
    compute.activate()
    material = Material.open(prepared, settings, progress)
    resolved = runfolder.with_settings_of(material.store, settings)
    recipe = resolved.train
    fold = holdout(
        material.segments,
        material.labels,
        recipe.protocol,
        recipe.test_fraction,
        recipe.validation_fraction,
        resolved.seed,
    )
    check_classes(fold, material.labels, material.names, progress)
    counts = {
        part: dict(
            zip(
                material.names,
                np.bincount(material.labels[rows], minlength=len(material.names)).tolist(),
                strict=True,
            )
        )
        for part, rows in fold.parts()
    }
    found = estimate(material, fold, resolved, compute)
    return TrainPlan(compute.describe(), recipe.protocol, counts, found)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
