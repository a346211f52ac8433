"""`Segments`: the table of segments, of a participant or of a whole store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.datasets.base import RATINGS
from milmer_cli.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Segments:
    """Table of segments: one row per segment, in arrays of equal length.

    Attributes
    ----------
    participant
        (n,) str: name of the participant.
    row
        (n,) int: row in the participant's file.
    trial, stimulus
        (n,) int: order of presentation; number of the stimulus.
    onset
        (n,) float: seconds after stimulus onset.
    ratings
        (n, 4) float: valence, arousal, dominance, liking; NaN if unknown.
    eeg_found
        (n,) bool: whether there is EEG.
    faces_found
        (n,) float: share of the instances with a face.
    label
        (n,) str: class name; empty if the data set has none.
    session
        (n,) str: recording session; empty if the data set has none. Equal names of two participants
        are different sessions.
    condition
        (n,) str: experimental condition; empty if the data set has none.
    """

    participant: np.ndarray
    row: np.ndarray
    trial: np.ndarray
    stimulus: np.ndarray
    onset: np.ndarray
    ratings: np.ndarray
    eeg_found: np.ndarray
    faces_found: np.ndarray
    label: np.ndarray
    session: np.ndarray
    condition: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def concatenate(cls, tables: Sequence[Segments]) -> Segments:
        """Join tables; at least one."""
        columns = (field.name for field in fields(cls))
        return cls(*(np.concatenate([getattr(t, column) for t in tables]) for column in columns))

    def take(self, index: np.ndarray) -> Segments:
        """Return the rows at ``index`` (positions or a mask)."""
        return Segments(*(getattr(self, field.name)[index] for field in fields(self)))

    @property
    def trial_id(self) -> np.ndarray:
        """(n,) str: a name for each trial, such as ``s01/03``, with a session ``s01/ses2/03``."""
        pairs = zip(self.session_id, self.trial, strict=True)
        return np.array([f"{session}/{trial:02d}" for session, trial in pairs], dtype=str)

    @property
    def session_id(self) -> np.ndarray:
        """(n,) str: a name for each recording session, such as ``s01/ses2``.

        It is the name of the participant if the trial has no session. A ``/`` in a name is written
        as ``%2F``.
        """
        names = zip(self.participant.tolist(), self.session.tolist(), strict=True)
        return np.array(["/".join(_escaped(name) for name in pair if name) for pair in names], str)

    @property
    def segment_id(self) -> np.ndarray:
        """(n,) str, one name per segment: trial and onset in seconds, such as ``s01/03@12.000``."""
        onsets = np.char.mod("@%.3f", np.asarray(self.onset, dtype=np.float64))
        return np.char.add(np.asarray(self.trial_id, dtype=str), onsets)

    def to_dataframe(self) -> DataFrame:
        """Return the table as a data frame of pandas, one row per segment.

        The columns are the attributes, with ``onset_s`` for ``onset`` and one column per rating:
        ``valence``, ``arousal``, ``dominance``, ``liking``.

        Raises
        ------
        InputError
            pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise InputError(
                "A data frame needs the package pandas, which is not installed.",
                "Install it with `pip install 'milmer-cli[notebook]'`.",
            ) from error
        return pandas.DataFrame(
            {
                "participant": self.participant.tolist(),
                "row": self.row,
                "trial": self.trial,
                "stimulus": self.stimulus,
                "onset_s": self.onset,
                **dict(zip(RATINGS, self.ratings.T, strict=True)),
                "eeg_found": self.eeg_found,
                "faces_found": self.faces_found,
                "label": self.label.tolist(),
                "session": self.session.tolist(),
                "condition": self.condition.tolist(),
            }
        )


def _escaped(name: str) -> str:
    return str(name).replace("%", "%25").replace("/", "%2F")
