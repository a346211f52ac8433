"""`score` computes `Scores` from the predictions of segments; all printed scores come from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from milmer_cli.errors import MilmerError
from milmer_cli.metrics.calibration import N_BINS, confidence_bins
from milmer_cli.metrics.classification import (
    brier_losses,
    confusion_matrix,
    confusion_scores,
    mean_defined,
    per_class_scores,
    roc_auc,
)
from milmer_cli.metrics.intervals import UNDEFINED, Clusters, score_standard_errors
from milmer_cli.metrics.permutation import permutation_test
from milmer_cli.metrics.resampling import ResamplingOptions
from milmer_cli.metrics.results import (
    METRIC_RANGES,
    METRICS,
    Chance,
    ClassScores,
    Estimate,
    MajorityRates,
    ParticipantScores,
    Scores,
)
from milmer_cli.metrics.trials import Trials


@dataclass(frozen=True, eq=False)
class SegmentPredictions:
    """Predictions of segments that were not used in training, one row per prediction.

    Attributes
    ----------
    truth
        (n,) classes.
    probabilities
        (n, n_classes), rows sum to 1.
    participant, trial_id
        (n,) participant, and trial (unique over participants).
    class_names
        Names of the classes.
    majority_class
        (n,) majority class of the training set behind each prediction; None if unknown.
    participant_majority_class, stimulus_majority_class
        (n,) majority class of the participant, of the stimulus, in that training set; None where
        the protocol does not share participants (stimuli) between training and test.
    stimulus
        (n,) stimulus; None if no two trials share a stimulus.
    session
        (n,) recording session, unique over participants; None if each participant has only one.
    fold
        (n,) fold in which each was tested (also unique over repeats); one fold if None.
    repeat
        (n,) repeat (another seed) of each prediction, if a segment was predicted several times.
    """

    truth: np.ndarray
    probabilities: np.ndarray
    participant: np.ndarray
    trial_id: np.ndarray
    class_names: Sequence[str]
    majority_class: np.ndarray | None = None
    participant_majority_class: np.ndarray | None = None
    stimulus_majority_class: np.ndarray | None = None
    stimulus: np.ndarray | None = None
    fold: np.ndarray | None = None
    repeat: np.ndarray | None = None
    session: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class _Level:
    """Predictions at one level (segments or trials), with their clusters and folds."""

    truth: np.ndarray
    probabilities: np.ndarray
    clusters: Clusters
    fold: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        return confusion_matrix(self.truth, self.predicted, self.probabilities.shape[1])


def score(predictions: SegmentPredictions, options: ResamplingOptions | None = None) -> Scores:
    """Score predictions over segments and over trials.

    If segments were predicted in several repeats, a trial is averaged within each repeat, never
    over models. Resampling and permutations move all predictions of a trial together, so repeats do
    not add trials.

    Parameters
    ----------
    predictions
        Predictions of segments that were not used in training.
    options
        Options of the intervals and p-values; the defaults if None.

    Raises
    ------
    MilmerError
        There are no predictions, a probability is not finite, or a trial has segments of different
        classes.
    """
    options = options or ResamplingOptions()
    truth = np.asarray(predictions.truth, np.int64)
    probabilities = np.asarray(predictions.probabilities, np.float64)
    class_names = tuple(predictions.class_names)
    _check_predictions(truth, probabilities, len(class_names))
    trial_names, first_row, trial = np.unique(
        predictions.trial_id, return_index=True, return_inverse=True
    )
    if np.any(mixed := truth != truth[first_row][trial]):
        raise MilmerError(
            f"Trial {trial_names[trial[mixed][0]]} has segments of different classes."
        )
    participant = np.asarray(predictions.participant)
    stimulus = trial if predictions.stimulus is None else np.asarray(predictions.stimulus)
    fold = np.zeros(len(truth)) if predictions.fold is None else np.asarray(predictions.fold)
    session = participant if predictions.session is None else np.asarray(predictions.session)
    columns = {"participant": participant, "stimulus": stimulus, "session": session}
    clusters = Clusters.along(options.axes, columns)
    # under the session protocol, labels are exchanged within sessions
    exchanged = session if "session" in options.axes else participant

    repeat = np.zeros(len(truth)) if predictions.repeat is None else predictions.repeat
    averaged = Trials.of(predictions.trial_id, repeat)
    first_segment = averaged.first
    segments = _Level(truth, probabilities, clusters, fold)
    trials = _Level(
        truth[first_segment],
        averaged.mean(probabilities),
        clusters.at(first_segment),
        fold[first_segment],
    )
    undefined: dict[str, str] = {}
    trial_undefined: dict[str, str] = {}
    if clusters.too_few:
        undefined["intervals"] = clusters.too_few
    segment_estimates = _estimates(segments, options, undefined)
    trial_estimates = _estimates(trials, options, trial_undefined)
    if reason := trial_undefined.get("interval of accuracy"):
        undefined["interval of trial accuracy"] = reason
    return Scores(
        class_names=class_names,
        n_segments=len(truth),
        n_trials=len(trial_names),
        n_participants=len(np.unique(participant)),
        n_stimuli=len(np.unique(stimulus)),
        segment=segment_estimates,
        trial=trial_estimates,
        classes=_class_scores(segments, class_names, undefined),
        confusion=segments.confusion,
        trial_confusion=trials.confusion,
        participants=_participant_scores(segments, trials, participant, averaged.number),
        majority=_majority_rates(predictions, truth, np.arange(len(truth))),
        trial_majority=_majority_rates(predictions, truth, first_segment),
        chance=_chance(
            truth[first_row],
            (
                _votes(trial, segments.predicted, len(trial_names), len(class_names)),
                _votes(trial[first_segment], trials.predicted, len(trial_names), len(class_names)),
            ),
            exchanged[first_row],
            stimulus[first_row],
            options,
            undefined,
        ),
        resampling=options,
        n_repeats=len(np.unique(repeat)),
        undefined=undefined,
    )


def _majority_rates(
    predictions: SegmentPredictions, truth: np.ndarray, rows: np.ndarray
) -> MajorityRates:
    """Accuracy on some rows of predicting each kind of majority class."""
    truth = truth[rows]

    def rate(classes: np.ndarray | None) -> float:
        return math.nan if classes is None else float(np.mean(np.asarray(classes)[rows] == truth))

    return MajorityRates(
        overall=rate(predictions.majority_class),
        participant=rate(predictions.participant_majority_class),
        stimulus=rate(predictions.stimulus_majority_class),
        test=_largest_share(truth),
    )


def _largest_share(truth: np.ndarray) -> float:
    return float(np.bincount(truth).max() / len(truth))


def _check_predictions(truth: np.ndarray, probabilities: np.ndarray, n_classes: int) -> None:
    if not len(truth):
        raise MilmerError("Scoring needs at least one prediction, got none.")
    if probabilities.shape != (len(truth), n_classes):
        raise MilmerError(
            f"Probabilities: expected shape {(len(truth), n_classes)} (segments, classes), got "
            f"{probabilities.shape}."
        )
    if truth.min() < 0 or truth.max() >= n_classes:
        raise MilmerError(
            f"True classes: expected 0 to {n_classes - 1}, got {truth.min()} to {truth.max()}."
        )
    n_not_finite = int(np.sum(~np.isfinite(probabilities).all(axis=1)))
    if n_not_finite:
        raise MilmerError(
            f"{n_not_finite} of {len(truth)} predictions are not finite.",
            "The training may have diverged: lower train.lr or use float32.",
        )


def _estimates(
    level: _Level, options: ResamplingOptions, undefined: dict[str, str]
) -> dict[str, Estimate]:
    """Values and intervals of all metrics; reasons for undefined ones go to ``undefined``."""
    truth, probabilities = level.truth, level.probabilities
    bins, confidence, correct = confidence_bins(truth, probabilities)
    gaps = np.bincount(bins, correct - confidence, N_BINS)
    values: dict[str, Any] = {
        **confusion_scores(level.confusion),
        "auc": mean_defined(roc_auc(truth, probabilities, level.fold)),
        "brier": brier_losses(truth, probabilities).mean(),
        "calibration_error": np.abs(gaps).sum() / len(truth),
    }
    errors = {}
    if not level.clusters.too_few:
        errors = score_standard_errors(truth, probabilities, level.clusters, level.fold, options)
    estimates = {}
    for name in METRICS:
        value = float(values[name])
        half = errors.get(name, UNDEFINED).half_width(options.confidence_level)
        lowest, highest = METRIC_RANGES[name]
        estimates[name] = Estimate(value, max(value - half, lowest), min(value + half, highest))
        if math.isnan(half):
            estimates[name] = Estimate(value, math.nan, math.nan)
        if math.isnan(value):
            undefined[name] = "a class without the segments that it needs"
        elif name in errors and not errors[name].value > 0:
            undefined[f"interval of {name}"] = "it does not vary between clusters"
    return estimates


def _class_scores(
    segments: _Level, class_names: Sequence[str], undefined: dict[str, str]
) -> tuple[ClassScores, ...]:
    columns = per_class_scores(segments.confusion)
    columns["auc"] = roc_auc(segments.truth, segments.probabilities, segments.fold)
    for name in ("precision", "recall", "f1", "auc"):
        if n_undefined := int(np.isnan(columns[name]).sum()):
            classes = "1 class" if n_undefined == 1 else f"{n_undefined} classes"
            undefined[f"{name} of a class"] = f"{classes} without the segments that it needs"
    return tuple(
        ClassScores(
            name=name,
            precision=float(columns["precision"][index]),
            recall=float(columns["recall"][index]),
            f1=float(columns["f1"][index]),
            auc=float(columns["auc"][index]),
            support=int(columns["support"][index]),
        )
        for index, name in enumerate(class_names)
    )


def _participant_scores(
    segments: _Level, trials: _Level, participant: np.ndarray, trial_repeat: np.ndarray
) -> tuple[ParticipantScores, ...]:
    """Score each participant; ``trial_repeat`` is the row of ``trials`` of each segment."""
    truth, predicted = segments.truth, segments.predicted
    trial_correct = trials.truth == trials.predicted
    n_classes = int(max(truth.max(), predicted.max())) + 1
    result = []
    for name in np.unique(participant):
        rows = participant == name
        trial_rows = np.unique(trial_repeat[rows])
        scores = confusion_scores(confusion_matrix(truth[rows], predicted[rows], n_classes))
        result.append(
            ParticipantScores(
                name=str(name),
                accuracy=float(scores["accuracy"]),
                balanced_accuracy=float(scores["balanced_accuracy"]),
                trial_accuracy=float(np.mean(trial_correct[trial_rows])),
                majority_rate=_largest_share(truth[rows]),
                trial_majority_rate=_largest_share(trials.truth[trial_rows]),
                n_segments=int(rows.sum()),
                n_trials=len(trial_rows),
            )
        )
    return tuple(result)


def _votes(trial: np.ndarray, predicted: np.ndarray, n_trials: int, n_classes: int) -> np.ndarray:
    """Count the predictions of each trial by class: (n_trials, n_classes)."""
    votes = np.zeros((n_trials, n_classes))
    np.add.at(votes, (trial, predicted), 1)
    return votes


def _chance(
    truth: np.ndarray,
    votes: tuple[np.ndarray, np.ndarray],
    participant: np.ndarray,
    stimulus: np.ndarray,
    options: ResamplingOptions,
    undefined: dict[str, str],
) -> Chance:
    """Compute chance from one row per trial.

    ``truth``, ``participant`` (or the session, whose trials are exchanged) and ``stimulus`` are
    (n_trials,). ``votes`` are two arrays (n_trials, n_classes), which count the predictions of the
    trial's segments, and of the trial as a whole (one per repeat).
    """
    segment, trial = (
        permutation_test(truth, counts, participant, stimulus, options) for counts in votes
    )
    if segment.undefined:
        undefined["p_value"] = segment.undefined
    if trial.undefined:
        undefined["p_value_trial"] = trial.undefined
    return Chance(
        level=1 / votes[0].shape[1],
        p_value=segment.p_value,
        low=segment.low,
        high=segment.high,
        p_value_trial=trial.p_value,
        low_trial=trial.low,
        high_trial=trial.high,
    )
