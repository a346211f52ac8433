"""The list of ``milmer evaluate --list-baselines``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from milmer_cli.evaluation.baselines import CATALOG, GROUPS, Baseline
from milmer_cli.stage_result import StageResult

NEEDS = {"eeg": "EEG", "face": "faces", "both": "EEG and faces", None: "no data"}

EXTERNAL = {
    "braindecode:CLASS": "a network of braindecode for EEG, trained like the model",
    "MODULE:CLASS": "any importable network for EEG, trained like the model",
    "braindecode:CLASS@WEIGHTS": "a pretrained encoder for EEG with logistic regression",
    "face:WEIGHTS": "an image model of transformers with logistic regression",
}
"""Forms of the names of models that are not part of Milmer, and what they are."""


@dataclass(frozen=True, repr=False)
class BaselineList(StageResult):
    """All baselines: what they are, what they need, and whether they are installed."""

    format_name: ClassVar[str] = "baselines"

    def to_json(self) -> dict[str, Any]:
        """Return one entry per baseline, and the groups of names."""
        return {
            "baselines": [_to_json(baseline) for baseline in CATALOG],
            "groups": {name: list(names) for name, names in GROUPS.items()},
            "external": EXTERNAL,
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of name and description."""
        return [*((baseline.name, _describe(baseline)) for baseline in CATALOG), *EXTERNAL.items()]


def _to_json(baseline: Baseline) -> dict[str, Any]:
    return {
        "name": baseline.name,
        "title": baseline.title,
        "description": baseline.description,
        "needs": NEEDS[baseline.reads],
        "package": baseline.package or None,
        "installed": baseline.installed,
        "trains_network": baseline.trains_network,
    }


def _describe(baseline: Baseline) -> str:
    facts = [f"needs {NEEDS[baseline.reads]}"]
    facts.append("trains a network" if baseline.trains_network else "trains no network")
    if baseline.package:
        state = "installed" if baseline.installed else "not installed"
        facts.append(f"package {baseline.package}: {state}")
    return f"{baseline.title}: {baseline.description} ({'; '.join(facts)})"
