"""Columns that tables of predictions and of splits have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class AuditTable:
    """Columns that tables of predictions and of splits have in common.

    Attributes
    ----------
    participant, session, trial, stimulus, fold, seed
        (n,) text; empty if the table has no such column.
    onset_s
        (n,) seconds; NaN if the table has no such column.
    """

    participant: np.ndarray
    session: np.ndarray
    trial: np.ndarray
    stimulus: np.ndarray
    fold: np.ndarray
    seed: np.ndarray
    onset_s: np.ndarray

    @property
    def trial_id(self) -> np.ndarray:
        """(n,) trial of each row, unique over participants and their sessions.

        Without a column ``trial``, a participant's stimulus identifies the trial; without either,
        each row is a trial of its own.
        """
        column = self.trial if np.any(self.trial != "") else self.stimulus
        if not np.any(column != ""):
            column = np.array([f"{type(self).__name__} row {i}" for i in range(len(column))])
        return np.array([f"{s}/{t}" for s, t in zip(self.session_id, column, strict=True)])

    @property
    def session_id(self) -> np.ndarray:
        """(n,) recording session of each row, unique over participants.

        It is the participant where the table states no session.
        """
        pairs = zip(self.participant, self.session, strict=True)
        return np.array([f"{p}/{session}" if session else p for p, session in pairs], dtype=str)

    @property
    def has_several_sessions(self) -> bool:
        """Whether some participant has several sessions."""
        return len(np.unique(self.session_id)) > len(np.unique(self.participant))

    def has(self, column: str) -> bool:
        """Whether the table has a column of text."""
        return bool(np.any(getattr(self, column) != ""))
