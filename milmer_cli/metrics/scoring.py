"""From predictions to `Scores`: the one place where everything about them is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from milmer_cli.errors import MilmerError
from milmer_cli.metrics import resampling, values
from milmer_cli.metrics.scores import (
    METRICS,
    Chance,
    ClassScores,
    Estimate,
    ParticipantScores,
    Scores,
    Unit,
)

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Protocol


def score(
    truth: np.ndarray,
    probabilities: np.ndarray,
    participant: np.ndarray,
    trial_id: np.ndarray,
    class_names: Sequence[str],
    *,
    majority: np.ndarray | None = None,
    unit: Unit = "trial",
    resamples: int = 2000,
    permutations: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    repeat: np.ndarray | None = None,
    clip: np.ndarray | None = None,
) -> Scores:
    """Score the predictions of segments that took no part in training.

    Parameters
    ----------
    truth
        (n_segments,) classes.
    probabilities
        (n_segments, n_classes), rows summing to 1.
    participant, trial_id
        (n_segments,) who, and which trial (unique over participants).
    class_names
        Names of the classes.
    majority
        (n_segments,) commonest class of the training part that each prediction comes from.
    unit
        What the intervals resample; see `resampled_unit`.
    resamples, permutations, confidence, seed
        Of the intervals and p-values.
    repeat
        (n_segments,) which repetition (another seed) a prediction comes from, where a segment was
        predicted more than once. A trial is then averaged within each repetition, never over
        models, and intervals and shuffles move all predictions of a trial together: repeating an
        evaluation makes no trial out of nothing.
    clip
        (n_segments,) what was shown. Participants who saw the same clips are then shuffled alike.

    Raises
    ------
    MilmerError
        There is nothing to score, a probability is not finite, a trial has two classes, or clips
        are to be resampled and not given.
    """
    truth, probabilities = np.asarray(truth, np.int64), np.asarray(probabilities, np.float64)
    participant, trial_id = np.asarray(participant), np.asarray(trial_id)
    _refuse(truth, probabilities, len(class_names))
    n_classes = len(class_names)
    trials, opening, trial = np.unique(trial_id, return_index=True, return_inverse=True)
    if np.any(truth != truth[opening][trial]):
        mixed = trials[trial[truth != truth[opening][trial]][0]]
        raise MilmerError(f"Trial {mixed} has segments of different classes.")
    repeats, which = np.unique(
        np.zeros(len(truth)) if repeat is None else repeat, return_inverse=True
    )
    # a pass: one trial as one repetition predicted it
    _, first, passed = np.unique(
        trial * len(repeats) + which, return_index=True, return_inverse=True
    )
    pass_truth, pass_probabilities = truth[first], np.zeros((len(first), n_classes))
    np.add.at(pass_probabilities, passed, probabilities)
    pass_probabilities /= np.bincount(passed)[:, None]

    people, who = np.unique(participant, return_inverse=True)
    if unit == "clip" and clip is None:
        raise MilmerError("Intervals over clips need to know which clip each segment is of.")
    clips = trial if clip is None else np.unique(clip, return_inverse=True)[1]
    segment_unit = {"trial": trial, "participant": who, "clip": clips}[unit]
    undefined: dict[str, int] = {}
    options = (resamples, confidence, seed, undefined)
    over_segments = _estimates(truth, probabilities, segment_unit, *options)
    over_trials = _estimates(
        pass_truth, pass_probabilities, segment_unit[first], resamples, confidence, seed, {}
    )
    predicted, pass_predicted = probabilities.argmax(axis=1), pass_probabilities.argmax(axis=1)
    matrix = values.confusion(truth, predicted, n_classes)
    return Scores(
        class_names=tuple(class_names),
        n_segments=len(truth),
        n_trials=len(trials),
        n_participants=len(people),
        segment=over_segments,
        trial=over_trials,
        classes=_classes(truth, probabilities, matrix, class_names, undefined),
        confusion=matrix,
        trial_confusion=values.confusion(pass_truth, pass_predicted, n_classes),
        participants=tuple(
            _participant(
                str(name), who == number, truth, predicted, passed, pass_truth == pass_predicted
            )
            for number, name in enumerate(people)
        ),
        majority=math.nan if majority is None else float(np.mean(np.asarray(majority) == truth)),
        majority_test=float(np.bincount(truth).max() / len(truth)),
        chance=_chance(
            truth[opening],
            _votes(trial, predicted, len(trials), n_classes),
            _votes(trial[first], pass_predicted, len(trials), n_classes),
            participant[opening],
            clips[opening],
            permutations,
            confidence,
            seed,
        ),
        unit=unit,
        confidence=confidence,
        resamples=resamples,
        repeats=len(repeats),
        undefined=undefined,
    )


def resampled_unit(protocol: Protocol) -> Unit:
    """Say what intervals resample: what the protocol keeps whole, participants before clips."""
    if "participant" in protocol:
        return "participant"
    return "clip" if protocol == "stimulus" else "trial"


def _refuse(truth: np.ndarray, probabilities: np.ndarray, n_classes: int) -> None:
    if not len(truth):
        raise MilmerError("There is no prediction to score.")
    if probabilities.shape != (len(truth), n_classes):
        raise MilmerError(
            f"Probabilities of shape {probabilities.shape} do not fit {len(truth)} segments "
            f"and {n_classes} classes."
        )
    if truth.min() < 0 or truth.max() >= n_classes:
        raise MilmerError("A segment without a class was given to be scored.")
    broken = int(np.sum(~np.isfinite(probabilities).all(axis=1)))
    if broken:
        raise MilmerError(
            f"{broken} of {len(truth)} predictions are not finite.",
            "The training may have diverged: lower train.lr or use float32.",
        )


def _estimates(
    truth: np.ndarray,
    probabilities: np.ndarray,
    unit: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
    undefined: dict[str, int],
) -> dict[str, Estimate]:
    n_classes = probabilities.shape[1]
    bins, sure, right = values.calibration_bins(truth, probabilities)
    gap = np.bincount(bins, right - sure, values.BINS)
    everyone = np.ones((1, len(truth)), dtype=np.float32)
    found: dict[str, Any] = {
        **values.from_confusion(values.confusion(truth, probabilities.argmax(axis=1), n_classes)),
        "auc": values.mean_defined(values.auc(truth, probabilities, everyone))[0],
        "brier": values.brier(truth, probabilities).mean(),
        "calibration_error": np.abs(gap).sum() / len(truth),
    }
    drawn = {}
    if unit.max() > 0:  # a single unit drawn again and again is no interval
        drawn = resampling.bootstrap(truth, probabilities, unit, resamples, seed)
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    result = {}
    for name in METRICS:
        low = high = math.nan
        if name in drawn:
            defined = drawn[name][~np.isnan(drawn[name])]
            if len(defined) < resamples:
                undefined[f"bootstrap {name}"] = resamples - len(defined)
            if len(defined):
                low, high = np.percentile(defined, tails)
        if math.isnan(found[name]):
            undefined[name] = 1
        result[name] = Estimate(float(found[name]), float(low), float(high))
    return result


def _classes(
    truth: np.ndarray,
    probabilities: np.ndarray,
    matrix: np.ndarray,
    class_names: Sequence[str],
    undefined: dict[str, int],
) -> tuple[ClassScores, ...]:
    each = values.per_class(matrix)
    each["auc"] = values.auc(truth, probabilities, np.ones((1, len(truth)), np.float32))[0]
    for name in ("precision", "recall", "f1", "auc"):
        missing = int(np.isnan(each[name]).sum())
        if missing:
            undefined[f"{name} of a class"] = missing
    return tuple(
        ClassScores(
            name=name,
            precision=float(each["precision"][k]),
            recall=float(each["recall"][k]),
            f1=float(each["f1"][k]),
            auc=float(each["auc"][k]),
            support=int(each["support"][k]),
        )
        for k, name in enumerate(class_names)
    )


def _participant(
    name: str,
    rows: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    passed: np.ndarray,
    pass_right: np.ndarray,
) -> ParticipantScores:
    theirs = np.unique(passed[rows])
    n_classes = int(max(truth.max(), predicted.max())) + 1
    found = values.from_confusion(values.confusion(truth[rows], predicted[rows], n_classes))
    return ParticipantScores(
        name=name,
        accuracy=float(found["accuracy"]),
        balanced_accuracy=float(found["balanced_accuracy"]),
        trial_accuracy=float(np.mean(pass_right[theirs])),
        majority=float(np.bincount(truth[rows]).max() / rows.sum()),
        n_segments=int(rows.sum()),
        n_trials=len(theirs),
    )


def _votes(trial: np.ndarray, predicted: np.ndarray, n_trials: int, n_classes: int) -> np.ndarray:
    """(n_trials, n_classes) how many predictions of a trial named each class."""
    votes = np.zeros((n_trials, n_classes))
    np.add.at(votes, (trial, predicted), 1)
    return votes


def _chance(
    truth: np.ndarray,
    votes: np.ndarray,
    trial_votes: np.ndarray,
    participant: np.ndarray,
    clip: np.ndarray,
    permutations: int,
    confidence: float,
    seed: int,
) -> Chance:
    """Chance from trials: (n_trials,) truth, participant and clip, (n_trials, C) votes.

    ``votes`` are those of the segments, ``trial_votes`` those of the trial as a whole, one a
    repetition.
    """
    n_trials, n_classes = votes.shape
    numbers = np.arange(n_trials)
    shuffling = participant, permutations, seed, clip
    null = resampling.permuted_accuracy(truth, votes, *shuffling)
    trial_null = resampling.permuted_accuracy(truth, trial_votes, *shuffling)
    low, high = np.percentile(null, [50 * (1 - confidence), 50 * (1 + confidence)])
    rate = trial_votes[numbers, truth].sum() / trial_votes.sum()
    guessed = resampling.binomial_band(n_trials, 1 / n_classes, confidence)
    return Chance(
        level=1 / n_classes,
        p=resampling.permutation_p(votes[numbers, truth].sum() / votes.sum(), null),
        low=float(low),
        high=float(high),
        p_trial=resampling.permutation_p(rate, trial_null),
        p_binomial=resampling.binomial_p(
            round(rate * n_trials), n_trials, np.bincount(truth).max() / n_trials
        ),
        binomial_low=guessed[0],
        binomial_high=guessed[1],
    )
