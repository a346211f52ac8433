"""What a data set looks like to the rest of Milmer: trials, EEG and video as spans of files.

Units: seconds; volts inside mne objects (mne's convention), microvolts everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import mne

RATINGS = ("valence", "arousal", "dominance", "liking")
"""Order of the ratings of a trial, everywhere."""


@dataclass(frozen=True)
class VideoSpan:
    """The part of a video file that shows one trial.

    Attributes
    ----------
    path
        The video file.
    onset_s
        Where in the file the stimulus starts, in seconds of its time stamps after the first frame.
    """

    path: Path
    onset_s: float = 0.0


@dataclass(frozen=True)
class Trial:
    """One trial of one participant.

    Attributes
    ----------
    participant
        Name of the participant, ``s01``.
    trial
        Order of presentation, from 1.
    stimulus
        Which clip was shown (DEAP's Experiment_id).
    ratings
        In the order of `RATINGS`, as given by the participant; NaN where none was given.
    duration_s
        How long the stimulus lasted.
    has_eeg
        Whether the EEG of the trial is at hand.
    video
        Where its video is, or None.
    session
        Which visit of the participant; empty where there was one.
    label
        Name of the trial's class where the data set gives classes instead of ratings, else None.
    """

    participant: str
    trial: int
    stimulus: int
    ratings: tuple[float, float, float, float]
    duration_s: float
    has_eeg: bool
    video: VideoSpan | None
    session: str = ""
    label: str | None = None


@dataclass(frozen=True)
class EegBlock:
    """A continuous stretch of EEG that holds one trial or many.

    Attributes
    ----------
    raw
        Continuous recording, in volts; channel types set (eeg, eog, stim, misc).
    onset_s
        For each trial in the block, seconds from the start of ``raw`` to the start of the stimulus.
    cleaned
        True when the publisher has already referenced, filtered and resampled the data (DEAP's
        preprocessed files): it is then only brought to the wanted rate and order.
    eog
        Which channels of ``raw`` show the eyes: single ones, or pairs whose difference is meant.
    """

    raw: mne.io.BaseRaw
    onset_s: Mapping[int, float]
    cleaned: bool = False
    eog: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class InputFiles:
    """What one participant's EEG is made from, besides the settings: what a fingerprint covers.

    Attributes
    ----------
    eeg
        EEG files, with those that a header file points to.
    reading
        How they are to be read, as far as no file of them says it: onsets, eye channels.
    """

    eeg: tuple[Path, ...]
    reading: tuple[str, ...] = ()


class Recordings(Protocol):
    """What preparing needs of a data set. Instances are small and picklable: workers get a copy."""

    @property
    def channels(self) -> tuple[str, ...] | None:
        """EEG channels to store and their order, by name; None for those of the recording."""

    def notes(self) -> list[str]:
        """Tell what was decided in reading the data set, one sentence each."""

    def participants(self) -> list[str]:
        """Names of the participants that can be prepared, sorted."""

    def trials(self, participant: str) -> list[Trial]:
        """Trials of a participant in order of presentation."""

    def eeg_blocks(self, participant: str) -> Iterator[EegBlock]:
        """Continuous EEG of a participant; every trial with EEG is in exactly one block."""

    def inputs(self, participant: str) -> InputFiles:
        """Return what a participant's EEG is made from."""
