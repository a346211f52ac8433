"""Permutation test of accuracy against chance, for participants who may share stimuli.

Trials are exchanged, never segments: segments of a trial share its label. Stimuli are permuted once
for all participants who saw them, because ratings of a stimulus, and predictions for it, are
correlated over participants. With independent permutations for each participant, the null
distribution would be too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from milmer_cli.metrics.resampling import ResamplingOptions

_CELLS_AT_ONCE = 2**22
"""Participants x stimuli x permutations computed at once, to bound the memory."""


@dataclass(frozen=True)
class PermutationTest:
    """A permutation test of an accuracy.

    Attributes
    ----------
    p_value
        One-sided p-value; NaN where ``undefined`` says why.
    low, high
        Middle share of the null distribution of the accuracy.
    undefined
        Why the p-value is undefined; empty otherwise.
    """

    p_value: float
    low: float
    high: float
    undefined: str


def permutation_test(
    truth: np.ndarray,
    votes: np.ndarray,
    participant: np.ndarray,
    stimulus: np.ndarray,
    options: ResamplingOptions,
) -> PermutationTest:
    """Test whether predictions agree with the labels of trials more often than by chance.

    In each permutation pi, a participant's prediction for stimulus s is compared with the
    participant's label of stimulus pi(s), if the participant saw that stimulus. The number of
    compared pairs therefore varies, so the test statistic is studentized with a variance clustered
    by stimulus (Chung and Romano 2013, Annals of Statistics 41:484-507).
    Participants who share no stimulus, directly or through others, are permuted independently.

    Parameters
    ----------
    truth
        (n_trials,) classes.
    votes
        (n_trials, n_classes) number of predictions of each class among the segments of a trial.
    participant, stimulus
        (n_trials,) names or numbers.
    options
        Number of permutations, seed, and share of the null distribution between ``low`` and
        ``high``.
    """
    person, column, component = _grid(participant, stimulus)
    n_columns = len(component)
    shape = (int(person.max()) + 1, n_columns)
    labels = np.full(shape, -1)
    labels[person, column] = truth
    counts = np.zeros((*shape, votes.shape[1]))
    counts[person, column] = votes
    random = np.random.default_rng(options.seed)
    chunk = max(1, _CELLS_AT_ONCE // labels.size)
    accuracies, errors = zip(
        *(
            _agreement(labels, counts, order)
            for order in _orders(component, options.n_permutations, random, chunk)
        ),
        strict=True,
    )
    accuracy, error = np.concatenate(accuracies), np.concatenate(errors)
    null, center = accuracy[1:], accuracy[1:].mean()
    statistic = (accuracy - center) / np.maximum(error, 1e-9)
    n_extreme = np.sum(statistic[1:] >= statistic[1:].max() - 1e-9)
    low, high = np.percentile(null, options.percentiles)
    if (1 + n_extreme) / (1 + options.n_permutations) > 0.05:
        return PermutationTest(
            math.nan,
            float(low),
            float(high),
            f"the labels and predictions of the {len(truth)} test trials allow too few different "
            "arrangements for a p-value below 0.05",
        )
    p = (1 + np.sum(statistic[1:] >= statistic[0] - 1e-9)) / (1 + options.n_permutations)
    return PermutationTest(float(p), float(low), float(high), "")


def _grid(
    participant: np.ndarray, stimulus: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrange trials in a table of participants x stimuli.

    Returns the row and the column of each trial, and the component of each column. A stimulus that
    a participant saw several times has a column for each time. Columns of one component are
    permuted together: they are connected by participants who saw both.
    """
    person = np.unique(participant, return_inverse=True)[1]
    shown = np.unique(stimulus, return_inverse=True)[1]
    order = np.lexsort((shown, person))
    pair = person[order] * (shown.max() + 1) + shown[order]
    first = np.searchsorted(pair, pair, side="left")
    occurrence = np.empty(len(pair), dtype=np.int64)
    occurrence[order] = np.arange(len(pair)) - first
    column = np.unique(shown * (occurrence.max() + 1) + occurrence, return_inverse=True)[1]
    n_people, n_columns = int(person.max()) + 1, int(column.max()) + 1
    edges = coo_array(
        (np.ones(len(person)), (person, n_people + column)), shape=(n_people + n_columns,) * 2
    )
    return person, column, connected_components(edges, directed=False)[1][n_people:]


def _orders(
    component: np.ndarray, n_permutations: int, random: np.random.Generator, chunk: int
) -> Iterator[np.ndarray]:
    """Yield (n, n_columns) orders of the columns; the first one of all is the identity."""
    n_columns = len(component)
    # sorting by (component, random number) permutes the columns within their component
    places = np.argsort(component, kind="stable")
    yield np.arange(n_columns)[None]
    for start in range(0, n_permutations, chunk):
        n = min(chunk, n_permutations - start)
        keys = component + random.random((n, n_columns))
        order = np.empty((n, n_columns), dtype=np.int64)
        order[:, places] = np.argsort(keys, axis=1)
        yield order


def _agreement(
    labels: np.ndarray, counts: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the accuracy and its standard error by stimulus, (n,) each, for column orders."""
    people = np.arange(len(labels))[None, :, None]
    columns = np.arange(labels.shape[1])[None, None, :]
    moved = labels[:, order].transpose(1, 0, 2)
    size = np.where(moved >= 0, counts.sum(axis=2)[None], 0.0)
    hits = np.where(moved >= 0, counts[people, columns, np.maximum(moved, 0)], 0.0)
    total = np.maximum(size.sum(axis=(1, 2)), 1.0)
    accuracy = hits.sum(axis=(1, 2)) / total
    residual = (hits - accuracy[:, None, None] * size).sum(axis=1)
    return accuracy, np.sqrt((residual**2).sum(axis=1)) / total
