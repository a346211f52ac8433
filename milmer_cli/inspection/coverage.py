"""Which segments have EEG, which instances have a face, and how many trials each class has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from milmer_cli.data.labels import EXCLUDED, count_per_class
from milmer_cli.store import PreparedParticipant, PreparedStore


@dataclass(frozen=True)
class ParticipantSummary:
    """Counts of one participant.

    Attributes
    ----------
    name
    trials, segments
        Numbers of trials and segments.
    sessions, conditions
        Numbers of trials by recording session, and by experimental condition; empty if the store
        does not name any.
    trials_per_class
        In the order of the classes.
    trials_without_class
        Trials whose rating is missing or an excluded tie.
    eeg_fraction
        Fraction of the segments with EEG.
    face_fraction
        Fraction of the instances with a face.
    interpolated
        Names of interpolated EEG channels.
    eog_variance
        Share of the variance of the frontal electrodes that was removed as eye artifacts, averaged
        over the recordings; None if it was not removed from any.
    remarks
        Sentences about the recordings, written by ``prepare``.
    """

    name: str
    trials: int
    segments: int
    trials_per_class: tuple[int, ...]
    trials_without_class: int
    eeg_fraction: float
    face_fraction: float
    interpolated: tuple[str, ...]
    eog_variance: float | None
    remarks: tuple[str, ...]
    sessions: Mapping[str, int] = field(default_factory=dict)
    conditions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Coverage:
    """Coverage by participant and trial.

    Attributes
    ----------
    participants
        Names of the rows.
    trials
        Numbers of the columns.
    faces
        (n_participants, n_trials) fraction of the instances with a face; NaN without such a trial.
    eeg
        (n_participants, n_trials) fraction of the segments with EEG; NaN without such a trial.
    """

    participants: tuple[str, ...]
    trials: tuple[int, ...]
    faces: np.ndarray
    eeg: np.ndarray

    @property
    def faces_by_participant(self) -> list[float]:
        """Mean over the trials of each participant; 0 without any."""
        return [float(np.nanmean(row)) if np.isfinite(row).any() else 0.0 for row in self.faces]


def summarize_participant(
    participant: PreparedParticipant, labels: np.ndarray, class_names: Sequence[str]
) -> ParticipantSummary:
    """Count the trials, segments and data of a participant.

    Parameters
    ----------
    participant
    labels
        (n_segments,) labels of the participant's segments.
    class_names
    """
    _, first_segments = np.unique(participant.trial, return_index=True)
    trial_labels = labels[first_segments]
    removed = [share for share in participant.notes.get("eog_variance", ()) if share is not None]
    return ParticipantSummary(
        name=participant.participant,
        trials=len(first_segments),
        segments=len(participant),
        trials_per_class=tuple(count_per_class(trial_labels, class_names).values()),
        trials_without_class=int((trial_labels == EXCLUDED).sum()),
        eeg_fraction=float(participant.eeg_found.mean()),
        face_fraction=float(participant.found.mean()),
        interpolated=tuple(participant.notes.get("interpolated", ())),
        eog_variance=float(np.mean(removed)) if removed else None,
        remarks=tuple(participant.notes.get("messages", ())),
        sessions=_count_names(participant.session[first_segments]),
        conditions=_count_names(participant.condition[first_segments]),
    )


def _count_names(names: np.ndarray) -> dict[str, int]:
    """Count names in the order of their first occurrence; empty if all are empty."""
    counts = Counter(names.tolist())
    return dict(counts) if set(counts) - {""} else {}


def compute_coverage(store: PreparedStore) -> Coverage:
    """Compute the coverage of all participants and trials."""
    participants = [store.participant(name) for name in store.participants]
    trials = np.unique(np.concatenate([participant.trial for participant in participants]))
    faces, eeg = np.full((2, len(participants), len(trials)), np.nan)
    for row, participant in enumerate(participants):
        for column in np.flatnonzero(np.isin(trials, participant.trial)):
            is_trial = participant.trial == trials[column]
            faces[row, column] = participant.found[is_trial].mean()
            eeg[row, column] = participant.eeg_found[is_trial].mean()
    return Coverage(tuple(store.participants), tuple(trials.tolist()), faces, eeg)
