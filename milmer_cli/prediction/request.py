"""What a prediction reads and writes: the request and its outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.eeg.io import open_eeg
from milmer_cli.errors import InputError
from milmer_cli.video.decode import VideoOptions
from milmer_cli.video.frames import VideoReader

MAX_SECONDS = 10_000_000
"""Latest onset and longest duration: some hundred days."""
MAX_FPS = 10_000


@dataclass(frozen=True)
class Request:
    """The files of one recording and the position of the stimulus in them.

    Attributes
    ----------
    video, eeg
        The files; None for a modality that is absent.
    trial
        DEAP: trial that the video shows, found by the status codes of the BDF. With ``eeg_event``:
        which occurrence of this event starts the stimulus. Counted from 1.
    eeg_event
        Trigger code, or text of an annotation, at which the stimulus starts.
    video_onset_s, eeg_onset_s
        Start of the stimulus in each file, in seconds; in the video, it is negative if the video
        starts after the stimulus.
    duration_s
        Duration to predict, in seconds.
    eog
        EOG channels: ``EXG1-EXG2;EXG3-EXG4`` for differences, ``VEOG`` for a single channel.
    video_stream
        Number of the video stream, from 1; None for the first one with a face.
    video_fps
        Frame rate of a video without time stamps, in frames per second.
    """

    video: Path | None = None
    eeg: Path | None = None
    trial: int | None = None
    eeg_event: str | None = None
    video_onset_s: float | None = None
    eeg_onset_s: float | None = None
    duration_s: float | None = None
    eog: str = ""
    video_stream: int | None = None
    video_fps: float | None = None

    @property
    def video_options(self) -> VideoOptions:
        """How the video is read."""
        return VideoOptions(self.video_stream, self.video_fps)

    @property
    def title(self) -> str:
        """Names of the files."""
        return " and ".join(path.name for path in (self.video, self.eeg) if path is not None)

    def to_json(self) -> dict[str, Any]:
        """Fields that are set, as plain values."""
        values = {name: _plain(value) for name, value in vars(self).items()}
        return {name: value for name, value in values.items() if value not in (None, "")}

    def validate(self) -> None:
        """Check the request before any signal is read.

        Raises
        ------
        InputError
            No file is given, a number is out of range, an option concerns a file that is not
            given, or the two files are swapped.
        """
        if self.video is None and self.eeg is None:
            raise InputError("Neither a video nor an EEG recording is given.", "Give one or both.")
        if self.eeg is None and (self.trial or self.eeg_event):
            raise InputError(
                "--trial and --eeg-event require an EEG recording, and none is given.",
                "Use --video-onset instead.",
            )
        if self.trial is not None and (not isinstance(self.trial, Integral) or self.trial < 1):
            raise InputError(f"--trial: expected a whole number from 1, got {self.trial}.")
        self._require_file_of_each_option()
        self._check_times()
        self._check_video_options()
        if self.video is not None and self.eeg is not None:
            _require_not_swapped(self.video, self.eeg, self.video_options)

    def _check_times(self) -> None:
        onsets = {"--video-onset": self.video_onset_s, "--eeg-onset": self.eeg_onset_s}
        for flag, value in {**onsets, "--duration": self.duration_s}.items():
            if value is not None and not math.isfinite(value):
                raise InputError(f"{flag}: expected seconds, got {value}.")
            if value is not None and value > MAX_SECONDS:
                raise InputError(f"{flag}: expected at most {MAX_SECONDS} seconds, got {value:g}.")
        if self.eeg_onset_s is not None and self.eeg_onset_s < 0:
            raise InputError(
                f"--eeg-onset: expected 0 or more seconds, got {self.eeg_onset_s:g}.",
                "If the EEG starts after the stimulus, move both onsets by the same time.",
            )
        if self.video_onset_s is not None and self.video_onset_s < -MAX_SECONDS:
            raise InputError(
                f"--video-onset: expected at least {-MAX_SECONDS} seconds, got "
                f"{self.video_onset_s:g}."
            )
        if self.duration_s is not None and self.duration_s <= 0:
            raise InputError(f"--duration: expected more than 0 seconds, got {self.duration_s:g}.")

    def _check_video_options(self) -> None:
        stream, fps = self.video_stream, self.video_fps
        if stream is not None and (not isinstance(stream, Integral) or stream < 1):
            raise InputError(f"--video-stream: expected a whole number from 1, got {stream}.")
        if fps is not None and not 0 < fps < math.inf:
            raise InputError(f"--video-fps: expected frames per second, more than 0, got {fps}.")
        if fps is not None and fps > MAX_FPS:
            raise InputError(f"--video-fps: expected at most {MAX_FPS} per second, got {fps:g}.")

    def _require_file_of_each_option(self) -> None:
        for modality, file, options in (
            (
                "a video",
                self.video,
                {
                    "--video-onset": self.video_onset_s,
                    "--video-stream": self.video_stream,
                    "--video-fps": self.video_fps,
                },
            ),
            (
                "an EEG recording",
                self.eeg,
                {"--eeg-onset": self.eeg_onset_s, "--eog": self.eog or None},
            ),
        ):
            for flag, value in options.items():
                if file is None and value is not None:
                    raise InputError(
                        f"{flag} requires {modality}, and none is given.", f"Remove {flag}."
                    )


@dataclass(frozen=True)
class Outputs:
    """What a prediction writes.

    Attributes
    ----------
    out
        Folder of the table, the JSON document and the page; None writes none of them.
    align_check
        Whether to compare the blinks in the video with those in the EEG (`sync_check`).
    video_out
        Annotated video; None for none.
    """

    out: Path | None = None
    align_check: bool = False
    video_out: Path | None = None


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _require_not_swapped(video: Path, eeg: Path, options: VideoOptions) -> None:
    try:
        VideoReader(video, options)
    except InputError as unreadable_video:
        try:
            VideoReader(eeg)
            open_eeg(video)
        except InputError:
            raise unreadable_video from None
        raise InputError(
            f"{video} is an EEG recording and {eeg} is a video: the two are swapped.",
            f"Give the video first: milmer predict {eeg} {video}",
        ) from None
