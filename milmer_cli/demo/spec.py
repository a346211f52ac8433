"""What to make, `DemoSpec`, and what is true of what was made, `DemoTruth` and truth.json."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from milmer_cli.errors import InputError

SignalKind = Literal["quadrant", "trial", "stimulus"]
Format = Literal["bdf", "dat", "mat"]
Site = Literal["A", "B"]

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")
"""Quadrants in the order of their class numbers (published code)."""
SFREQ_HZ = 512
"""Sampling rate of the BDF files (DEAP)."""
SLOT_S = 0.3
"""The face is steady for this long: a tenth of a 3-s segment, so one slot per instance."""
MARK_CHANNEL = "Oz"
"""Where the sine of a marked trial is added."""
TRUTH_NAME = "truth.json"


@dataclass(frozen=True)
class DemoSpec:
    """A DEAP-shaped data set.

    Attributes
    ----------
    participants
        How many, 1-32. The first half (rounded up) is from recording site A (Twente channel order,
        numbers 1-22), the rest from site B (Geneva order, numbers 23-32), as in DEAP.
    trials
        Trials of each, 1-40; also the number of stimuli.
    stimulus_s
        Length of a stimulus, in seconds; DEAP's is 60.
    signal
        How strongly EEG and face carry the pattern: the size of the EEG effects, and (up to 1) how
        often a facial expression is the trial's own and not drawn at random, which at 1 is half of
        them. 0 is the null twin.
    seed
        Same spec, same files.
    signal_kind
        What the pattern names: the quadrant; or only the single trial, or only the clip, with
        nothing that a quadrant has in common (for tests that expose a leaking split).
    marks
        Whether each trial's EEG and video name its stimulus (see `TrialTruth`).
    video
        Whether to make the face videos.
    formats
        Which EEG files to make.
    expression_images
        Face images per class to fine-tune a Swin on; 0 for none.
    """

    participants: int = 4
    trials: int = 12
    stimulus_s: float = 6.0
    signal: float = 1.0
    seed: int = 0
    signal_kind: SignalKind = "quadrant"
    marks: bool = False
    video: bool = True
    formats: tuple[Format, ...] = ("bdf", "dat", "mat")
    expression_images: int = 200

    def __post_init__(self) -> None:
        wrong = (
            (not 1 <= self.participants <= 32, "participants must be 1 to 32"),
            (not 1 <= self.trials <= 40, "trials must be 1 to 40"),
            (not 1.0 <= self.stimulus_s <= 600.0, "stimulus_s must be 1 to 600 seconds"),
            (not 0.0 <= self.signal < float("inf"), "signal must be 0 or more"),
            (self.seed < 0, "seed must be 0 or more"),
            (self.expression_images < 0, "expression_images must be 0 or more"),
            (
                self.signal_kind not in ("quadrant", "trial", "stimulus"),
                "signal_kind is quadrant, trial or stimulus",
            ),
            (not set(self.formats) <= {"bdf", "dat", "mat"}, "formats are bdf, dat and mat"),
        )
        for is_wrong, message in wrong:
            if is_wrong:
                raise InputError(f"The demo data set cannot be made: {message}.")


@dataclass(frozen=True)
class Span:
    """A stretch of a video in which the face is not neutral.

    Attributes
    ----------
    start_s, stop_s
        Seconds after the first frame.
    pattern
        The pattern whose expression is shown (a quadrant's index for the kind ``quadrant``), or
        None when there is no face at all.
    """

    start_s: float
    stop_s: float
    pattern: int | None


@dataclass(frozen=True)
class TrialTruth:
    """What is true of one trial.

    Attributes
    ----------
    trial, stimulus
        Order of presentation; which clip.
    quadrant
        One of `QUADRANTS`.
    ratings
        Valence, arousal, dominance, liking. They lie in the quadrant, except that in a ``tied``
        trial valence or arousal is exactly 5.
    onset_sample, onset_s
        Start of the stimulus in the BDF file, in samples at `SFREQ_HZ` and in seconds.
    pattern
        The pattern that EEG and face carry.
    video
        Path below the root, or None when there is none. Its first frame is at the start of the
        stimulus.
    spans
        Where the face shows an expression or is absent, in order.
    mark_hz
        Frequency of the sine in `MARK_CHANNEL` during the stimulus, one for each stimulus; None
        without marks. In the video of a marked trial `read_mark` gives the stimulus.
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
    spans: tuple[Span, ...]
    mark_hz: float | None


@dataclass(frozen=True)
class ParticipantTruth:
    """What is true of one participant.

    Attributes
    ----------
    name, number
        As in ``s01`` and 1.
    site
        Where DEAP recorded participants of this number.
    n_samples
        Length of the BDF recording.
    blinks_s
        Peaks of the blinks, in seconds of the BDF recording.
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
        """The trials in the order of the rows of .dat and .mat."""
        return tuple(sorted(self.trials, key=lambda trial: trial.stimulus))


@dataclass(frozen=True)
class DemoTruth:
    """What is true of a whole data set."""

    spec: DemoSpec
    participants: tuple[ParticipantTruth, ...]

    def participant(self, name: str) -> ParticipantTruth:
        """Return the participant called ``name``; KeyError when there is none."""
        return {p.name: p for p in self.participants}[name]

    @classmethod
    def load(cls, folder: Path) -> DemoTruth:
        """Read the truth.json of a finished data set; InputError when there is none to be read."""
        return read_truth(folder / TRUTH_NAME)


def read_truth(path: Path) -> DemoTruth:
    """Read the truth of a data set; InputError when it cannot be read."""
    try:
        return TypeAdapter(DemoTruth).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is not the truth of a demo data set.", "Make the set again in an empty folder."
        ) from error


def write_truth(path: Path, truth: DemoTruth) -> None:
    """Write the truth of a data set, flushed to the disk."""
    with path.open("wb") as file:
        file.write(TypeAdapter(DemoTruth).dump_json(truth, indent=1))
        file.flush()
        os.fsync(file.fileno())
