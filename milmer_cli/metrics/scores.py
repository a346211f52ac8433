"""The one result type of an evaluation, and the one line in which it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Protocol

Unit = Literal["trial", "participant", "clip"]

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
"""Names of the scores, in the order in which they are shown."""


@dataclass(frozen=True)
class Estimate:
    """A score with its interval; NaN where undefined, as the interval of a single unit is."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScores:
    """How one class fares, over segments."""

    name: str
    precision: float
    recall: float
    f1: float
    auc: float
    support: int


@dataclass(frozen=True)
class ParticipantScores:
    """How one participant fares. ``majority`` is the share of the commonest class of theirs."""

    name: str
    accuracy: float
    balanced_accuracy: float
    trial_accuracy: float
    majority: float
    n_segments: int
    n_trials: int


@dataclass(frozen=True)
class Chance:
    """What luck gives.

    Attributes
    ----------
    level
        One over the number of classes.
    p
        Permutation p-value of the accuracy over segments.
    low, high
        Band of accuracies under shuffled labels, at the confidence of the intervals.
    p_trial
        Permutation p-value of the accuracy over trials.
    p_binomial
        Chance of at least as many right trials when guessing at the majority rate of the trials.
    binomial_low, binomial_high
        Band of accuracies over trials when guessing at one over the number of classes.
    """

    level: float
    p: float
    low: float
    high: float
    p_trial: float
    p_binomial: float
    binomial_low: float
    binomial_high: float


@dataclass(frozen=True, eq=False)
class Scores:
    """Everything known of a set of predictions. Shares are from 0 to 1.

    Attributes
    ----------
    class_names
        Names of the classes, in order.
    n_segments, n_trials, n_participants
        How many of each were predicted; a segment that several repetitions predicted counts as
        often, a trial once.
    segment, trial
        Each of `METRICS` over segments, and over trials by their mean probability.
    classes
        Per class, over segments.
    confusion, trial_confusion
        (n_classes, n_classes) counts, rows the truth.
    participants
        Per participant, sorted by name.
    majority
        Accuracy over segments of always naming the commonest class of the training part; NaN when
        the training part was not given.
    majority_test
        Share of the commonest class among the segments that were predicted.
    chance
        What luck gives.
    unit, confidence, resamples
        What the intervals resample, at which level, how often.
    repeats
        How often everything was repeated, with other seeds.
    undefined
        How many values were undefined, by score: classes for a per-class score, and
        ``bootstrap NAME`` for resamples in which a score was. Empty when none.
    """

    class_names: tuple[str, ...]
    n_segments: int
    n_trials: int
    n_participants: int
    segment: Mapping[str, Estimate]
    trial: Mapping[str, Estimate]
    classes: tuple[ClassScores, ...]
    confusion: np.ndarray
    trial_confusion: np.ndarray
    participants: tuple[ParticipantScores, ...]
    majority: float
    majority_test: float
    chance: Chance
    unit: Unit
    confidence: float
    resamples: int
    repeats: int
    undefined: Mapping[str, int]

    @property
    def spread(self) -> tuple[float, float, float, float]:
        """Mean, standard deviation (NaN for one), lowest and highest accuracy over participants."""
        each = np.array([person.accuracy for person in self.participants])
        deviation = float(each.std(ddof=1)) if len(each) > 1 else math.nan
        return float(each.mean()), deviation, float(each.min()), float(each.max())

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is undefined is null."""
        plain = asdict(self)
        plain["confusion"] = self.confusion.tolist()
        plain["trial_confusion"] = self.trial_confusion.tolist()
        plain["spread"] = dict(zip(("mean", "sd", "min", "max"), self.spread, strict=True))
        return _plain(plain)


def headline(scores: Scores, protocol: Protocol, leaky: bool = False) -> str:
    """Tell the accuracy in one honest line.

    ``trial protocol: accuracy 41.7 % [33.1, 50.2] (95 % over trials), majority 27.1 %, p = 0.012``;
    the segment protocol is always labelled LEAKY, any other when the caller knows it to be.
    """
    found, chance = scores.segment["accuracy"], scores.chance
    name = f"{protocol} protocol" + (" (LEAKY)" if leaky or protocol == "segment" else "")
    interval = "no interval"
    if not math.isnan(found.low):
        interval = f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"
    rate = scores.majority_test if math.isnan(scores.majority) else scores.majority
    return (
        f"{name}: accuracy {100 * found.value:.1f} % {interval} "
        f"({100 * scores.confidence:g} % over {scores.unit}s), "
        f"majority {100 * rate:.1f} %, {format_p(chance.p)}"
    )


def format_p(p: float) -> str:
    """``p = 0.012``, ``p < 0.001``, or ``p undefined``."""
    if math.isnan(p):
        return "p undefined"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
