"""The parts of files that trials were prepared from, by content: no names and no paths."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

_TOUCHING_S = 0.01
"""Trials whose times overlap by less than this only follow each other."""


@dataclass(frozen=True)
class TrialSource:
    """The part of an EEG recording and of a video that belongs to a trial.

    Attributes
    ----------
    duration_s
        Duration of the trial.
    eeg
        `milmer_cli.digests.content_digest` of the files with the signals; none without EEG.
    eeg_onset_s
        Start of the trial in the EEG.
    video
        `milmer_cli.digests.content_digest` of the video; empty without one.
    video_onset_s
        Start of the trial in the video.
    """

    duration_s: float
    eeg: tuple[str, ...] = ()
    eeg_onset_s: float = 0.0
    video: str = ""
    video_onset_s: float = 0.0

    def shares_files_with(self, other: TrialSource) -> bool:
        """Whether both are parts of one EEG recording or of one video."""
        return bool(set(self.eeg) & set(other.eeg)) or self._same_video(other)

    def overlaps(self, other: TrialSource) -> bool:
        """Whether both contain the same seconds of one EEG recording or of one video."""
        in_eeg = bool(set(self.eeg) & set(other.eeg))
        eeg_s, video_s = (
            _shared_s(start, self.duration_s, other_start, other.duration_s)
            for start, other_start in (
                (self.eeg_onset_s, other.eeg_onset_s),
                (self.video_onset_s, other.video_onset_s),
            )
        )
        return (in_eeg and eeg_s > _TOUCHING_S) or (
            self._same_video(other) and video_s > _TOUCHING_S
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "eeg": list(self.eeg)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Convert the result of `to_json` back.

        Raises
        ------
        KeyError, TypeError, ValueError
            The values are not those of `to_json`.
        """
        times = ("duration_s", "eeg_onset_s", "video_onset_s")
        read = {name: float(values[name]) for name in times if name in values}
        if not all(map(math.isfinite, read.values())):
            raise ValueError("a time is not a finite number")
        if not isinstance(values["eeg"], list) or not isinstance(values.get("video", ""), str):
            raise TypeError("eeg must be a list, and video a text")
        return cls(**{**values, **read, "eeg": tuple(map(str, values["eeg"]))})

    def _same_video(self, other: TrialSource) -> bool:
        return self.video != "" and self.video == other.video


def _shared_s(start: float, duration: float, other_start: float, other_duration: float) -> float:
    return min(start + duration, other_start + other_duration) - max(start, other_start)
