"""Fit a baseline that trains no network on one fold."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.errors import MilmerError
from milmer_cli.evaluation.adaptation import TrainedClassifier, adapt_to_participants
from milmer_cli.evaluation.baselines import Baseline
from milmer_cli.evaluation.classifiers import FittedClassifier, fit_classifier
from milmer_cli.evaluation.experiment import Experiment, ExperimentResult
from milmer_cli.evaluation.features import TIMING_REPEATS, SegmentFeatures
from milmer_cli.evaluation.folds import SPLIT_COLUMNS
from milmer_cli.evaluation.late_fusion import RULES, combine, fit_stacking, log_mean, stacking


def predict_frequencies(experiment: Experiment, labeled: LabeledSegments) -> ExperimentResult:
    """Predict the class frequencies of the training set."""
    fold, n_classes = experiment.fold.fold, len(labeled.class_names)
    frequencies = np.bincount(labeled.labels[fold.train], minlength=n_classes) / len(fold.train)
    return ExperimentResult(
        np.tile(frequencies, (len(fold.test), 1)),
        n_parameters=frequencies.size,
        n_bytes=frequencies.nbytes,
    )


def fit_features(
    experiment: Experiment, labeled: LabeledSegments, features: SegmentFeatures
) -> ExperimentResult:
    """Fit the classifier of a baseline on its features and predict the test set.

    A classifier has no epochs and is therefore fitted on the training and validation sets.

    Parameters
    ----------
    experiment
        Its method must be ``features``.
    labeled
        The segments.
    features
        Features of all segments.

    Raises
    ------
    MilmerError
        See `fit_classifier`.
    """
    baseline, test = _baseline(experiment), experiment.fold.fold.test
    rows = training_rows(experiment)
    if baseline.reads != "face":
        features = features.aligned(rows, experiment.settings)
    computed, start = features.get(baseline.features, experiment.settings), time.perf_counter()
    fitted = fit_on(experiment, labeled, computed.values)
    seconds = time.perf_counter() - start
    probabilities = fitted.predict(computed.values[test])
    return ExperimentResult(
        probabilities,
        adapted=_adapt(experiment, labeled, computed.values, probabilities),
        seconds=seconds,
        n_parameters=computed.n_parameters + sum(values.size for values in fitted.arrays),
        n_bytes=computed.n_bytes + sum(values.nbytes for values in fitted.arrays),
        training_seconds=seconds + computed.seconds * len(rows),
        prediction_seconds=computed.seconds_alone + _seconds_of_one(fitted, computed.values[test]),
    )


def _adapt(
    experiment: Experiment, labeled: LabeledSegments, values: np.ndarray, test: np.ndarray
) -> np.ndarray | None:
    """Adapt a classifier to the participants of the test set; see `adaptation`."""
    if not (n_trials := experiment.calibration_trials):
        return None
    # the participants of the validation set are new to a classifier that was fitted without them
    fold = experiment.fold.fold
    without = replace(fold, validation=fold.validation[:0])
    in_fold = replace(experiment, fold=replace(experiment.fold, fold=without))
    validation = test[:0]
    if len(fold.validation):
        validation = fit_on(in_fold, labeled, values).predict(values[fold.validation])
    trained = TrainedClassifier(values, validation, test)
    return adapt_to_participants(labeled, experiment.fold, trained, n_trials)


def fit_on(
    experiment: Experiment, labeled: LabeledSegments, values: np.ndarray
) -> FittedClassifier:
    """Fit the classifier of a baseline on (n_segments, ...) features; test rows are not read."""
    rows = training_rows(experiment)
    column = SPLIT_COLUMNS[experiment.fold.protocol][0]
    groups = np.unique(getattr(labeled.segments, column)[rows], return_inverse=True)[1]
    return fit_classifier(
        _baseline(experiment).classifier,
        values[rows],
        labeled.labels[rows],
        groups,
        len(labeled.class_names),
    )


def training_rows(experiment: Experiment) -> np.ndarray:
    """Rows of the training and validation sets, without those of the test set."""
    fold = experiment.fold.fold
    if experiment.fold.epoch_selected_on_test:
        return fold.train
    return np.sort(np.concatenate([fold.train, fold.validation]))


def fuse(
    experiment: Experiment,
    labeled: LabeledSegments,
    eeg: ExperimentResult,
    face: ExperimentResult,
) -> ExperimentResult:
    """Combine the predictions of two networks on the same fold; see `late_fusion`.

    Parameters
    ----------
    experiment
        Its method must be ``fusion``.
    labeled
        The segments.
    eeg, face
        Results of the networks with EEG only and with faces only. Without two classes in the
        validation set, stacking is the log-mean.
    """
    fold, start = experiment.fold.fold, time.perf_counter()
    has_eeg, has_faces = labeled.segments.eeg_found, labeled.segments.faces_found > 0
    rule, arrays = RULES.get(_baseline(experiment).rule, log_mean), []
    if _baseline(experiment).rule == "stacking":
        kept = (has_eeg & has_faces)[fold.validation]
        labels = labeled.labels[fold.validation][kept]
        inputs = [result.validation_probabilities for result in (eeg, face)]
        if len(np.unique(labels)) > 1 and inputs[0] is not None and inputs[1] is not None:
            n_classes = len(labeled.class_names)
            fitted = fit_stacking(inputs[0][kept], inputs[1][kept], labels, n_classes)
            rule, arrays = stacking(fitted), fitted.arrays
    probabilities = combine(
        rule, eeg.probabilities, face.probabilities, has_eeg[fold.test], has_faces[fold.test]
    )
    seconds = time.perf_counter() - start
    return ExperimentResult(
        probabilities,
        seconds=seconds,
        n_parameters=eeg.n_parameters + face.n_parameters + sum(a.size for a in arrays),
        n_bytes=eeg.n_bytes + face.n_bytes + sum(a.nbytes for a in arrays),
        training_seconds=eeg.training_seconds + face.training_seconds + seconds,
        prediction_seconds=eeg.prediction_seconds + face.prediction_seconds,
    )


def _baseline(experiment: Experiment) -> Baseline:
    baseline = experiment.spec.baseline
    if baseline is None:
        raise MilmerError(f"{experiment.spec.name}: expected a baseline of the catalog.")
    return baseline


def _seconds_of_one(fitted: FittedClassifier, features: np.ndarray) -> float:
    """Return the shortest duration of a few predictions of one row."""
    durations = []
    for _ in range(TIMING_REPEATS):
        start = time.perf_counter()
        fitted.predict(features[:1])
        durations.append(time.perf_counter() - start)
    return min(durations)
