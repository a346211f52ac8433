"""Summarize the predictions of all models as an `EvaluationResult`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.bundle.document import training_fingerprint
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.splits import Fold
from milmer_cli.device import Device
from milmer_cli.evaluation.adaptation_curve import score_adaptation
from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.costs import ModelCost
from milmer_cli.evaluation.fold_predictions import FoldPredictions, Predictions
from milmer_cli.evaluation.probes import NOT_PREDICTED, TARGETS, predict_probe, score_probe
from milmer_cli.evaluation.results import (
    EvaluationResult,
    FoldScores,
    ProbeResult,
    ProtocolResult,
)
from milmer_cli.evaluation.robustness_scores import (
    deletion_curve,
    electrode_curve,
    score_missing_modality,
)
from milmer_cli.inference.scoring import TestedSegments
from milmer_cli.metrics import Scores
from milmer_cli.metrics.calibration import ReliabilityPair, reliability_diagram
from milmer_cli.metrics.classification import confusion_matrix, confusion_scores, majority_class
from milmer_cli.metrics.coverage_curve import coverage_curve
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.shortcuts import Explanation, explain
from milmer_cli.metrics.significance import Comparison, compare_models
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import Protocol
from milmer_cli.training.calibration import undo_calibration
from milmer_cli.training.run_environment import package_versions


def summarize_evaluation(
    predictions: Predictions,
    labeled: LabeledSegments,
    settings: Settings,
    device: Device,
    power: np.ndarray | None = None,
    run: Path | None = None,
) -> EvaluationResult:
    """Compute the results under all protocols, with their provenance.

    Parameters
    ----------
    predictions
        Predictions of every model by protocol.
    labeled
        The segments and their labels.
    settings
        Resolved settings.
    device
        Device that computed the predictions.
    power
        (n_segments, n_features) band power for the probes; None omits these probes.
    run
        The evaluated run; None if models were trained.
    """
    store = labeled.store
    folds = [fold for models in predictions.values() for fold in models[MAIN].folds]
    return EvaluationResult(
        title=(run or store.folder).name,
        protocols=[
            summarize_protocol(models, labeled, settings, power) for models in predictions.values()
        ],
        settings=settings,
        provenance={
            "store": str(store.folder),
            "store_fingerprint": store.fingerprint,
            "segments_fingerprint": labeled.fingerprint,
            "settings_fingerprint": training_fingerprint(settings),
            "run": None if run is None else str(run),
            "device": device.describe(),
            "seed": settings.seed,
            "seeds": sorted({fold.seed for fold in folds}),
            "versions": package_versions(),
        },
        n_segments=len(labeled.labels),
        n_excluded=int(np.sum(labeled.labels == EXCLUDED)),
        quality=labeled.quality,
        run=run,
    )


def summarize_protocol(
    predictions: Mapping[str, FoldPredictions],
    labeled: LabeledSegments,
    settings: Settings,
    power: np.ndarray | None,
) -> ProtocolResult:
    """Compute all results under one protocol.

    Parameters
    ----------
    predictions
        Predictions of every model on the same folds; the main model is `baselines.MAIN`.
    labeled
        The segments and their labels.
    settings
        ``evaluate`` and ``seed`` are used.
    power
        (n_segments, n_features) band power for the probes; None omits these probes.
    """
    main = predictions[MAIN]
    tested = main.tested(labeled)
    compared = _compared_models(predictions, tested)
    options = ResamplingOptions.from_settings(settings, main.protocol)
    trials = tested.trials
    comparisons = compare_models(
        {
            name: trials.correct(tested.truth, model.probabilities, model.has_input)
            for name, model in compared.items()
        },
        tested.clusters.at(trials.first),
        MAIN,
        options,
    )
    scores = {name: _score(model, tested, settings) for name, model in compared.items()}
    return ProtocolResult(
        protocol=main.protocol,
        models=scores,
        folds=_fold_scores(main, labeled),
        epoch_selected_on_test=settings.evaluate.select_epoch_on == "test",
        transductive=settings.model.transductive,
        accuracy_by_seed=_accuracy_by_seed(main, tested),
        comparisons=comparisons,
        explanation=_explain(main.protocol, scores[MAIN], comparisons),
        conditions=tested.score_by_condition(main.probabilities, settings),
        missing_modality=score_missing_modality(main, tested, settings),
        deletion=deletion_curve(main, tested, options),
        electrodes=electrode_curve(main, tested),
        probes=_probes(main, labeled, power),
        adaptation=score_adaptation(predictions, tested, settings),
        reliability=_reliability(main, tested),
        temperatures=_temperatures(main),
        coverage=coverage_curve(
            tested.truth, main.probabilities, tested.clusters, options.confidence_level
        ),
        costs={name: ModelCost.of(model.results) for name, model in predictions.items()},
    )


@dataclass(frozen=True, eq=False)
class _ComparedModel:
    """Probabilities of a model for the tested segments, and which of them it has an input for."""

    probabilities: np.ndarray
    has_input: np.ndarray


def _compared_models(
    predictions: Mapping[str, FoldPredictions], tested: TestedSegments
) -> dict[str, _ComparedModel]:
    """Collect the trained models and the baselines that know only identities."""
    models = {
        name: _ComparedModel(model.probabilities, model.has_input(tested))
        for name, model in predictions.items()
    }
    everywhere = np.ones(len(tested.rows), bool)
    one_hot = np.eye(len(tested.labeled.class_names))
    for name, classes in tested.baselines.items():
        models.setdefault(name, _ComparedModel(one_hot[classes], everywhere))
    return models


def _explain(
    protocol: Protocol, scores: Scores, comparisons: Sequence[Comparison]
) -> Explanation | None:
    """State what can explain the accuracy; None with too few trials or clusters to compare."""
    if scores.too_few_trials or all(math.isnan(found.p_value) for found in comparisons):
        return None
    return explain(protocol, {found.second: found.better == MAIN for found in comparisons})


def _score(model: _ComparedModel, tested: TestedSegments, settings: Settings) -> Scores:
    """Score a model on the segments that it has an input for; on all if it has none at all."""
    mask = model.has_input if model.has_input.any() else np.ones(len(tested.rows), bool)
    return tested.at(mask).score(model.probabilities[mask], settings)


def _fold_scores(main: FoldPredictions, labeled: LabeledSegments) -> list[FoldScores]:
    several_seeds = len({item.seed for item in main.folds}) > 1
    rows = []
    for item, result in main.pairs():
        fold, truth = item.fold, labeled.labels[item.fold.test]
        predicted = result.probabilities.argmax(axis=1)
        scores = confusion_scores(confusion_matrix(truth, predicted, len(labeled.class_names)))
        majority = majority_class(labeled.labels[fold.train])
        rows.append(
            FoldScores(
                name=item.label + (f", seed {item.seed}" if several_seeds else ""),
                n_train=len(fold.train),
                n_validation=len(fold.validation),
                n_test=len(fold.test),
                epoch=result.epoch,
                accuracy=float(scores["accuracy"]),
                balanced_accuracy=float(scores["balanced_accuracy"]),
                majority_rate=float(np.mean(truth == majority)),
            )
        )
    return rows


def _accuracy_by_seed(main: FoldPredictions, tested: TestedSegments) -> dict[int, float]:
    trials = tested.trials
    correct, seeds = trials.correct(tested.truth, main.probabilities), tested.seed[trials.first]
    return {int(seed): float(correct[seeds == seed].mean()) for seed in np.unique(seeds)}


def _probes(
    main: FoldPredictions, labeled: LabeledSegments, power: np.ndarray | None
) -> list[ProbeResult]:
    """Score the probes on the folds of the first seed: further seeds do not add trials."""
    first_seed = main.folds[0].seed
    pairs = [(item.fold, result) for item, result in main.pairs() if item.seed == first_seed]
    folds = [fold for fold, _ in pairs]
    probes = []
    for target in TARGETS:
        predictions = [
            result.probe_predictions[target]
            for _, result in pairs
            if target in result.probe_predictions
        ]
        if len(predictions) == len(folds):
            name = f"{MAIN}'s features"
            probes.append(score_probe(name, target, labeled.segments, folds, predictions))
        if power is not None:
            predictions = [_predict_from_power(labeled, fold, power, target) for fold in folds]
            probes.append(score_probe("band power", target, labeled.segments, folds, predictions))
    return [probe for probe in probes if probe is not None]


def _predict_from_power(
    labeled: LabeledSegments, fold: Fold, power: np.ndarray, target: str
) -> np.ndarray:
    """Run `predict_probe` on band power, for the segments that have EEG."""
    has_eeg = np.isfinite(power).all(axis=1)
    test = has_eeg[fold.test]
    predictions = np.full(len(fold.test), NOT_PREDICTED)
    with_eeg = Fold(fold.train[has_eeg[fold.train]], fold.validation, fold.test[test])
    if len(with_eeg.train) and test.any():
        predictions[test] = predict_probe(labeled.segments, with_eeg, power, target)
    return predictions


def _reliability(main: FoldPredictions, tested: TestedSegments) -> ReliabilityPair:
    truth = tested.truth
    calibrated = reliability_diagram(truth, main.probabilities)
    if all(result.temperature is None for result in main.results):
        return calibrated, None
    uncalibrated = [
        result.probabilities
        if result.temperature is None
        else undo_calibration(result.probabilities, result.temperature)
        for result in main.results
    ]
    return reliability_diagram(truth, np.concatenate(uncalibrated)), calibrated


def _temperatures(main: FoldPredictions) -> dict[str, list[float]]:
    """Temperatures of all folds by the modalities that a segment has."""
    names = dict.fromkeys(name for result in main.results for name in result.temperatures)
    return {
        name: [result.temperatures[name] for result in main.results if name in result.temperatures]
        for name in names
    }
