"""Choose the segments that the page shows, and read their faces and EEG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milmer_cli.datasets.participants import select_participants
from milmer_cli.errors import InputError, shorten
from milmer_cli.inspection.spectra import power_spectrum
from milmer_cli.store import PreparedStore, Segments

MAX_EXAMPLES = 12
"""Segments shown if each represents a trial or a participant."""


@dataclass(frozen=True, eq=False)
class SegmentExample:
    """A segment with its faces and EEG.

    Attributes
    ----------
    participant, session, trial, stimulus
        The session is empty if the store does not name one.
    onset_s, segment_s
        Start relative to the stimulus onset, and length, in seconds.
    class_name
        Class of the trial; None if it has none.
    faces
        For each instance (size, size, 3) uint8 RGB, or the reason why there is no face.
    times_s
        Time of each instance in seconds after the stimulus onset; NaN without a frame.
    eeg
        (n_channels, n_samples) microvolts; None if missing.
    channels, sfreq
        Channel names and sampling rate in Hz.
    density
        (n_channels, n_frequencies) power spectral density; None if the EEG is missing.
    """

    participant: str
    session: str
    trial: int
    stimulus: int
    onset_s: float
    segment_s: float
    class_name: str | None
    faces: tuple[np.ndarray | str, ...]
    times_s: tuple[float, ...]
    eeg: np.ndarray | None
    channels: Sequence[str]
    sfreq: float
    density: np.ndarray | None


def choose_examples(
    store: PreparedStore, segments: Segments, participant: str | None, trial: int | None
) -> tuple[list[int], str]:
    """Choose segments to show.

    Parameters
    ----------
    store
    segments
        All segments of the store.
    participant
        Show one segment from the middle of each trial of this participant; None for one segment of
        each participant.
    trial
        Show all segments of this trial, of ``participant`` or of the first participant with it.

    Returns
    -------
    rows, description
        Rows of ``segments``, and a sentence for the reader.

    Raises
    ------
    InputError
        The store has no such participant or trial, or several participants are named.
    """
    if participant is not None:
        participant = _one_participant(store, participant)
    of_participant = (
        np.ones(len(segments), bool) if participant is None else segments.participant == participant
    )
    if trial is not None:
        rows = np.flatnonzero(of_participant & (segments.trial == trial))
        if not len(rows):
            raise InputError(
                f"{store.folder} has no trial {trial} of {participant or 'any participant'}.",
                f"It has the trials {_describe_range(segments.trial[of_participant])}.",
            )
        name = str(segments.participant[rows[0]])
        rows = rows[segments.participant[rows] == name]
        return rows.tolist(), f"All segments of {name}, trial {trial}."
    if participant is not None:
        rows_by_trial = [
            np.flatnonzero(of_participant & (segments.trial == number))
            for number in np.unique(segments.trial[of_participant])
        ]
        return _middle_rows(
            rows_by_trial, f"trial of {participant}", "--trial shows all segments of one trial"
        )
    return _middle_rows(
        _one_trial_per_participant(store, segments),
        "participant",
        "--participant shows one segment of each trial",
    )


def read_example(
    store: PreparedStore, segments: Segments, row: int, class_name: str | None
) -> SegmentExample:
    """Read the faces and the EEG of one row of ``segments``."""
    participant = store.participant(str(segments.participant[row]))
    index = int(segments.row[row])
    eeg = np.asarray(participant.eeg[index], np.float64) if participant.eeg_found[index] else None
    instances = zip(
        participant.faces(index), participant.found[index], participant.reason[index], strict=True
    )
    return SegmentExample(
        participant=participant.participant,
        session=str(participant.session[index]),
        trial=int(participant.trial[index]),
        stimulus=int(participant.stimulus[index]),
        onset_s=float(participant.onset[index]),
        segment_s=participant.segment_s,
        class_name=class_name,
        faces=tuple(image if found else str(reason) for image, found, reason in instances),
        times_s=tuple(participant.time[index].tolist()),
        eeg=eeg,
        channels=participant.channels,
        sfreq=participant.sfreq,
        density=None if eeg is None else power_spectrum(eeg, participant.sfreq)[1],
    )


def _one_participant(store: PreparedStore, text: str) -> str:
    selected = select_participants(store.participants, text, str(store.folder))
    if len(selected) > 1:
        raise InputError(
            f"--participant: expected one participant, got {shorten(selected)}.",
            "Name one, or omit the flag for a segment of each.",
        )
    return selected[0]


def _one_trial_per_participant(store: PreparedStore, segments: Segments) -> list[np.ndarray]:
    """Return the rows of one trial of each participant.

    Each participant contributes another trial. Otherwise all examples would be from the beginning
    of the session.
    """
    rows_by_participant = []
    for index, name in enumerate(store.participants):
        trials = np.unique(segments.trial[segments.participant == name])
        is_shown = (segments.participant == name) & (segments.trial == trials[index % len(trials)])
        rows_by_participant.append(np.flatnonzero(is_shown))
    return rows_by_participant


def _middle_rows(groups: Sequence[np.ndarray], unit: str, hint: str) -> tuple[list[int], str]:
    """Return the middle rows of `MAX_EXAMPLES` evenly distributed groups, and a sentence."""
    positions = np.linspace(0, len(groups) - 1, min(MAX_EXAMPLES, len(groups))).round().astype(int)
    rows = [int(groups[index][len(groups[index]) // 2]) for index in np.unique(positions)]
    if len(groups) > MAX_EXAMPLES:
        count = f"{MAX_EXAMPLES} of {len(groups)} segments, one per {unit}"
    else:
        count = f"One segment per {unit}"
    return rows, f"{count}, from the middle of a trial; {hint}."


def _describe_range(trials: np.ndarray) -> str:
    return f"{trials.min()} to {trials.max()}"
