"""`Scores`, the result of scoring predictions, and `headline`, its summary in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from milmer_cli.json_files import to_json
from milmer_cli.metrics.resampling import (
    GENERALIZES_TO,
    MIN_CLUSTERS,
    MIN_TEST_TRIALS,
    ResamplingOptions,
)

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Protocol

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "kappa",
    "auc",
    "brier",
    "calibration_error",
)
"""Names of the metrics, in the order of all tables."""

PLURALS = {"participant": "participants", "stimulus": "stimuli", "session": "sessions"}
METRIC_RANGES = dict.fromkeys(METRICS, (0.0, 1.0)) | {"kappa": (-1.0, 1.0), "brier": (0.0, 2.0)}
"""Range of each metric; intervals do not exceed it."""

ALPHA = 0.05
"""Significance level of all statements."""


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval; NaN where undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class over segments; ``support`` is the number of its segments."""

    name: str
    precision: float
    recall: float
    f1: float
    auc: float
    support: int


@dataclass(frozen=True)
class ParticipantScores:
    """Scores of one participant.

    Attributes
    ----------
    name
        Name of the participant.
    accuracy, balanced_accuracy
        Computed over the participant's segments.
    trial_accuracy
        Computed over the participant's trials.
    majority_rate, trial_majority_rate
        Share of the participant's most frequent true class, over segments and over trials.
    n_segments, n_trials
        Counts.
    """

    name: str
    accuracy: float
    balanced_accuracy: float
    trial_accuracy: float
    majority_rate: float
    trial_majority_rate: float
    n_segments: int
    n_trials: int


@dataclass(frozen=True)
class Chance:
    """Accuracy without any relation between predictions and labels.

    Attributes
    ----------
    level
        One divided by the number of classes.
    p_value
        Permutation p-value of the accuracy over segments.
    low, high
        Middle 95 % (the confidence level) of the accuracy over segments with permuted labels.
    p_value_trial, low_trial, high_trial
        The same for the accuracy over trials.
    """

    level: float
    p_value: float
    low: float
    high: float
    p_value_trial: float
    low_trial: float
    high_trial: float


@dataclass(frozen=True)
class MajorityRates:
    """Accuracy of predictions that ignore the recording, over segments or over trials.

    Attributes
    ----------
    overall
        Majority class of the training set; NaN if the training set is unknown.
    participant, stimulus
        Majority class of the participant, of the stimulus, in the training set; NaN where the
        protocol does not share participants (stimuli) between training and test.
    test
        Share of the most frequent true class among the scored segments or trials.
    """

    overall: float
    participant: float
    stimulus: float
    test: float

    @property
    def reference(self) -> float:
        """Rate of the majority class to compare an accuracy with, from training where known."""
        return self.test if math.isnan(self.overall) else self.overall

    @property
    def sentence(self) -> str:
        """``majority class 38.2 % (of the participant 52.0 %, of the stimulus 41.0 %)``."""
        shared = [
            f"of the {name} {100 * rate:.1f} %"
            for name, rate in (("participant", self.participant), ("stimulus", self.stimulus))
            if not math.isnan(rate)
        ]
        return f"majority class {100 * self.reference:.1f} %" + (
            f" ({', '.join(shared)})" if shared else ""
        )


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a set of predictions. Rates are between 0 and 1.

    Attributes
    ----------
    class_names
        Names of the classes, in order.
    n_segments, n_trials, n_participants, n_stimuli
        Counts. A segment that was predicted in several repeats counts once per repeat, a trial
        counts once.
    segment, trial
        Estimates of all `METRICS` over segments, and over trials (mean probability of a trial's
        segments).
    classes
        Scores per class, over segments.
    confusion, trial_confusion
        (n_classes, n_classes) counts, rows are true classes.
    participants
        Scores per participant, sorted by name.
    majority, trial_majority
        Accuracy of the majority classes, over segments and over trials.
    chance
        Chance level and p-values.
    resampling
        Options of the intervals and p-values.
    n_repeats
        Number of repeats with other seeds.
    undefined
        Name of an undefined value -> reason. Empty if all values are defined.
    """

    class_names: tuple[str, ...]
    n_segments: int
    n_trials: int
    n_participants: int
    n_stimuli: int
    segment: Mapping[str, Estimate]
    trial: Mapping[str, Estimate]
    classes: tuple[ClassScores, ...]
    confusion: np.ndarray
    trial_confusion: np.ndarray
    participants: tuple[ParticipantScores, ...]
    majority: MajorityRates
    trial_majority: MajorityRates
    chance: Chance
    resampling: ResamplingOptions
    n_repeats: int
    undefined: Mapping[str, str]

    @property
    def accuracy(self) -> Estimate:
        """Accuracy over segments."""
        return self.segment["accuracy"]

    @property
    def trial_accuracy(self) -> Estimate:
        """Accuracy over trials, which the headline states."""
        return self.trial["accuracy"]

    @property
    def n_correct_trials(self) -> int:
        """Number of correctly predicted trials; a trial counts once per repeat."""
        return int(np.trace(self.trial_confusion))

    @property
    def too_few_trials(self) -> str:
        """Why the headline states no accuracy; empty if there are enough test trials."""
        if self.n_trials >= MIN_TEST_TRIALS:
            return ""
        trials = f"{self.n_trials} test trial{'s' if self.n_trials > 1 else ''}"
        return f"{trials}, at least {MIN_TEST_TRIALS} are needed for an accuracy"

    @property
    def above_chance(self) -> bool:
        """Whether the accuracy over trials is significantly above chance."""
        return not self.too_few_trials and self.chance.p_value_trial < ALPHA

    @property
    def participant_accuracy(self) -> dict[str, float]:
        """Summary of the participants' accuracies over segments; see `_spread`."""
        return _spread([participant.accuracy for participant in self.participants])

    @property
    def participant_trial_accuracy(self) -> dict[str, float]:
        """Summary of the participants' accuracies over trials; see `_spread`."""
        return _spread([participant.trial_accuracy for participant in self.participants])

    def to_json(self) -> dict[str, Any]:
        """Return the values for metrics.json; undefined values are None."""
        values: dict[str, Any] = to_json(self)
        return values | {
            "participant_accuracy": to_json(self.participant_accuracy),
            "participant_trial_accuracy": to_json(self.participant_trial_accuracy),
            "above_chance": self.above_chance,
        }


def _spread(accuracies: Sequence[float]) -> dict[str, float]:
    """``mean``, ``sd`` (NaN for one participant), ``min``, ``max`` over participants."""
    values = np.array(accuracies)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        "min": float(values.min()),
        "max": float(values.max()),
    }


def protocol_marks(leaky: bool, transductive: bool) -> str:
    """Return what every line and figure of a result must state, for example ``LEAKY``."""
    marks = {"LEAKY": leaky, "TRANSDUCTIVE": transductive}
    return ", ".join(name for name, applies in marks.items() if applies)


def headline(
    scores: Scores, protocol: Protocol, leaky: bool = False, transductive: bool = False
) -> str:
    """Summarize the accuracy in one line, with protocol, interval, majority rates and p-value.

    ``trial protocol: accuracy 41.7 % [33.1, 50.2] (trial level, 95 % interval over stimuli), 38.2 %
    at segment level, majority class 27.1 % (of the participant 30.4 %), chance 25 %, p = 0.012;
    generalizes to new trials with new stimuli of the same participants``. With fewer test trials
    than `MIN_TEST_TRIALS` the line has counts and no accuracy. The segment protocol is always
    labeled LEAKY; other protocols if ``leaky`` is true. ``transductive`` adds TRANSDUCTIVE.
    """
    marks = protocol_marks(leaky or protocol == "segment", transductive)
    mark = f" ({marks})" if marks else ""
    if scores.too_few_trials:
        return (
            f"{protocol} protocol{mark}: {scores.n_correct_trials} of "
            f"{int(scores.trial_confusion.sum())} test trials correct (no accuracy: at least "
            f"{MIN_TEST_TRIALS} test trials are needed); {reference_rates(scores, protocol)}"
        )
    return (
        f"{protocol} protocol{mark}: {result_text(scores, protocol)}; "
        f"generalizes to {generalizes_to(protocol, leaky, transductive)}"
    )


def reference_rates(scores: Scores, protocol: Protocol) -> str:
    """State what to compare an accuracy over trials with: majority classes and chance."""
    majority = scores.trial_majority.sentence
    if protocol == "cross-dataset":
        majority += f" (of the tested data set {100 * scores.trial_majority.test:.1f} %)"
    return f"{majority}, chance {100 * scores.chance.level:.3g} %"


def result_text(scores: Scores, protocol: Protocol) -> str:
    """State the accuracy over trials and over segments, the majority rates, and the p-value."""
    p_value = scores.chance.p_value_trial
    reason = scores.undefined.get("p_value_trial", "") if math.isnan(p_value) else ""
    references = reference_rates(scores, protocol)
    return (
        f"accuracy {100 * scores.trial_accuracy.value:.1f} % {interval_text(scores)}, "
        f"{100 * scores.accuracy.value:.1f} % at segment level, {references}, "
        f"{format_p(p_value)}" + (f" ({reason})" if reason else "")
    )


def generalizes_to(protocol: Protocol, leaky: bool = False, transductive: bool = False) -> str:
    """State what an accuracy under a protocol generalizes to, or why it does not."""
    if leaky and protocol != "segment":
        return "nobody: the test set was used in training or to select the epoch"
    known = ", if all of their EEG is known (without labels)" if transductive else ""
    return GENERALIZES_TO[protocol] + known


def interval_text(scores: Scores) -> str:
    """State the interval of the accuracy over trials, or why there is none."""
    low, high = scores.trial_accuracy.low, scores.trial_accuracy.high
    bounds = "" if math.isnan(low) else f"[{100 * low:.1f}, {100 * high:.1f}] "
    return f"{bounds}(trial level, {interval_note(scores)})"


def interval_note(scores: Scores) -> str:
    """State what the interval of the accuracy over trials is, or why there is none."""
    options = scores.resampling
    if math.isnan(scores.trial_accuracy.low):
        undefined = scores.undefined
        reason = undefined.get("intervals") or undefined.get("interval of trial accuracy")
        return f"no interval: {reason}"
    over = " and ".join(PLURALS[axis] for axis in options.axes)
    if scores.n_participants < MIN_CLUSTERS:
        return f"approximate interval over {over}: fewer than {MIN_CLUSTERS} participants"
    return f"{100 * options.confidence_level:g} % interval over {over}"


def format_p(p_value: float) -> str:
    """Format a p-value: ``p = 0.012``, ``p < 0.001`` or ``p undefined``."""
    if math.isnan(p_value):
        return "p undefined"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
