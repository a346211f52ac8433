"""Coverage of intervals, and false-positive rates of p-values, under the session protocol.

Every participant has the same number of recording sessions, and sees the same clips in each. A
segment is predicted correctly with a probability whose logit is the sum of a participant effect, a
session effect, a clip effect and a trial effect (sd 0.5 each). The result generalizes to new
sessions of the same participants with the same clips: the expected accuracy is computed by
quadrature over the session and trial effects, given the participants and the clips. With
``--own-clips``, every session has clips of its own, and the expected accuracy is also over clips.

    python bench/session_coverage.py --repeats 1000     # all designs: about 20 minutes on one core

Prints one row per design, with the columns of ``bench/coverage.py``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy import special

sys.path.insert(0, str(Path(__file__).parent))

from coverage import (
    MEAN_LOGIT,
    N_CLASSES,
    N_SEGMENTS,
    SD,
    expected_scores,
    mean_over_normal,
    probabilities_of,
    trial_accuracy,
    trial_rates,
)

from milmer_cli.metrics import ResamplingOptions, SegmentPredictions, score
from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.permutation import permutation_test
from milmer_cli.metrics.significance import compare_models

AXES = ("session",)


@dataclass(frozen=True)
class SessionDesign:
    """A simulated study: the sessions of each participant, and the clips of each session."""

    n_participants: int
    n_sessions: int
    n_clips: int
    own_clips: bool = False

    def columns(self) -> dict[str, np.ndarray]:
        """Participant, session (unique over participants) and stimulus of each trial."""
        shape = self.n_participants, self.n_sessions, self.n_clips
        participant, session, clip = (index.ravel() for index in np.indices(shape))
        session = participant * self.n_sessions + session
        stimulus = session * self.n_clips + clip if self.own_clips else clip
        return {"participant": participant, "session": session, "stimulus": stimulus}


@dataclass(frozen=True)
class SessionStudy:
    """Effects of one simulated study on the logit of a correct prediction, and the trials."""

    design: SessionDesign
    effects: dict[str, np.ndarray]

    @classmethod
    def draw(cls, design: SessionDesign, random: np.random.Generator) -> SessionStudy:
        """Draw the effects of a study."""
        columns = design.columns()
        return cls(
            design,
            {name: random.normal(0, SD, column.max() + 1) for name, column in columns.items()},
        )

    def rival(self, random: np.random.Generator) -> SessionStudy:
        """Effects of an equally good model: new in what is sampled, else the same."""
        sampled = ("session", "stimulus") if self.design.own_clips else ("session",)
        new = {
            name: (self.effects[name] + random.normal(0, SD, len(self.effects[name]))) / np.sqrt(2)
            for name in sampled
        }
        return SessionStudy(self.design, {**self.effects, **new})

    def correct(self, random: np.random.Generator) -> np.ndarray:
        """(n_trials, N_SEGMENTS) correctness of each segment, with new trial effects."""
        columns = self.design.columns()
        logit = MEAN_LOGIT + sum(self.effects[name][column] for name, column in columns.items())
        logit = logit + random.normal(0, SD, len(logit))
        correct = random.random((len(logit), N_SEGMENTS)) < special.expit(logit)[:, None]
        return np.asarray(correct)

    def expected(self, function: Callable[[np.ndarray], np.ndarray]) -> float:
        """Mean of a function of the logit over new sessions of the same participants."""
        fixed = MEAN_LOGIT + self.effects["participant"][:, None]
        if not self.design.own_clips:
            fixed = fixed + self.effects["stimulus"][None]
        n_random = 3 if self.design.own_clips else 2
        return float(mean_over_normal(fixed, np.sqrt(n_random) * SD, function).mean())


def covered(
    design: SessionDesign,
    seed: int,
    expected: dict[str, np.ndarray],
    rates: np.ndarray,
    n_bootstraps: int,
) -> dict[str, bool]:
    """Whether the interval of each score covers its expected value."""
    random = np.random.default_rng([seed, design.n_participants, design.n_sessions, design.n_clips])
    study = SessionStudy.draw(design, random)
    correct = study.correct(random)
    rows = np.repeat(np.arange(len(correct)), N_SEGMENTS)
    columns = {name: column[rows] for name, column in design.columns().items()}
    truth = random.integers(0, N_CLASSES, len(correct))[rows]
    probabilities = probabilities_of(truth, correct.ravel(), random)
    fold = columns["session"] % design.n_sessions
    predictions = SegmentPredictions(
        truth, probabilities, columns["participant"], rows, list("abcd"),
        stimulus=columns["stimulus"], session=columns["session"], fold=fold,
    )  # fmt: skip
    options = ResamplingOptions(axes=AXES, n_bootstraps=n_bootstraps, n_permutations=20, seed=seed)
    scores, accuracy = score(predictions, options), study.expected(special.expit)
    hits = {
        name: bool(estimate.low <= np.polyval(expected[name], accuracy) <= estimate.high)
        for name, estimate in scores.segment.items()
        if name != "calibration_error"  # reported without an interval
    }
    over_trials = scores.trial["accuracy"]
    target = study.expected(partial(trial_accuracy, rates=rates))
    return hits | {"trial_accuracy": bool(over_trials.low <= target <= over_trials.high)}


def permutation_is_small(design: SessionDesign, seed: int, n_permutations: int) -> bool:
    """Whether p <= 0.05 if predictions are independent of the labels.

    Labels and predictions each depend on the participant, the session and the clip.
    """
    random = np.random.default_rng([seed, design.n_participants, design.n_sessions, 1])
    columns = design.columns()

    def classes() -> np.ndarray:
        preference = sum(
            random.normal(0, 1, (column.max() + 1, N_CLASSES))[column]
            for column in columns.values()
        )
        noise = random.gumbel(size=(len(columns["session"]), N_CLASSES))
        return np.asarray((preference + noise).argmax(axis=1))

    votes = N_SEGMENTS * np.eye(N_CLASSES)[classes()]
    options = ResamplingOptions(axes=AXES, n_permutations=n_permutations, seed=seed)
    result = permutation_test(classes(), votes, columns["session"], columns["stimulus"], options)
    return result.p_value <= 0.05


def comparison_errors(design: SessionDesign, seed: int) -> tuple[bool, bool]:
    """Whether p < 0.05 for equally good models, and for equality of models at the margin."""
    random = np.random.default_rng([seed, design.n_participants, design.n_sessions, 2])
    study = SessionStudy.draw(design, random)
    first = study.correct(random).ravel().astype(float)
    second = study.rival(random).correct(random).ravel().astype(float)
    rows = np.repeat(np.arange(len(first) // N_SEGMENTS), N_SEGMENTS)
    columns = {name: column[rows] for name, column in design.columns().items()}
    options = ResamplingOptions(axes=AXES, margin=0.2)
    same, different = compare_models(
        {"A": first, "B": second, "C": second + options.margin},
        Clusters.along(AXES, columns),
        "A",
        options,
    )
    return bool(same.p_value < 0.05), different.equal


def run(
    design: SessionDesign,
    repeats: int,
    parallel: Parallel,
    expected: dict[str, np.ndarray],
    rates: np.ndarray,
) -> list[float]:
    """Simulate one design; return the rates of a row of the table."""
    seeds = range(repeats)
    hits = parallel(delayed(covered)(design, seed, expected, rates, 400) for seed in seeds)
    small = parallel(delayed(permutation_is_small)(design, seed, 199) for seed in seeds)
    errors = parallel(delayed(comparison_errors)(design, seed) for seed in seeds)
    found = {name: float(np.mean([hit[name] for hit in hits])) for name in hits[0]}
    main = [found.pop("accuracy"), found.pop("trial_accuracy")]
    return [
        *main, min(found.values()), max(found.values()), float(np.mean(small)),
        *np.mean(errors, axis=0).tolist(),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--participants", type=int, nargs="+", default=[5, 8, 20])
    parser.add_argument("--sessions", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--clips", type=int, nargs="+", default=[16])
    parser.add_argument("--own-clips", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    columns = ["participants", "sessions each", "clips", "accuracy", "trial accuracy", "lowest"]
    columns += ["highest", "permutation", "comparison", "equality"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    expected, trials = expected_scores(), trial_rates()
    with Parallel(n_jobs=options.workers, batch_size=20) as parallel:
        for sizes in itertools.product(options.participants, options.sessions, options.clips):
            design = SessionDesign(*sizes, options.own_clips)
            rates = run(design, options.repeats, parallel, expected, trials)
            cells = [*map(str, sizes), *(f"{rate:.3f}" for rate in rates)]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
