"""The interface between a data set and the rest of Milmer: trials, and EEG and video files.

Units: seconds; volts in MNE objects (MNE's convention), microvolts everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from milmer_cli.eeg.io import EegBlock
    from milmer_cli.video.frames import VideoSpan

RATINGS = ("valence", "arousal", "dominance", "liking")
"""Order of the ratings of a trial in all arrays and files."""


@dataclass(frozen=True)
class Trial:
    """One trial of one participant.

    Attributes
    ----------
    participant
        Name of the participant, such as ``s01``.
    trial
        Order of presentation, from 1.
    stimulus
        Number of the clip (DEAP's Experiment_id).
    ratings
        Ratings of the participant in the order of `RATINGS`; NaN if not given.
    duration_s
        Duration of the stimulus.
    has_eeg
        Whether there is EEG of the trial.
    video
        Video of the trial, or None.
    session
        Session of the participant; empty if there was only one.
    condition
        Experimental condition, such as ``Listening``; empty if there was only one.
    label
        Name of the trial's class if the data set has classes instead of ratings, else None.
    eeg_problem
        One sentence if the trial has no EEG because its values cannot be used, else empty.
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
    eeg_problem: str = ""
    condition: str = ""


@dataclass(frozen=True)
class EegInputs:
    """What the EEG of one participant depends on, apart from the settings; for its fingerprint.

    Attributes
    ----------
    files
        EEG files, including those that a header file refers to.
    parameters
        Parameters of reading that are not in these files: stimulus onsets, EOG channels.
    """

    files: tuple[Path, ...]
    parameters: tuple[str, ...] = ()


class Recordings(Protocol):
    """A data set. Instances are small and picklable, because every worker process gets a copy.

    A new data set rarely needs its own implementation: list its recordings as rows of a manifest,
    see the docstring of the package.
    """

    @property
    def data_set(self) -> str:
        """Name of the published data set; empty for others."""

    @property
    def channels(self) -> tuple[str, ...] | None:
        """EEG channels to store, in order; None for those of the recording."""

    @property
    def pass_band_hz(self) -> tuple[float, float] | None:
        """Frequencies that all EEG contains, in Hz, if some was already filtered; else None."""

    def notes(self) -> list[str]:
        """Return one sentence for each choice that was made in reading the data set."""

    def participants(self) -> list[str]:
        """Return the names of the participants that can be prepared, sorted."""

    def trials(self, participant: str) -> list[Trial]:
        """Return the trials of a participant in order of presentation."""

    def eeg_blocks(self, participant: str) -> Iterator[EegBlock]:
        """Yield the continuous EEG; every trial with EEG is in exactly one block."""

    def eeg_inputs(self, participant: str) -> EegInputs:
        """Return the files and parameters that a participant's EEG depends on."""
