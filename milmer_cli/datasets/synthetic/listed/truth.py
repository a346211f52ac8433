"""Size and ground truth of a copy of EAV, MAHNOB-HCI, AMIGOS or BIDS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import TypeAdapter

from milmer_cli.datasets.synthetic.config import (
    QUADRANTS,
    ExpressionSpan,
    RandomStream,
    SyntheticConfig,
    random_generator,
    read_json_as,
    require_values,
)
from milmer_cli.datasets.synthetic.schedule import balanced_quadrants
from milmer_cli.formats import write_document

DataSet = Literal["eav", "mahnob", "amigos", "bids"]
Expected = Literal["handled", "reported"]


@dataclass(frozen=True)
class ListedConfig:
    """Size and content of the data set. The same config always gives the same files.

    Attributes
    ----------
    data_set
        Whose files are written.
    participants
        Number of participants with recordings, 1-8.
    trials
        Number of trials of each participant and session, 1-40 (AMIGOS: always 20; EAV: a multiple
        of 10).
    stimulus_s
        Duration of a stimulus in seconds, 3-60; EAV: 20.
    signal
        Strength of the class information, as in `SyntheticConfig`.
    seed
        Seed of all random numbers.
    video
        Whether to write face videos.
    """

    data_set: DataSet
    participants: int
    trials: int
    stimulus_s: float
    signal: float = 1.0
    seed: int = 0
    video: bool = True

    def __post_init__(self) -> None:
        names = get_args(DataSet)
        requirements = (
            (self.data_set in names, "data_set", "one of " + ", ".join(names)),
            (1 <= self.participants <= 8, "participants", "1 to 8"),
            (1 <= self.trials <= 40, "trials", "1 to 40"),
            (3.0 <= self.stimulus_s <= 60.0, "stimulus_s", "3 to 60 seconds"),
            (0.0 <= self.signal < float("inf"), "signal", "a finite number, 0 or more"),
            (self.seed >= 0, "seed", "0 or more"),
        )
        require_values(self, requirements)

    def simulation(self, stimulus_s: float | None = None) -> SyntheticConfig:
        """Return the config for the simulation of trials of a duration; None for `stimulus_s`."""
        return SyntheticConfig(
            stimulus_s=self.stimulus_s if stimulus_s is None else stimulus_s,
            signal=self.signal,
            seed=self.seed,
        )

    def generator(self, *keys: int) -> np.random.Generator:
        """Return the generator of the random numbers of a trial or a participant."""
        return random_generator(self.simulation(), RandomStream.TRIALS, *keys)


DEFAULT_SIZES = {
    "eav": ListedConfig("eav", participants=3, trials=20, stimulus_s=20.0),
    "mahnob": ListedConfig("mahnob", participants=4, trials=14, stimulus_s=6.0),
    "amigos": ListedConfig("amigos", participants=4, trials=20, stimulus_s=6.0),
    "bids": ListedConfig("bids", participants=4, trials=12, stimulus_s=6.0),
}
"""Sizes of the data sets that `milmer demo --like` writes."""


@dataclass(frozen=True)
class ListedTrial:
    """Ground truth of one trial.

    Attributes
    ----------
    participant, trial
        Numbers from 1: the participant as in the names of the files, and the order of presentation
        within the participant (and session).
    session
        Name of the session; empty if the data set has none.
    stimulus
        Name of the clip; empty if no clip is shared.
    label, condition
        Class and condition as the data set names them; empty if there are none.
    ratings
        Valence, arousal, dominance, liking, each 1 to 9; None if there are none.
    pattern
        Pattern of EEG and face, see `effects.make_pattern`.
    code
        Number of the marks in EEG and video, unique in the data set; see `trial_marks`.
    duration_s
        Duration of the stimulus.
    eeg, eeg_index, eeg_onset_s
        EEG file relative to the data set, index of the trial in its array from 0 (None without an
        array), and start of the stimulus in the file or in this part of the array, in seconds.
    video, video_onset_s
        Video relative to the data set (None if there is none), and start of the stimulus in
        seconds after its first frame, negative if that is later than the stimulus.
    spans
        Facial expressions, in seconds after the start of the stimulus.
    usable
        False if a trap makes the EEG or the class of the trial unusable, so that a reader reports
        it.
    """

    participant: int
    trial: int
    session: str
    stimulus: str
    label: str
    condition: str
    ratings: tuple[float, float, float, float] | None
    pattern: int
    code: int
    duration_s: float
    eeg: str
    eeg_index: int | None
    eeg_onset_s: float
    video: str | None
    video_onset_s: float
    spans: tuple[ExpressionSpan, ...]
    usable: bool = True

    @property
    def quadrant(self) -> str:
        """Name of the quadrant of its pattern; ``neutral`` for the neutral pattern."""
        return (*QUADRANTS, "neutral")[self.pattern]


@dataclass(frozen=True)
class Trap:
    """A deviation that a naive reader gets wrong.

    Attributes
    ----------
    name
        What it is.
    where
        The file, the folder or the participant.
    expected
        ``handled``: the trials are read as the truth states. ``reported``: a finding or a missing
        input also names it.
    words
        A finding that reports the trap contains all of these words.
    """

    name: str
    where: str
    expected: Expected
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedTruth:
    """Ground truth of a data set.

    Attributes
    ----------
    config
        Its size and content.
    trials
        All trials with recordings, in order of presentation within each participant.
    traps
        The planted deviations.
    options
        What a user has to state in `milmer prepare`, as arguments.
    channels
        EEG channels in recorded order.
    mark_channel
        Channel in which the marks are largest.
    """

    config: ListedConfig
    trials: tuple[ListedTrial, ...]
    traps: tuple[Trap, ...]
    options: tuple[str, ...]
    channels: tuple[str, ...]
    mark_channel: str = field(default="Oz")

    def of_participant(self, participant: int) -> list[ListedTrial]:
        """Return the trials of a participant."""
        return [trial for trial in self.trials if trial.participant == participant]


def draw_clips(config: ListedConfig, n_clips: int) -> np.ndarray:
    """Return the quadrant of each clip, (n_clips,) int: as many of each as possible, shuffled."""
    rng = config.generator()
    clips: np.ndarray = rng.permutation(balanced_quadrants(n_clips, rng))
    return clips


def read_listed_truth(path: Path) -> ListedTruth:
    """Read a ground-truth file.

    Raises
    ------
    InputError
        The file is missing, unreadable or of another format.
    """
    return read_json_as(path, ListedTruth, "listed-truth")


def write_listed_truth(path: Path, truth: ListedTruth) -> None:
    """Write a ground-truth file and flush it to the disk."""
    values = TypeAdapter(ListedTruth).dump_python(truth, mode="json")
    write_document(path, "listed-truth", values, indent=1)
