"""`SyntheticConfig`, what to generate, and `SyntheticTruth`, the ground truth (truth.json)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np
from pydantic import TypeAdapter, ValidationError

from milmer_cli.errors import InputError
from milmer_cli.formats import check_version, write_document
from milmer_cli.input_files import read_input

SignalKind = Literal["emotion", "participant", "trial", "stimulus"]
Format = Literal["bdf", "dat", "mat"]
Site = Literal["A", "B"]

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")
"""Quadrants in the order of their class numbers in the published code."""
NEUTRAL_PATTERN = len(QUADRANTS)
"""Index of the pattern without arousal and valence: no change of the EEG, a neutral face."""
SFREQ_HZ = 512
"""Sampling rate of the BDF files, as in DEAP."""
SLOT_S = 0.3
"""Duration of one facial expression: a tenth of a 3-s segment, so each instance has one slot."""
MARK_CHANNEL = "Oz"
"""Channel with the sine wave that identifies the stimulus (see `SyntheticConfig.marks`)."""


@dataclass(frozen=True)
class SyntheticConfig:
    """Size and content of the data set. The same config always gives the same files.

    Attributes
    ----------
    participants
        Number of participants, 1-32. The first half (rounded up) is from recording site A (Twente
        channel order, numbers 1-22), the rest from site B (Geneva order, numbers 23-32), as in
        DEAP.
    trials
        Number of trials of each participant, 1-40; also the number of stimuli.
    stimulus_s
        Duration of a stimulus in seconds, 1-600; 60 in DEAP.
    signal
        Strength of the class information. It multiplies the EEG effects. Up to 1 it is also
        proportional to the share of facial expressions that belong to the trial, the others being
        random, and, if ``signal_kind`` is ``participant``, to the share of trials with the
        participant's preferred quadrant. At 0 there is no information.
    seed
        Seed of all random numbers.
    signal_kind
        What the effects identify.

        ``emotion``
            The quadrant. The EEG depends on arousal only and the facial expressions depend on
            valence only, so that one modality cannot distinguish more than two pairs of quadrants
            and both together distinguish all four. Participants mostly agree on the quadrant of a
            stimulus.
        ``participant``
            The participant. Each one rates most trials into one preferred quadrant, whatever the
            stimulus. Predictions for other participants are at chance.
        ``trial``, ``stimulus``
            The single trial, or the stimulus, without anything that trials of one quadrant share.
            These kinds expose a split that leaks. All participants agree on the quadrant of a
            stimulus.
    marks
        Whether the EEG and the video of each trial identify its stimulus (see `TrialTruth`).
    video
        Whether to write face videos.
    formats
        Formats of the EEG files to write.
    expression_images
        Number of face images per class for fine-tuning a Swin; 0 for none.

    Raises
    ------
    InputError
        A value is outside its range.
    """

    participants: int = 6
    trials: int = 16
    stimulus_s: float = 6.0
    signal: float = 1.0
    seed: int = 0
    signal_kind: SignalKind = "emotion"
    marks: bool = False
    video: bool = True
    formats: tuple[Format, ...] = ("bdf", "dat", "mat")
    expression_images: int = 200

    def __post_init__(self) -> None:
        requirements = (
            (1 <= self.participants <= 32, "participants", "1 to 32"),
            (1 <= self.trials <= 40, "trials", "1 to 40"),
            (1.0 <= self.stimulus_s <= 600.0, "stimulus_s", "1 to 600 seconds"),
            (0.0 <= self.signal < float("inf"), "signal", "a finite number, 0 or more"),
            (self.seed >= 0, "seed", "0 or more"),
            (self.expression_images >= 0, "expression_images", "0 or more"),
            (
                self.signal_kind in get_args(SignalKind),
                "signal_kind",
                "emotion, participant, trial or stimulus",
            ),
            (set(self.formats) <= {"bdf", "dat", "mat"}, "formats", "bdf, dat or mat"),
        )
        require_values(self, requirements)


def require_values(config: object, requirements: Iterable[tuple[bool, str, str]]) -> None:
    """Raise an InputError for the first value of a config that is outside its range.

    Parameters
    ----------
    config
        The config.
    requirements
        Whether a value is allowed, its name, and what is expected.
    """
    for is_met, name, expected in requirements:
        if not is_met:
            raise InputError(
                f"Synthetic data set: {name}: expected {expected}, got {getattr(config, name)}."
            )


class RandomStream(IntEnum):
    """Purposes of random numbers. Each has its own generator, so their order does not matter."""

    STIMULI = 0
    TRIALS = 1
    PATTERN = 2
    EEG = 3
    STATUS = 4
    APPEARANCE = 5
    HEAD_MOTION = 6
    RATINGS = 7
    EXPRESSION_IMAGES = 8


def random_generator(
    config: SyntheticConfig, stream: RandomStream, *keys: int
) -> np.random.Generator:
    """Return the generator of one purpose, for example of one participant (``keys``)."""
    return np.random.default_rng([config.seed, int(stream), *keys])


@dataclass(frozen=True)
class ExpressionSpan:
    """An interval of a video in which the face is not neutral.

    Attributes
    ----------
    start_s, stop_s
        Seconds after the first frame.
    pattern
        Index of the pattern whose expression is shown (see `TrialTruth`); None if the frames show
        no face.
    """

    start_s: float
    stop_s: float
    pattern: int | None


@dataclass(frozen=True)
class TrialTruth:
    """Ground truth of one trial.

    Attributes
    ----------
    trial, stimulus
        Numbers from 1: order of presentation, and video clip.
    quadrant
        One of `QUADRANTS`.
    ratings
        Valence, arousal, dominance, liking, each 1 to 9. They lie in the quadrant; in a ``tied``
        trial, however, valence or arousal is exactly 5.
    tied
        Whether a rating lies exactly on the threshold.
    onset_sample, onset_s
        Start of the stimulus in the BDF file, in samples at `SFREQ_HZ` and in seconds.
    pattern
        Index of the pattern in EEG and face: the quadrant's index in `QUADRANTS`,
        `NEUTRAL_PATTERN`, or an index that is unique to the participant, the trial or the stimulus
        (`SyntheticConfig.signal_kind`).
    video
        Path relative to the data set; None without a video. The first frame is at the stimulus
        onset.
    spans
        Intervals in which the face shows an expression or is absent, in order.
    mark_hz
        Frequency of the sine wave in `MARK_CHANNEL` during the stimulus, unique to the stimulus;
        None without marks. In the video, `face_video.read_mark` returns the stimulus.
    """

    trial: int
    stimulus: int
    quadrant: str
    ratings: tuple[float, float, float, float]
    tied: bool
    onset_sample: int
    onset_s: float
    pattern: int
    video: str | None
    spans: tuple[ExpressionSpan, ...]
    mark_hz: float | None


@dataclass(frozen=True)
class ParticipantTruth:
    """Ground truth of one participant.

    Attributes
    ----------
    name, number
        For example ``s01`` and 1.
    site
        Recording site; DEAP recorded numbers 1-22 at site A.
    n_samples
        Length of the BDF recording.
    blinks_s
        Peaks of the blinks in seconds of the BDF recording.
    trials
        In order of presentation.
    """

    name: str
    number: int
    site: Site
    n_samples: int
    blinks_s: tuple[float, ...]
    trials: tuple[TrialTruth, ...]

    @property
    def by_stimulus(self) -> tuple[TrialTruth, ...]:
        """The trials in the order of the rows of .dat and .mat files."""
        return tuple(sorted(self.trials, key=lambda trial: trial.stimulus))


Truth = TypeVar("Truth")


@dataclass(frozen=True)
class SyntheticTruth:
    """Ground truth of a data set. ``spec`` is its config, under this name also in truth.json."""

    spec: SyntheticConfig
    participants: tuple[ParticipantTruth, ...]


def read_truth(path: Path) -> SyntheticTruth:
    """Read a ground-truth file.

    Raises
    ------
    InputError
        The file is missing, unreadable or of another format.
    """
    return read_json_as(path, SyntheticTruth, "synthetic-truth")


def read_json_as(path: Path, truth: type[Truth], format_name: str) -> Truth:
    """Read a ground-truth file as an object of a class; see `read_truth`."""
    try:
        content = read_input(path)
        values = TypeAdapter(truth).validate_json(content)
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is not the ground truth of a synthetic data set.",
            "Generate the data set again in an empty folder.",
        ) from error
    check_version(path, format_name, json.loads(content))
    return values


def write_truth(path: Path, truth: SyntheticTruth) -> None:
    """Write a ground-truth file and flush it to the disk."""
    values = TypeAdapter(SyntheticTruth).dump_python(truth, mode="json")
    write_document(path, "synthetic-truth", values, indent=1)
