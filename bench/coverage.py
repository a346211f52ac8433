"""Coverage of all intervals, and false-positive rates of all p-values, on simulated studies.

A segment is predicted correctly with a probability whose logit is the sum of a participant effect
(sd 0.5), a stimulus effect (sd 0.5) and a trial effect (sd 0.5). Because the classes are exchanged
at random, every score has a known expected value that depends only on the expected accuracy, which
is computed by quadrature: given the participants (trial and stimulus protocols), given the stimuli
(participant protocol), or over both populations (participant-stimulus protocol). The stimulus
protocol has the rows of the trial protocol, because both sample stimuli.

    python bench/coverage.py --repeats 1000     # all designs: about an hour on one core
    python bench/coverage.py --repeats 100 --participants 5 32 --stimuli 40
    python bench/coverage.py --repeats 1000 --segments 1 --missing 0      # one value per trial
    python bench/coverage.py --training-sd 0.1 --folds 2

Prints one row per design and protocol: the coverage of the nominal 95 % interval of the accuracy
over segments and over trials, the lowest and the highest coverage among the other scores over
segments, the share of permutation tests with p <= 0.05 on predictions that are independent of the
labels, the share of comparisons with p < 0.05 between two equally good models, and the share of
comparisons that call two models equal whose accuracies differ by exactly the margin.

With ``--training-sd``, the model of each fold deviates from the mean of its kind by a normal number
on the logit, and only the comparisons are simulated.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from scipy import special, stats

from milmer_cli.metrics import METRICS, SAMPLED_AXES, ResamplingOptions, SegmentPredictions, score
from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.permutation import permutation_test
from milmer_cli.metrics.significance import compare_models

N_CLASSES, N_SEGMENTS, SD, MEAN_LOGIT = 4, 4, 0.5, 0.0
PROTOCOLS = ("trial", "participant", "participant-stimulus")


@dataclass(frozen=True)
class Design:
    """A simulated study; ``missing`` is the fraction of participant-stimulus pairs without data."""

    n_participants: int
    n_stimuli: int
    missing: float
    n_segments: int = N_SEGMENTS

    def pairs(self, random: np.random.Generator) -> np.ndarray:
        """(n_participants, n_stimuli) bool: which pairs exist."""
        shape = (self.n_participants, self.n_stimuli)
        if self.missing == 0.5:  # every participant sees another half of the stimuli
            return np.argsort(random.random(shape), axis=1) < self.n_stimuli // 2
        return random.random(shape) >= self.missing


@dataclass(frozen=True)
class Study:
    """Effects of one simulated study on the logit of a correct prediction."""

    seen: np.ndarray
    participant: np.ndarray
    stimulus: np.ndarray
    n_segments: int

    @classmethod
    def draw(cls, design: Design, random: np.random.Generator) -> Study:
        """Draw the effects of a study."""
        return cls(
            design.pairs(random),
            random.normal(0, SD, design.n_participants),
            random.normal(0, SD, design.n_stimuli),
            design.n_segments,
        )

    def rival(self, protocol: str, random: np.random.Generator) -> Study:
        """Effects of an equally good model: new where the protocol samples, else the same."""
        new = {
            axis: (getattr(self, axis) + random.normal(0, SD, len(getattr(self, axis))))
            / np.sqrt(2)
            for axis in SAMPLED_AXES[protocol]
        }
        return replace(self, **new)

    def trained(self, axis: str, sd: float, n_folds: int, random: np.random.Generator) -> Study:
        """Effects if the models of the folds, which split an axis, differ in quality."""
        effects = getattr(self, axis)
        fold = random.permutation(len(effects)) % n_folds
        return replace(self, **{axis: effects + random.normal(0, sd, n_folds)[fold]})

    def correct(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Participant, stimulus and correctness of each segment, with new trial effects."""
        participant, stimulus = np.nonzero(self.seen)
        logit = self.participant[participant] + self.stimulus[stimulus]
        logit += MEAN_LOGIT + random.normal(0, SD, len(logit))
        rows = np.repeat(np.arange(len(logit)), self.n_segments)
        correct = random.random(len(rows)) < special.expit(logit)[rows]
        return participant[rows], stimulus[rows], correct

    def expected(self, protocol: str, function: Callable[[np.ndarray], np.ndarray]) -> float:
        """Mean of a function of the logit in the population that an interval generalizes to."""
        if protocol == "participant-stimulus":
            return float(mean_over_normal(np.array(MEAN_LOGIT), np.sqrt(3) * SD, function))
        if protocol == "participant":
            effects, weights = self.stimulus, self.seen.sum(axis=0)
        else:
            effects, weights = self.participant, self.seen.sum(axis=1)
        means = mean_over_normal(MEAN_LOGIT + effects, np.sqrt(2) * SD, function)
        return float(np.average(means, weights=weights))


def mean_over_normal(
    logit: np.ndarray, sd: float, function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Mean of a function over a normal distribution of the logit."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    return function(np.asarray(logit)[..., None] + sd * nodes) @ (weights / weights.sum())


def probabilities_of(
    truth: np.ndarray, correct: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Probabilities whose most likely class is correct or wrong as given."""
    shift = random.integers(1, N_CLASSES, len(truth))
    predicted = np.where(correct, truth, (truth + shift) % N_CLASSES)
    confidence = random.uniform(0.3, 0.9, len(truth))
    rest = (1 - confidence) / (N_CLASSES - 1)
    probabilities = np.repeat(rest[:, None], N_CLASSES, axis=1)
    probabilities[np.arange(len(truth)), predicted] = confidence
    return probabilities


def trial_rates(n: int = 200_000, n_segments: int = N_SEGMENTS) -> np.ndarray:
    """Share of trials predicted correctly if 0, 1, ... of the segments are correct."""
    random = np.random.default_rng(0)
    rates = []
    for n_correct in range(n_segments + 1):
        truth = np.zeros(n * n_segments, np.int64)
        correct = np.tile(np.arange(n_segments) < n_correct, n)
        probabilities = probabilities_of(truth, correct, random).reshape(n, n_segments, -1)
        rates.append(np.mean(probabilities.mean(axis=1).argmax(axis=1) == 0))
    return np.array(rates)


def trial_accuracy(logit: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Probability of a correct trial for logits of a correct segment; see `trial_rates`."""
    n_segments = len(rates) - 1
    segment = special.expit(logit)[..., None]
    return stats.binom.pmf(np.arange(n_segments + 1), n_segments, segment) @ rates


def expected_scores(n: int = 400_000) -> dict[str, np.ndarray]:
    """Coefficients of each score as a quadratic function of the accuracy.

    All scores are functions of the proportions of correct and wrong predictions; the AUC, a
    probability about pairs of rows, is quadratic in them and the others are linear.
    """
    random = np.random.default_rng(0)
    accuracies = (0.2, 0.5, 0.8)
    options = ResamplingOptions(axes=(), n_bootstraps=2, n_permutations=20)
    values: dict[str, list[float]] = {name: [] for name in METRICS}
    for accuracy in accuracies:
        truth = np.arange(n) % N_CLASSES
        probabilities = probabilities_of(truth, random.random(n) < accuracy, random)
        rows = np.arange(n) // 40
        predictions = SegmentPredictions(
            truth, probabilities, rows % 5, np.arange(n), list("abcd"), stimulus=rows // 5
        )
        for name, estimate in score(predictions, options).segment.items():
            values[name].append(estimate.value)
    return {name: np.polyfit(accuracies, points, 2) for name, points in values.items()}


def covered(
    design: Design,
    protocol: str,
    seed: int,
    expected: dict[str, np.ndarray],
    rates: np.ndarray,
    n_bootstraps: int,
) -> dict[str, bool]:
    """Whether the interval of each score covers its expected value."""
    random = np.random.default_rng([seed, design.n_participants, design.n_stimuli])
    study = Study.draw(design, random)
    participant, stimulus, correct = study.correct(random)
    trial = participant * design.n_stimuli + stimulus
    classes = random.integers(0, N_CLASSES, design.n_participants * design.n_stimuli)
    truth = classes[trial]
    predictions = SegmentPredictions(
        truth,
        probabilities_of(truth, correct, random),
        participant,
        trial,
        list("abcd"),
        stimulus=stimulus,
        fold=stimulus % 5,
    )
    options = ResamplingOptions(
        axes=SAMPLED_AXES[protocol], n_bootstraps=n_bootstraps, n_permutations=20, seed=seed
    )
    scores, accuracy = score(predictions, options), study.expected(protocol, special.expit)
    hits = {
        name: bool(estimate.low <= np.polyval(expected[name], accuracy) <= estimate.high)
        for name, estimate in scores.segment.items()
        if name != "calibration_error"  # reported without an interval
    }
    over_trials = scores.trial["accuracy"]
    target = study.expected(protocol, partial(trial_accuracy, rates=rates))
    return hits | {"trial_accuracy": bool(over_trials.low <= target <= over_trials.high)}


def permutation_is_small(design: Design, seed: int, n_permutations: int) -> bool:
    """Whether p <= 0.05 if predictions are independent of the labels.

    Labels and predictions each depend on the participant and on the stimulus.
    """
    random = np.random.default_rng([seed, design.n_participants, design.n_stimuli, 1])
    seen = design.pairs(random)

    def classes() -> np.ndarray:
        preference = random.normal(0, 1, (design.n_participants, 1, N_CLASSES))
        preference = preference + random.normal(0, 1, (1, design.n_stimuli, N_CLASSES))
        return (preference + random.gumbel(size=(*seen.shape, N_CLASSES))).argmax(axis=2)[seen]

    votes = design.n_segments * np.eye(N_CLASSES)[classes()]
    options = ResamplingOptions(n_permutations=n_permutations, seed=seed)
    return permutation_test(classes(), votes, *np.nonzero(seen), options).p_value <= 0.05


def comparison_errors(
    design: Design, protocol: str, seed: int, training_sd: float = 0.0, n_folds: int = 5
) -> tuple[bool, bool]:
    """Whether p < 0.05 for equally good models, and for equality of models at the margin.

    The accuracies of the second pair of models differ by exactly the margin in the population.
    """
    random = np.random.default_rng([seed, design.n_participants, design.n_stimuli, 2])
    study, sampled = Study.draw(design, random), SAMPLED_AXES[protocol]
    models = study, study.rival(protocol, random)
    if training_sd:
        models = tuple(model.trained(sampled[0], training_sd, n_folds, random) for model in models)
    participant, stimulus, first = models[0].correct(random)
    second = models[1].correct(random)[2].astype(float)
    columns = {"participant": participant, "stimulus": stimulus}
    options = ResamplingOptions(margin=0.2)  # wide enough for equality to be shown at all
    same, different = compare_models(
        {"A": first.astype(float), "B": second, "C": second + options.margin},
        Clusters.of(**{axis: columns[axis] for axis in sampled}),
        "A",
        options,
    )
    return bool(same.p_value < 0.05), different.equal


def run(designs: Sequence[Design], repeats: int, workers: int = 2) -> None:
    """Simulate all designs and print one row per design and protocol."""
    expected, rates = expected_scores(), trial_rates(n_segments=designs[0].n_segments)
    with Parallel(n_jobs=workers, batch_size=20) as parallel:
        for design in designs:
            small = parallel(
                delayed(permutation_is_small)(design, seed, 199) for seed in range(repeats)
            )
            for protocol in PROTOCOLS:
                hits = parallel(
                    delayed(covered)(design, protocol, seed, expected, rates, 400)
                    for seed in range(repeats)
                )
                errors = parallel(
                    delayed(comparison_errors)(design, protocol, seed) for seed in range(repeats)
                )
                coverage = {name: float(np.mean([hit[name] for hit in hits])) for name in hits[0]}
                over_segments, over_trials = (
                    coverage.pop("accuracy"),
                    coverage.pop("trial_accuracy"),
                )
                different, equal = np.mean(errors, axis=0)
                print_row(
                    design, protocol, over_segments, over_trials, min(coverage.values()),
                    max(coverage.values()), float(np.mean(small)), different, equal,
                )  # fmt: skip


def run_trainings(
    designs: Sequence[Design], repeats: int, training_sd: float, n_folds: int, workers: int
) -> None:
    """Simulate comparisons of models whose trainings vary and print one row per design."""
    with Parallel(n_jobs=workers, batch_size=20) as parallel:
        for design, protocol in itertools.product(designs, PROTOCOLS[:2]):
            errors = parallel(
                delayed(comparison_errors)(design, protocol, seed, training_sd, n_folds)
                for seed in range(repeats)
            )
            print_row(design, protocol, *np.mean(errors, axis=0))


def print_row(design: Design, protocol: str, *rates: float) -> None:
    """Print a row of the table."""
    cells = [design.n_participants, design.n_stimuli, f"{100 * design.missing:.0f} %", protocol]
    print(
        f"| {' | '.join(map(str, cells))} | {' | '.join(f'{rate:.3f}' for rate in rates)} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--participants", type=int, nargs="+", default=[5, 8, 12, 22, 32])
    parser.add_argument("--stimuli", type=int, nargs="+", default=[16, 40])
    parser.add_argument("--missing", type=float, nargs="+", default=[0.0, 0.12, 0.5])
    parser.add_argument("--segments", type=int, default=N_SEGMENTS, help="in each trial")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--training-sd", type=float, default=0.0)
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    grid = itertools.product(options.participants, options.stimuli, options.missing)
    designs = [Design(*design, options.segments) for design in grid]
    columns = ["participants", "stimuli", "missing", "protocol"]
    if not options.training_sd:
        columns += ["accuracy", "trial accuracy", "lowest", "highest", "permutation"]
    columns += ["comparison", "equality"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    if options.training_sd:
        run_trainings(designs, options.repeats, options.training_sd, options.folds, options.workers)
    else:
        run(designs, options.repeats, options.workers)


if __name__ == "__main__":
    main()
