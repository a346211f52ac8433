"""What is asked of a prediction, apart from the model and the settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.eeg import open_eeg
from milmer_cli.recordings.video import Video


@dataclass(frozen=True)
class Request:
    """A recording, and where in its files the stimulus is.

    Attributes
    ----------
    video, eeg
        The files; None for a modality that is absent.
    trial
        DEAP: which trial the video shows, found by the status codes; with ``eeg_event`` the how
        manieth of these events.
    eeg_event
        A code of the trigger channel, or the text of an annotation, at which the stimulus starts.
    video_onset_s, eeg_onset_s
        Start of the stimulus in each file, in seconds.
    duration_s
        How much of it to predict, in seconds.
    eog
        EEG channels that show the eyes: ``EXG1-EXG2;EXG3-EXG4`` for differences, ``VEOG`` for one.
    """

    video: Path | None = None
    eeg: Path | None = None
    trial: int | None = None
    eeg_event: str | None = None
    video_onset_s: float | None = None
    eeg_onset_s: float | None = None
    duration_s: float | None = None
    eog: str = ""

    @property
    def title(self) -> str:
        """Names of the files."""
        return " and ".join(path.name for path in (self.video, self.eeg) if path is not None)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without what was not asked."""
        plain = {name: _plain(value) for name, value in vars(self).items()}
        return {name: value for name, value in plain.items() if value not in (None, "")}

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises
        ------
        InputError
            Nothing is given, a number makes no sense, or the two files are swapped.
        """
        if self.video is None and self.eeg is None:
            raise InputError("Neither a video nor an EEG recording is given.", "Give one or both.")
        if self.eeg is None and (self.trial or self.eeg_event):
            raise InputError(
                "--trial and --eeg-event are found in the EEG, and none is given.",
                "Give --video-onset instead.",
            )
        if self.trial is not None and (not isinstance(self.trial, Integral) or self.trial < 1):
            raise InputError(f"There is no trial {self.trial}.", "They are counted 1, 2, 3, ...")
        self._refuse_ignored()
        onsets = {"--video-onset": self.video_onset_s, "--eeg-onset": self.eeg_onset_s}
        for flag, value in {**onsets, "--duration": self.duration_s}.items():
            if value is not None and not math.isfinite(value):
                raise InputError(f"{flag} {value} is no number of seconds.")
        for flag, value in onsets.items():
            if value is not None and value < 0:
                raise InputError(f"{flag} {value:g} lies before the start of the file.")
        if self.duration_s is not None and self.duration_s <= 0:
            raise InputError(f"--duration {self.duration_s:g} leaves nothing to predict.")
        if self.video is not None and self.eeg is not None:
            _refuse_swapped(self.video, self.eeg)

    def _refuse_ignored(self) -> None:
        """Refuse what speaks of a file that is not given."""
        for name, file, flags in (
            ("video", self.video, {"--video-onset": self.video_onset_s}),
            ("EEG", self.eeg, {"--eeg-onset": self.eeg_onset_s, "--eog": self.eog or None}),
        ):
            for flag, value in flags.items():
                if file is None and value is not None:
                    raise InputError(f"{flag} is about the {name}, and none is given.", "Drop it.")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _refuse_swapped(video: Path, eeg: Path) -> None:
    try:
        Video(video)
    except InputError as no_video:
        try:
            Video(eeg)
            open_eeg(video)
        except InputError:
            raise no_video from None
        raise InputError(
            f"{video} is an EEG recording and {eeg} a video: the two are swapped.",
            f"Give the video first: milmer predict {eeg} {video}",
        ) from None
