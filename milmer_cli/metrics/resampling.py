"""What intervals and p-values resample, and how often.

Segments of one trial are correlated, and so are trials of one participant, of one recording session
and with one stimulus. The unit of resampling is therefore a whole participant, a whole session or a
whole stimulus, depending on what the result is to generalize to. Sessions are resampled within each
participant, because the participants stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from milmer_cli.settings import Settings
    from milmer_cli.settings.schema import Protocol

Axis = Literal["participant", "stimulus", "session"]

SAMPLED_AXES: dict[str, tuple[Axis, ...]] = {
    "segment": (),
    "trial": ("stimulus",),
    "session": ("session",),
    "participant": ("participant",),
    "stimulus": ("stimulus",),
    "participant-stimulus": ("participant", "stimulus"),
    "cross-dataset": ("participant",),
}
"""What an interval under each protocol treats as a sample of a larger population."""

GENERALIZES_TO = {
    "segment": "nobody: segments of the tested trials were in the training set",
    "trial": "new trials with new stimuli of the same participants",
    "session": "new recording sessions of the same participants",
    "participant": "new participants who see the same stimuli",
    "stimulus": "new stimuli shown to the same participants",
    "participant-stimulus": "new participants who see new stimuli",
    "cross-dataset": "new participants of the tested data set, from training on another one",
}
"""What a result under each protocol generalizes to."""

MIN_CLUSTERS = 5
"""Fewest participants, or stimuli, for which an interval is reported.

With sessions, the degrees of freedom are the same: sessions minus participants, at least 4.

The coverage was simulated from 5 on (bench/coverage.py).
"""

MIN_TEST_TRIALS = 14
"""Fewest test trials for which a headline states an accuracy.

With fewer independent trials, even twice the chance level of four classes (50 %) cannot be
distinguished from chance: of 14 trials 7 or more are correct by chance with a probability of 0.038,
of 12 trials 6 or more with 0.054 (binomial distribution).
"""


@dataclass(frozen=True)
class ResamplingOptions:
    """How intervals and p-values are computed.

    Attributes
    ----------
    axes
        What is sampled; see `SAMPLED_AXES`.
    n_bootstraps, n_permutations
        Numbers of resamples.
    confidence_level
        Confidence level of the intervals, for example 0.95.
    margin
        Largest difference between two accuracies that is regarded as equal in practice.
    seed
        Seed of the random generators.
    """

    axes: tuple[Axis, ...] = ("stimulus",)
    n_bootstraps: int = 2000
    n_permutations: int = 2000
    confidence_level: float = 0.95
    margin: float = 0.02
    seed: int = 0

    @classmethod
    def from_settings(cls, settings: Settings, protocol: Protocol) -> ResamplingOptions:
        """Options of the section ``evaluate`` for predictions under a protocol."""
        return cls(
            axes=SAMPLED_AXES[protocol],
            n_bootstraps=settings.evaluate.n_bootstraps,
            n_permutations=settings.evaluate.n_permutations,
            confidence_level=settings.evaluate.confidence_level,
            margin=settings.evaluate.equivalence_margin,
            seed=settings.seed,
        )

    @property
    def percentiles(self) -> tuple[float, float]:
        """Lower and upper percentile of a two-sided interval."""
        return 50 * (1 - self.confidence_level), 50 * (1 + self.confidence_level)
