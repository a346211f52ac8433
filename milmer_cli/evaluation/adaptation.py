r"""Adapt a classifier to a new participant with a few labeled trials (``--calibration-trials``).

The classifier that was trained on the other participants gives log probabilities :math:`z` and
features :math:`x`. For each test participant a linear correction is fitted on k of its trials:
:math:`p = \mathrm{softmax}(z + D\,[x; 1])`, where D minimizes the cross entropy, summed over
trials, plus :math:`\lambda / 2\, \lVert D \rVert^2`. This is logistic regression whose prior is the
trained classifier: with k = 0, D is 0 and the prediction is unchanged. The features are
standardized on the training set. For each k, :math:`\lambda` is the best of `PENALTIES` for the
participants of the validation set, who are adapted to in the same way.

The k trials are drawn before anything is fitted, balanced over the classes; those of a smaller k
are among those of a larger one. The trials that no k uses are the test set of every k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.split_file import ProtocolFolds
from milmer_cli.errors import InputError
from milmer_cli.evaluation.folds import EvaluationFold

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 1000.0)
"""Values of lambda; the largest leaves the classifier unchanged."""
DEFAULT_PENALTY = 0.1
"""Lambda without a validation set of its own."""
_SMALLEST = 1e-6
"""Smallest probability of the trained classifier."""


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """What a model that was trained on other participants gives for a fold.

    Attributes
    ----------
    features
        (n_segments, n_features), read in all sets of the fold; NaN for a segment without input.
    validation, test
        (n, n_classes) probabilities for the validation and the test set.
    """

    features: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, eq=False)
class _Participant:
    """Segments of one participant: (n,) positions in its set, and (n,) rank of their trial."""

    positions: np.ndarray
    rank: np.ndarray
    weights: np.ndarray

    @property
    def n_trials(self) -> int:
        return int(self.rank.max()) + 1


def adapt_to_participants(
    labeled: LabeledSegments,
    fold: EvaluationFold,
    classifier: TrainedClassifier,
    n_trials: Sequence[int],
) -> np.ndarray:
    """Predict the test set of a fold after adaptation to each of its participants.

    Parameters
    ----------
    labeled
        The segments and their labels.
    fold
        Its sets share no participant.
    classifier
        Trained on the training set of the fold.
    n_trials
        Numbers of labeled trials, ascending from 0.

    Returns
    -------
    ndarray
        (len(n_trials), n_test, n_classes) probabilities; NaN for the segments of the labeled trials
        and of participants with too few trials.
    """
    sets = fold.fold
    inputs = _standardize(classifier.features, sets.train)
    adapted = np.full((len(n_trials), *classifier.test.shape), np.nan)
    penalties = dict.fromkeys(n_trials, DEFAULT_PENALTY)
    if len(sets.validation) and not fold.epoch_selected_on_test:
        held_out = _Adaptation(labeled, sets.validation, inputs, classifier.validation)
        people = held_out.participants(fold.seed, max(n_trials))
        penalties = {k: held_out.best_penalty(people, k, max(n_trials)) for k in n_trials}
    tested = _Adaptation(labeled, sets.test, inputs, classifier.test)
    for participant in tested.participants(fold.seed, max(n_trials)):
        kept = participant.positions[participant.rank >= max(n_trials)]
        for number, k in enumerate(n_trials):
            adapted[number, kept] = tested.predict(participant, k, kept, penalties[k])
    return adapted


def require_calibration_trials(
    labeled: LabeledSegments, splits: Sequence[ProtocolFolds], n_trials: Sequence[int]
) -> None:
    """Check that labeled trials can be taken from new participants of the test sets.

    Raises
    ------
    InputError
        No protocol tests new participants, or none of them has more trials.
    """
    if not n_trials:
        return
    folds = [fold for split in splits if "participant" in split.protocol for fold in split.folds]
    if not folds:
        raise InputError(
            "--calibration-trials: expected a protocol that tests new participants, got "
            f"{', '.join(dict.fromkeys(split.protocol for split in splits))}.",
            "Use --protocol participant or --protocol participant-stimulus.",
        )
    most = max(
        len(np.unique(labeled.segments.trial[rows]))
        for fold in folds
        for rows in _rows_by_participant(labeled, fold.test).values()
    )
    if most <= max(n_trials):
        raise InputError(
            f"--calibration-trials {max(n_trials)}: expected participants with more trials in the "
            f"test set, got at most {most}.",
            "Use fewer calibration trials.",
        )


def draw_trials(classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw a random order of trials in which the classes alternate as long as possible.

    Parameters
    ----------
    classes
        (n_trials,) class of each trial, from 0.

    Returns
    -------
    ndarray
        (n_trials,) indices of trials; any first k of them are balanced over the classes.
    """
    order = random.permutation(len(classes))
    turn = random.permutation(int(classes.max()) + 1)
    rank = np.empty(len(classes), int)
    for label in np.unique(classes):
        own = order[classes[order] == label]
        rank[own] = np.arange(len(own))
    return np.lexsort((turn[classes], rank))


@dataclass(frozen=True, eq=False)
class _Adaptation:
    """Adaptation to the participants of one set of a fold."""

    labeled: LabeledSegments
    rows: np.ndarray
    inputs: np.ndarray
    probabilities: np.ndarray

    def participants(self, seed: int, most: int) -> list[_Participant]:
        """List the participants with more than ``most`` trials, with the order of their trials."""
        found = []
        for name, rows in _rows_by_participant(self.labeled, self.rows).items():
            trials, first, inverse = np.unique(
                self.labeled.segments.trial[rows], return_index=True, return_inverse=True
            )
            if len(trials) <= most:
                continue
            random = np.random.default_rng([seed, *name.encode()])
            rank = np.argsort(draw_trials(self.labeled.labels[rows[first]], random))
            weights = 1 / np.bincount(inverse)
            positions = np.searchsorted(self.rows, rows)
            found.append(_Participant(positions, rank[inverse], weights[inverse]))
        return found

    def predict(
        self, participant: _Participant, k: int, positions: np.ndarray, penalty: float
    ) -> np.ndarray:
        """Fit the correction on the first k trials, and predict (n,) positions of the set."""
        base = self.probabilities[positions]
        fitted = (participant.rank < k) & self._has_input(participant.positions)
        usable = self._has_input(positions)
        if not fitted.any() or not usable.any():
            return base
        used = participant.positions[fitted]
        correction = _fit(
            self.inputs[self.rows[used]],
            _logits(self.probabilities[used]),
            self.labeled.labels[self.rows[used]],
            participant.weights[fitted],
            penalty,
        )
        inputs = self.inputs[self.rows[positions[usable]]]
        adapted = base.copy()
        adapted[usable] = special.softmax(_logits(base[usable]) + inputs @ correction, axis=1)
        return adapted

    def best_penalty(self, participants: Sequence[_Participant], k: int, most: int) -> float:
        """Return the penalty with the smallest cross entropy on trials that no k uses."""
        if not participants or k == 0:
            return DEFAULT_PENALTY
        losses = []
        for penalty in PENALTIES:
            loss = 0.0
            for participant in participants:
                kept = participant.rank >= most
                positions = participant.positions[kept]
                probabilities = self.predict(participant, k, positions, penalty)
                truth = self.labeled.labels[self.rows[positions]]
                likelihood = probabilities[np.arange(len(truth)), truth]
                log_likelihood = np.log(np.maximum(likelihood, _SMALLEST))
                loss -= float(participant.weights[kept] @ log_likelihood)
            losses.append(loss)
        return PENALTIES[int(np.argmin(losses))]

    def _has_input(self, positions: np.ndarray) -> np.ndarray:
        return np.isfinite(self.inputs[self.rows[positions]]).all(axis=1)


def _rows_by_participant(labeled: LabeledSegments, rows: np.ndarray) -> Mapping[str, np.ndarray]:
    names = labeled.segments.participant[rows]
    return {str(name): rows[names == name] for name in np.unique(names)}


def _logits(probabilities: np.ndarray) -> np.ndarray:
    logits: np.ndarray = np.log(np.maximum(probabilities, _SMALLEST))
    return logits


def _standardize(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Standardize on the training set, to a mean square norm of 1, and append a constant."""
    reference = features[train].astype(np.float64)
    reference = reference[np.isfinite(reference).all(axis=1)]
    mean, sd = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(sd > 0, sd, 1.0) * np.sqrt(features.shape[1])
    return np.column_stack([(features - mean) / scale, np.ones(len(features))])


def _fit(
    inputs: np.ndarray, logits: np.ndarray, truth: np.ndarray, weights: np.ndarray, penalty: float
) -> np.ndarray:
    """Fit D, (n_inputs, n_classes), by L-BFGS; the problem is convex."""
    shape = (inputs.shape[1], logits.shape[1])
    one_hot = np.eye(shape[1])[truth]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        correction = flat.reshape(shape)
        changed = logits + inputs @ correction
        log_p = changed - special.logsumexp(changed, axis=1, keepdims=True)
        residual = weights[:, None] * (np.exp(log_p) - one_hot)
        value = -float(weights @ (log_p * one_hot).sum(axis=1)) + penalty / 2 * float(flat @ flat)
        return value, (inputs.T @ residual).ravel() + penalty * flat

    start = np.zeros(shape[0] * shape[1])
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B")
    return np.asarray(found.x).reshape(shape)
