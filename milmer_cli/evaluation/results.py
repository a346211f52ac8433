"""Results of an evaluation. Reports render these classes; metrics.json contains them.

This module does not import torch, so that results can be read and rendered without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from milmer_cli.data.quality import QualityCounts
from milmer_cli.evaluation.adaptation_curve import AdaptationCurve
from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.costs import ModelCost
from milmer_cli.evaluation.interpretation import (
    Tone,
    best_baseline,
    interpret_ladder,
    interpret_scores,
)
from milmer_cli.evaluation.robustness_curves import DeletionCurve, ElectrodeCurve
from milmer_cli.json_files import to_json
from milmer_cli.metrics import Scores, headline
from milmer_cli.metrics.calibration import ReliabilityPair
from milmer_cli.metrics.coverage_curve import CoverageCurve
from milmer_cli.metrics.results import protocol_marks
from milmer_cli.metrics.shortcuts import IDENTITIES, OVERALL, Explanation, verdict
from milmer_cli.metrics.significance import Comparison
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import Protocol

BOTH, EEG_ONLY, FACE_ONLY, HALF_FACES = "both", "EEG only", "face only", "half of the faces"
"""Inputs of a model of which some modalities or faces are removed; see `evaluation.robustness`."""


@dataclass(frozen=True)
class FoldScores:
    """Test performance of the model in one fold.

    Attributes
    ----------
    name
        Label of the fold.
    n_train, n_validation, n_test
        Numbers of segments.
    epoch
        Selected epoch, from 1; None if no network was trained.
    accuracy, balanced_accuracy
        Over the segments of the test set.
    majority_rate
        Accuracy of predicting the majority class of the training set.
    """

    name: str
    n_train: int
    n_validation: int
    n_test: int
    epoch: int | None
    accuracy: float
    balanced_accuracy: float
    majority_rate: float


@dataclass(frozen=True)
class ProbeResult:
    """How well a participant or stimulus is decoded from features; see `evaluation.probes`.

    Attributes
    ----------
    features
        Name of the features.
    target
        ``participant`` or ``stimulus``.
    accuracy
        Over test segments whose participant or stimulus is in the training set.
    trial_accuracy
        Over the trials of these segments, by majority vote.
    majority_rate
        Accuracy of predicting the most frequent target of the training set.
    n_targets, n_segments, n_trials
        Counts.
    """

    features: str
    target: str
    accuracy: float
    trial_accuracy: float
    majority_rate: float
    n_targets: int
    n_segments: int
    n_trials: int

    @property
    def chance_level(self) -> float:
        """Accuracy without any information: majority rate or uniform guess, whichever is higher."""
        return max(self.majority_rate, 1 / self.n_targets)


@dataclass(frozen=True, eq=False)
class ProtocolResult:
    """All results under one protocol.

    Attributes
    ----------
    protocol
        What the training, validation and test sets do not share.
    models
        Scores by model; the first is `MAIN`.
    folds
        Test performance of the main model in each fold.
    epoch_selected_on_test
        Whether the test set selected the epoch, which makes every protocol LEAKY.
    transductive
        Whether the model used the EEG of the test set without labels.
    accuracy_by_seed
        Accuracy over trials for each seed.
    comparisons
        The main model compared with each of the other models, on common trials.
    explanation
        What can explain the accuracy of the main model; None if there are too few clusters.
    conditions
        Scores of the main model by experimental condition; empty without several conditions.
    missing_modality
        Scores of the main model's checkpoints by condition (see `evaluation.robustness`), over the
        segments with all modalities.
    deletion
        Deletion curve; None without faces.
    electrodes
        Accuracy against the number of missing electrodes; None without EEG.
    probes
        Decoding of participant and stimulus.
    reliability
        Before and after temperature scaling; None if not computed.
    temperatures
        Temperature of each fold, by the modalities that a segment has.
    coverage
        Accuracy of the main model against the share of the segments that it predicts.
    adaptation
        Accuracy against the number of labeled trials of each test participant; None without
        ``evaluate.calibration_trials``.
    costs
        Costs by model; none for the baselines that know only identities.
    """

    protocol: Protocol
    models: Mapping[str, Scores]
    folds: Sequence[FoldScores] = ()
    epoch_selected_on_test: bool = False
    transductive: bool = False
    accuracy_by_seed: Mapping[int, float] = field(default_factory=dict)
    comparisons: Sequence[Comparison] = ()
    explanation: Explanation | None = None
    conditions: Mapping[str, Scores] = field(default_factory=dict)
    missing_modality: Mapping[str, Scores] = field(default_factory=dict)
    deletion: DeletionCurve | None = None
    electrodes: ElectrodeCurve | None = None
    probes: Sequence[ProbeResult] = ()
    reliability: ReliabilityPair | None = None
    temperatures: Mapping[str, Sequence[float]] = field(default_factory=dict)
    coverage: CoverageCurve | None = None
    adaptation: AdaptationCurve | None = None
    costs: Mapping[str, ModelCost] = field(default_factory=dict)

    @property
    def scores(self) -> Scores:
        """Scores of the main model."""
        return self.models[MAIN]

    @property
    def leaky(self) -> bool:
        """Whether training or epoch selection used information about the test set."""
        return self.protocol == "segment" or self.epoch_selected_on_test

    @property
    def label(self) -> str:
        """Name of the protocol with its marks."""
        return self.protocol + (f" ({self.marks})" if self.marks else "")

    @property
    def marks(self) -> str:
        """``LEAKY``, ``TRANSDUCTIVE`` or both, where they apply."""
        return protocol_marks(self.leaky, self.transductive)

    @property
    def headline(self) -> str:
        """Accuracy of the main model in one line."""
        return headline(self.scores, self.protocol, self.leaky, self.transductive)

    @property
    def conclusion(self) -> tuple[Tone, str]:
        """What the accuracy of the main model shows, by the comparisons in all tables."""
        tone, text = interpret_scores(
            self.scores, self.protocol, self.comparisons, self.epoch_selected_on_test
        )
        return tone, f"TRANSDUCTIVE: {text}" if self.transductive else text

    @property
    def models_by_accuracy(self) -> dict[str, Scores]:
        """The main model, and then the others from the most to the least accurate over trials."""
        accuracies = {name: scores.trial_accuracy.value for name, scores in self.models.items()}
        names = sorted(self.models, key=lambda name: (name != MAIN, -accuracies[name]))
        return {name: self.models[name] for name in names}

    @property
    def best_baseline(self) -> Comparison | None:
        """Comparison of the main model with the most accurate simple baseline; None without."""
        return best_baseline(self.comparisons)

    def to_json(self) -> dict[str, Any]:
        """Return the values for metrics.json; undefined values are None."""
        before, after = self.reliability or (None, None)
        return {
            "protocol": self.protocol,
            "leaky": self.leaky,
            "transductive": self.transductive,
            "headline": self.headline,
            "conclusion": self.conclusion[1],
            "best_baseline": self.best_baseline and self.best_baseline.second,
            "scores": self.scores.to_json(),
            "folds": to_json(self.folds),
            "accuracy_by_seed": to_json(self.accuracy_by_seed),
            "models": {name: scores.to_json() for name, scores in self.models.items()},
            "comparisons": [
                to_json(comparison) | {"sentence": comparison.sentence}
                for comparison in self.comparisons
            ],
            "explanation": to_json(self.explanation),
            "conditions": {name: scores.to_json() for name, scores in self.conditions.items()},
            "missing_modality": {
                name: scores.to_json() for name, scores in self.missing_modality.items()
            },
            "deletion": self.deletion
            and to_json(self.deletion)
            | {"area": self.deletion.area, "sentence": self.deletion.sentence},
            "missing_electrodes": to_json(self.electrodes),
            "probes": to_json(self.probes),
            "coverage": to_json(self.coverage),
            "calibration_trials": self.adaptation and self.adaptation.to_json(),
            "calibration": before
            and {
                "as_trained": to_json(before),
                "calibrated": to_json(after),
                "temperatures": to_json(self.temperatures),
            },
        }


@dataclass(frozen=True)
class NoiseFloor:
    """The first fold, trained twice with another order of the arithmetic.

    Attributes
    ----------
    n_segments
        Segments of the test set.
    threads
        Number of threads of the two trainings.
    accuracies
        Accuracies of the two trainings.
    changed_share
        Share of the segments with another predicted class.
    """

    n_segments: int
    threads: tuple[int, int]
    accuracies: tuple[float, float]
    changed_share: float

    @property
    def sentence(self) -> str:
        """State how large a difference is meaningless."""
        first, second = self.accuracies
        return (
            f"The same training with {self.threads[0]} and {self.threads[1]} threads gives "
            f"{100 * first:.1f} % and {100 * second:.1f} % on {self.n_segments} segments of the "
            f"first fold; {100 * self.changed_share:.1f} % of the predictions change. A difference "
            f"of {100 * abs(first - second):.1f} points between two models is meaningless."
        )


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The result of ``milmer evaluate``.

    Attributes
    ----------
    title
        Name of the evaluated store or run.
    protocols
        Results by protocol, in the order of the settings.
    settings
        Resolved settings.
    provenance
        Store, fingerprints, run, device, seeds and package versions, as JSON values.
    n_segments, n_excluded
        Number of segments of the store, and how many of them were not used.
    quality
        Number of segments that the quality rule affects, by participant.
    run
        The evaluated run; None if models were trained.
    noise_floor
        Only with ``evaluate.noise_floor``.
    left_out
        Baselines of ``evaluate.baselines`` that were not used -> reason.
    """

    title: str
    protocols: Sequence[ProtocolResult]
    settings: Settings
    provenance: Mapping[str, Any]
    n_segments: int
    n_excluded: int
    quality: Sequence[QualityCounts] = ()
    run: Path | None = None
    noise_floor: NoiseFloor | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def main(self) -> ProtocolResult:
        """The headline result: the first protocol that is not LEAKY, or else the first."""
        return next((result for result in self.protocols if not result.leaky), self.protocols[0])

    @property
    def headlines(self) -> tuple[str, ...]:
        """One line per protocol, `main` first."""
        others = [result for result in self.protocols if result is not self.main]
        return tuple(result.headline for result in (self.main, *others))

    @property
    def verdict(self) -> str:
        """What can explain the accuracy of the main model, under all protocols together."""
        found = [
            result.explanation for result in self.protocols if not result.epoch_selected_on_test
        ]
        known = [explanation for explanation in found if explanation is not None]
        if known:
            return verdict(known)
        return "Too few participants, stimuli or trials to state what can explain the accuracy."

    @property
    def interpretations(self) -> dict[str, list[str]]:
        """Sentences on the differences between protocols, for each model that is fitted."""
        return {
            name: interpret_ladder({r.protocol: r.models[name] for r in self.protocols})
            for name in self.main.models
            if name not in (OVERALL, *IDENTITIES.values())
        }

    def to_json(self) -> dict[str, Any]:
        """Contents of metrics.json: the main protocol at the top, all under ``protocols``."""
        protocols = {result.protocol: result.to_json() for result in self.protocols}
        top = ("protocol", "leaky", "transductive", "headline", "conclusion", "scores", "folds")
        return {
            **{name: protocols[self.main.protocol][name] for name in top},
            "verdict": self.verdict,
            "noise_floor": to_json(self.noise_floor),
            "interpretations": self.interpretations,
            "quality": to_json(self.quality),
            "protocols": protocols,
            "costs": {result.protocol: to_json(result.costs) for result in self.protocols},
            "baselines_left_out": dict(self.left_out),
            **self.provenance,
        }
