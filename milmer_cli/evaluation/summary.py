"""Outcomes of jobs -> scores under a protocol, comparisons, and what the checks showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from milmer_cli.data.splits import Fold
from milmer_cli.evaluation.checkup import CONDITIONS, SHARES
from milmer_cli.evaluation.probes import TARGETS, UNASKED, Probe, named, probe
from milmer_cli.evaluation.rivals import MAIN
from milmer_cli.evaluation.rounds import Round
from milmer_cli.evaluation.work import Outcome
from milmer_cli.metrics import Scores, headline, resampled_unit, score
from milmer_cli.metrics.calibration import Reliability, apply_temperature, reliability
from milmer_cli.metrics.comparison import Comparison, compare, deletion_area
from milmer_cli.metrics.values import confusion, from_confusion
from milmer_cli.report.html import FoldRow
from milmer_cli.report.trust_figures import DeletionCurve
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import Protocol
from milmer_cli.training.material import Material


@dataclass(frozen=True, eq=False)
class Tested:
    """A model in all rounds of one protocol."""

    rounds: Sequence[Round]
    outcomes: Sequence[Outcome]

    @property
    def rows(self) -> np.ndarray:
        """Rows that were tested, one round after the other."""
        return np.concatenate([one.fold.test for one in self.rounds])

    @property
    def probabilities(self) -> np.ndarray:
        """Of these rows."""
        return np.concatenate([one.probabilities for one in self.outcomes])

    @property
    def seeds(self) -> np.ndarray:
        """Of these rows."""
        return np.concatenate([np.full(len(one.fold.test), one.seed) for one in self.rounds])

    def extra(self, name: str) -> np.ndarray | None:
        """One of the model's extras over these rows; None where it has none."""
        if not all(name in one.extras for one in self.outcomes):
            return None
        return np.concatenate([one.extras[name] for one in self.outcomes])


@dataclass(frozen=True, eq=False)
class ProtocolSummary:
    """All that is known under one protocol.

    Attributes
    ----------
    protocol
        Which.
    leaky
        Whether training or the choice of the epoch saw what is tested.
    models
        Scores of each model, the model itself first.
    folds
        How its folds went.
    by_seed
        Its accuracy over segments with each seed.
    comparisons
        The model against each of the others, over the same folds.
    missing
        Scores of the same checkpoints when something is missing, over the segments that have it
        all.
    deletion
        What deleting faces does; None without faces.
    probes
        What the features name.
    reliability
        As trained and as calibrated; the second None without a validation part.
    """

    protocol: Protocol
    leaky: bool
    models: Mapping[str, Scores]
    folds: Sequence[FoldRow]
    by_seed: Mapping[int, float]
    comparisons: Sequence[Comparison] = ()
    missing: Mapping[str, Scores] = field(default_factory=dict)
    deletion: DeletionCurve | None = None
    probes: Sequence[Probe] = ()
    reliability: tuple[Reliability, Reliability | None] | None = None

    @property
    def scores(self) -> Scores:
        """Of the model itself."""
        return self.models[MAIN]

    @property
    def headline(self) -> str:
        """Of the model itself."""
        return headline(self.scores, self.protocol, self.leaky)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        curve = self.deletion
        return {
            "protocol": self.protocol,
            "leaky": self.leaky,
            "headline": self.headline,
            "scores": self.scores.to_json(),
            "folds": [dict(row.__dict__) for row in self.folds],
            "accuracy_by_seed": {str(seed): value for seed, value in self.by_seed.items()},
            "models": {name: found.to_json() for name, found in self.models.items()},
            "comparisons": [
                {**one.__dict__, "sentence": one.sentence()} for one in self.comparisons
            ],
            "missing_modality": {name: found.to_json() for name, found in self.missing.items()},
            "deletion": None
            if curve is None
            else {
                **{name: getattr(curve, name).tolist() for name in DeletionCurve.__annotations__},
                "area": deletion_area(curve.share, curve.chosen, curve.random),
            },
            "probes": [one.to_json() for one in self.probes],
            "calibration": None
            if self.reliability is None
            else {
                "as_trained": self.reliability[0].to_json(),
                "calibrated": self.reliability[1].to_json() if self.reliability[1] else None,
            },
        }


def summarise(
    protocol: Protocol,
    tested: Mapping[str, Tested],
    material: Material,
    settings: Settings,
    power: np.ndarray | None,
) -> ProtocolSummary:
    """Sum up one protocol.

    Parameters
    ----------
    protocol
        Which.
    tested
        Every model in the same rounds; the model itself under `rivals.MAIN`.
    material
        What was tested.
    settings
        ``evaluate`` and ``seed`` are used.
    power
        Band power of every segment, for the probes; None for none.
    """
    main = tested[MAIN]
    return ProtocolSummary(
        protocol=protocol,
        leaky=protocol == "segment" or settings.evaluate.epoch_on == "test",
        models={
            name: scores_of(one, one.probabilities, protocol, material, settings)
            for name, one in tested.items()
        },
        folds=_fold_rows(main, material),
        by_seed=_by_seed(main, material),
        comparisons=_comparisons(tested, material, settings),
        missing=_missing(main, protocol, material, settings),
        deletion=_deletion(main, material),
        probes=_probes(main, material, power),
        reliability=_reliability(main, material),
    )


def scores_of(
    tested: Tested,
    probabilities: np.ndarray,
    protocol: Protocol,
    material: Material,
    settings: Settings,
    among: np.ndarray | None = None,
) -> Scores:
    """Score probabilities of the tested rows, or of those of them that a mask keeps."""
    commonest = np.concatenate(
        [
            np.full(len(one.fold.test), np.bincount(material.labels[one.fold.train]).argmax())
            for one in tested.rounds
        ]
    )
    keep = np.ones(len(commonest), bool) if among is None else among
    rows = tested.rows[keep]
    return score(
        material.labels[rows],
        probabilities[keep],
        material.segments.participant[rows],
        material.segments.trial_id[rows],
        material.names,
        majority=commonest[keep],
        unit=resampled_unit(protocol),
        resamples=settings.evaluate.bootstrap,
        permutations=settings.evaluate.permutations,
        confidence=settings.evaluate.confidence,
        seed=settings.seed,
        repeat=tested.seeds[keep],
        clip=material.segments.stimulus[rows],
    )


def _fold_rows(tested: Tested, material: Material) -> list[FoldRow]:
    several = len({one.seed for one in tested.rounds}) > 1
    found = []
    for one, outcome in zip(tested.rounds, tested.outcomes, strict=True):
        fold, truth = one.fold, material.labels[one.fold.test]
        scores = from_confusion(
            confusion(truth, outcome.probabilities.argmax(axis=1), len(material.names))
        )
        commonest = np.bincount(material.labels[fold.train]).argmax()
        found.append(
            FoldRow(
                name=one.label + (f", seed {one.seed}" if several else ""),
                n_train=len(fold.train),
                n_validation=len(fold.validation),
                n_test=len(fold.test),
                epoch=outcome.epoch,
                accuracy=float(scores["accuracy"]),
                balanced_accuracy=float(scores["balanced_accuracy"]),
                majority=float(np.mean(truth == commonest)),
            )
        )
    return found


def _by_seed(tested: Tested, material: Material) -> dict[int, float]:
    right = tested.probabilities.argmax(axis=1) == material.labels[tested.rows]
    return {
        int(seed): float(right[tested.seeds == seed].mean()) for seed in np.unique(tested.seeds)
    }


def _comparisons(
    tested: Mapping[str, Tested], material: Material, settings: Settings
) -> list[Comparison]:
    if len(tested) < 2:
        return []
    folds = [one.fold for one in tested[MAIN].rounds]
    accuracies = {
        name: np.array(
            [
                np.mean(outcome.probabilities.argmax(axis=1) == material.labels[fold.test])
                for fold, outcome in zip(folds, one.outcomes, strict=True)
            ]
        )
        for name, one in tested.items()
    }
    share = float(np.mean([len(fold.test) / len(fold.train) for fold in folds]))
    found = compare(accuracies, share, MAIN, settings.evaluate.confidence)
    return [
        Comparison(
            one.second, one.first, -one.difference, -one.high, -one.low, one.p, one.p_holm,
            one.folds,
        )
        for one in found
    ]  # fmt: skip


def _missing(
    tested: Tested, protocol: Protocol, material: Material, settings: Settings
) -> dict[str, Scores]:
    whole = tested.extra("whole")
    if whole is None or not whole.any():
        return {}
    found = {name: tested.extra(name) for name in CONDITIONS}
    return {
        name: scores_of(tested, probabilities, protocol, material, settings, whole)
        for name, probabilities in found.items()
        if probabilities is not None
    }


def _deletion(tested: Tested, material: Material) -> DeletionCurve | None:
    chosen, random, whole = (tested.extra(name) for name in ("chosen", "random", "whole"))
    if chosen is None or random is None or whole is None or not whole.any():
        return None
    truth = material.labels[tested.rows][whole]
    draws = (random[whole] == truth[:, None, None]).mean(axis=0)  # (draws, shares)
    return DeletionCurve(
        share=SHARES,
        chosen=(chosen[whole] == truth[:, None]).mean(axis=0),
        random=draws.mean(axis=0),
        random_low=draws.min(axis=0),
        random_high=draws.max(axis=0),
    )


def _probes(tested: Tested, material: Material, power: np.ndarray | None) -> list[Probe]:
    """Of the first seed's folds: repetitions of a fold are no new trials."""
    first = tested.rounds[0].seed
    pairs = [
        (one.fold, outcome)
        for one, outcome in zip(tested.rounds, tested.outcomes, strict=True)
        if one.seed == first
    ]
    folds: list[Fold] = [fold for fold, _ in pairs]
    found = []
    for target in TARGETS:
        answers = [outcome.extras.get(f"names a {target}") for _, outcome in pairs]
        known = [answer for answer in answers if answer is not None]
        if len(known) == len(folds):
            found.append(probe(f"{MAIN}'s features", target, material.segments, folds, known))
        if power is not None:
            read = [_with_power(material, fold, power, target) for fold in folds]
            found.append(probe("band power", target, material.segments, folds, read))
    return [one for one in found if one is not None]


def _with_power(material: Material, fold: Fold, power: np.ndarray, target: str) -> np.ndarray:
    """`probes.named` on band power, which asks nothing of a segment without EEG."""
    seen = np.isfinite(power).all(axis=1)
    test = seen[fold.test]
    answers = np.full(len(fold.test), UNASKED)
    with_eeg = Fold(fold.train[seen[fold.train]], fold.validation, fold.test[test])
    if len(with_eeg.train) and test.any():
        answers[test] = named(material.segments, with_eeg, power, target)
    return answers


def _reliability(
    tested: Tested, material: Material
) -> tuple[Reliability, Reliability | None] | None:
    truth = material.labels[tested.rows]
    calibrated = reliability(truth, tested.probabilities)
    if all(one.temperature == 1.0 for one in tested.outcomes):
        return calibrated, None
    before = np.concatenate(
        [
            apply_temperature(np.log(np.maximum(one.probabilities, 1e-300)), 1 / one.temperature)
            for one in tested.outcomes
        ]
    )
    return reliability(truth, before), calibrated
