"""How sure a score is, and what luck alone would give.

Segments of a trial are alike, so they are never resampled one by one: intervals resample trials,
clips or participants, and chance shuffles the labels of whole trials within each participant. What
people feel about a clip is alike too, and so is what a model makes of it: all who saw the same
clips are shuffled in the same way, or chance would look narrower than it is.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from milmer_cli.metrics import values

CHUNK = 100
"""Resamples whose AUC is computed at once, to bound memory at CHUNK rows of weights."""


def bootstrap(
    truth: np.ndarray,
    probabilities: np.ndarray,
    unit: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Scores of resampled data, where whole units are drawn with replacement.

    Parameters
    ----------
    truth
        (n,) classes.
    probabilities
        (n, n_classes).
    unit
        (n,) number of the trial, clip or participant that each row belongs to, from 0.
    resamples
        How many data sets are drawn.
    seed
        What they are drawn from.

    Returns
    -------
    dict
        (resamples,) each, by the names in `milmer_cli.metrics.METRICS`.
    """
    n_classes, n_units = probabilities.shape[1], int(unit.max()) + 1
    random = np.random.default_rng(seed)
    drawn = random.multinomial(n_units, np.full(n_units, 1 / n_units), size=resamples)
    drawn = drawn.astype(np.float64)

    cell = truth * n_classes + probabilities.argmax(axis=1)
    counts = _by_unit(unit, cell, np.ones(len(unit)), n_units, n_classes**2)
    matrices = (drawn @ counts).reshape(resamples, n_classes, n_classes)
    size = matrices.sum(axis=(1, 2))
    bins, sure, right = values.calibration_bins(truth, probabilities)
    gap = _by_unit(unit, bins, right - sure, n_units, values.BINS)
    far = np.bincount(unit, values.brier(truth, probabilities), n_units)
    areas = [
        values.auc(truth, probabilities, drawn[start : start + CHUNK, unit].astype(np.float32))
        for start in range(0, resamples, CHUNK)
    ]
    return {
        **values.from_confusion(matrices),
        "auc": values.mean_defined(np.concatenate(areas)),
        "brier": drawn @ far / size,
        "calibration_error": np.abs(drawn @ gap).sum(axis=1) / size,
    }


def _by_unit(
    unit: np.ndarray, column: np.ndarray, amount: np.ndarray, n_units: int, n_columns: int
) -> np.ndarray:
    """(n_units, n_columns) sums of amounts."""
    flat = np.bincount(unit * n_columns + column, amount, n_units * n_columns)
    return flat.reshape(n_units, n_columns)


def permuted_accuracy(
    truth: np.ndarray,
    votes: np.ndarray,
    participant: np.ndarray,
    permutations: int,
    seed: int,
    clip: np.ndarray | None = None,
) -> np.ndarray:
    """Accuracies when the labels of trials are shuffled within each participant.

    Parameters
    ----------
    truth
        (n_trials,) classes.
    votes
        (n_trials, n_classes) how many segments of the trial were put into each class.
    participant
        (n_trials,) who.
    permutations
        How many shuffles.
    seed
        What they are drawn from.
    clip
        (n_trials,) what was shown: participants who saw the same clips are shuffled alike. None
        when no two trials share a clip.

    Returns
    -------
    numpy.ndarray
        (permutations,).
    """
    clip = np.arange(len(truth)) if clip is None else np.unique(clip, return_inverse=True)[1]
    places = np.random.default_rng(seed).random((permutations, clip.max() + 1))
    hits = np.zeros(permutations)
    for name in np.unique(participant):
        rows = np.flatnonzero(participant == name)
        rows = rows[np.argsort(clip[rows], kind="stable")]
        shuffled = truth[rows][np.argsort(places[:, clip[rows]], axis=1, kind="stable")]
        hits += votes[rows, shuffled].sum(axis=1)
    return hits / votes.sum()


def permutation_p(found: float, null: np.ndarray) -> float:
    """Share of shuffles that do at least as well, the unshuffled data counted among them."""
    return float((1 + np.sum(null >= found - 1e-12)) / (1 + len(null)))


def binomial_p(hits: int, n: int, rate: float) -> float:
    """Chance of at least ``hits`` of ``n`` when each is right with probability ``rate``."""
    return float(stats.binom.sf(hits - 1, n, rate))


def binomial_band(n: int, rate: float, confidence: float) -> tuple[float, float]:
    """Accuracies between which ``n`` guesses fall with probability ``confidence``."""
    low, high = stats.binom.interval(confidence, n, rate)
    return float(low / n), float(high / n)
