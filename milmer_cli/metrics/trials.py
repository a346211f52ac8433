"""Average the predictions of the segments of each trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milmer_cli.metrics.classification import divide


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials of a table of segments. A trial is averaged within each repeat, never over models.

    Attributes
    ----------
    first
        (n_trials,) first row of each trial and repeat.
    number
        (n,) trial and repeat of each row, from 0.
    """

    first: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, trial_id: np.ndarray, repeat: np.ndarray) -> Trials:
        """Enumerate the trials of (n,) rows, separately for each repeat (another seed)."""
        trial = np.unique(trial_id, return_inverse=True)[1]
        repeats, repeat_number = np.unique(repeat, return_inverse=True)
        _, first, number = np.unique(
            trial * len(repeats) + repeat_number, return_index=True, return_inverse=True
        )
        return cls(first, number)

    def mean(self, values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Mean of (n, k) values over the rows of each trial, (n_trials, k).

        Parameters
        ----------
        values
            (n, k).
        mask
            (n,) bool: rows that count; all if None. NaN for a trial without such a row.
        """
        rows = np.arange(len(self.number)) if mask is None else np.flatnonzero(mask)
        total = np.zeros((len(self.first), values.shape[1]))
        np.add.at(total, self.number[rows], values[rows])
        return divide(total, np.bincount(self.number[rows], minlength=len(self.first))[:, None])

    def correct(
        self, truth: np.ndarray, probabilities: np.ndarray, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """Whether the mean probabilities of each trial predict its class.

        Parameters
        ----------
        truth
            (n,) classes.
        probabilities, mask
            As in `mean`.

        Returns
        -------
        numpy.ndarray
            (n_trials,) 1 for a correct prediction, 0 for a wrong one, NaN without a row.
        """
        mean = self.mean(probabilities, mask)
        correct = (mean.argmax(axis=1) == truth[self.first]).astype(float)
        return np.where(np.isnan(mean[:, 0]), np.nan, correct)
