"""Which part of each file is predicted: onsets and duration of the stimulus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milmer_cli.eeg.io import EegBlock
from milmer_cli.eeg.segment import count_segments
from milmer_cli.errors import InputError
from milmer_cli.prediction.messages import Messages
from milmer_cli.prediction.onsets import (
    EEG,
    ONSET_FLAGS,
    VIDEO,
    Onset,
    file_durations,
    find_mark,
    find_onsets,
)
from milmer_cli.prediction.request import Request

_TOLERANCE_S = 0.5
"""Shorter differences between durations are not reported."""


@dataclass(frozen=True)
class StimulusTiming:
    """Position of the stimulus in the files of a request.

    Attributes
    ----------
    video, eeg
        Start of the stimulus in each file; None without the file.
    duration_s
        Duration that is predicted, in seconds.
    marked
        Whether the EEG marks the start and the end of the stimulus, as DEAP's recordings and
        annotations with a duration do.
    """

    video: Onset | None
    eeg: Onset | None
    duration_s: float
    marked: bool = False

    @property
    def video_onset_s(self) -> float:
        """Start in the video, in seconds; 0 without a video."""
        return self.video.time_s if self.video else 0.0

    @property
    def eeg_onset_s(self) -> float:
        """Start in the EEG, in seconds; 0 without EEG."""
        return self.eeg.time_s if self.eeg else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values: dict[str, Any] = {"duration_s": self.duration_s}
        for name, onset in (("video_onset", self.video), ("eeg_onset", self.eeg)):
            if onset is not None:
                values |= {f"{name}_s": onset.time_s, f"{name}_source": onset.source}
        return values

    def summary(self) -> Iterator[tuple[str, str]]:
        """Rows of label and value."""
        for name, onset in (("video", self.video), ("EEG", self.eeg)):
            if onset is not None:
                source = onset.source.replace("_", " ")
                yield f"start of the stimulus in the {name}", f"{onset.time_s:g} s ({source})"


def locate_stimulus(
    request: Request, block: EegBlock | None, segment_s: float, messages: Messages
) -> StimulusTiming:
    """Determine which part of each file is predicted.

    Parameters
    ----------
    request
        The files and the user's onsets.
    block
        The opened EEG; None without EEG.
    segment_s
        Duration of a segment, in seconds.
    messages
        Receives notes and warnings.

    Raises
    ------
    InputError
        A mark does not exist or is ambiguous, a file ends before the stimulus starts, or the files
        contain less than one segment of it.
    """
    durations = file_durations(request, block)
    mark = find_mark(request, block)
    onsets = find_onsets(request, block, mark, durations, messages)
    remaining = {name: durations[name] - onset.time_s for name, onset in onsets.items()}
    for name, seconds in remaining.items():
        if seconds <= 0:
            raise InputError(
                f"{_file(request, name)} ends before {ONSET_FLAGS[name]} "
                f"{onsets[name].time_s:g} s.",
                "Correct the onset.",
            )
    marked_s = None if mark is None else mark.duration_s
    if marked_s is None:
        duration_s = _shared_duration(request, remaining, messages)
    else:
        duration_s = _marked_duration(request, marked_s, remaining, messages)
    if not count_segments(duration_s, segment_s):
        raise _too_short(request, onsets, remaining, marked_s, segment_s)
    marked = marked_s is not None
    return StimulusTiming(onsets.get(VIDEO), onsets.get(EEG), duration_s, marked)


def _shared_duration(request: Request, remaining: Mapping[str, float], messages: Messages) -> float:
    """Seconds to predict of a stimulus whose end is not marked: what both files contain."""
    shared = min(remaining.values())
    if max(remaining.values()) - shared >= _TOLERANCE_S and request.duration_s is None:
        messages.note(
            f"The EEG lasts {remaining[EEG]:.1f} s from its onset and the video "
            f"{remaining[VIDEO]:.1f} s: the first {shared:.1f} s are predicted."
        )
    wanted = shared if request.duration_s is None else request.duration_s
    if wanted - shared >= _TOLERANCE_S:
        messages.note(
            f"--duration is {wanted:g} s, and the files contain {shared:.1f} s from the onset."
        )
    return min(wanted, shared)


def _marked_duration(
    request: Request, marked_s: float, remaining: Mapping[str, float], messages: Messages
) -> float:
    """Seconds to predict of a marked stimulus: what the EEG contains of it, as in training."""
    wanted = request.duration_s or marked_s
    if wanted - marked_s >= _TOLERANCE_S:
        messages.note(f"--duration is {wanted:g} s, and the stimulus lasts {marked_s:.1f} s.")
    wanted = min(wanted, marked_s)
    predicted = min(wanted, remaining[EEG])
    if wanted - predicted >= _TOLERANCE_S:
        messages.warn(
            f"The EEG ends {remaining[EEG]:.1f} s after its onset and the stimulus lasts "
            f"{marked_s:.1f} s: {predicted:.1f} s are predicted."
        )
    filmed = remaining.get(VIDEO, predicted)
    if predicted - filmed >= _TOLERANCE_S:
        messages.warn(
            f"The video ends {filmed:.1f} s after its onset and the stimulus lasts "
            f"{marked_s:.1f} s: {predicted:.1f} s are predicted, the last "
            f"{predicted - filmed:.1f} s without video."
        )
    return predicted


def _too_short(
    request: Request,
    onsets: Mapping[str, Onset],
    remaining: Mapping[str, float],
    marked_s: float | None,
    segment_s: float,
) -> InputError:
    """Name the cause: the requested duration, the marked stimulus, or a file."""
    less = f"less than one segment of {segment_s:g} s"
    if request.duration_s is not None and not count_segments(request.duration_s, segment_s):
        return InputError(f"--duration {request.duration_s:g} s is {less}.", "Increase --duration.")
    if marked_s is not None and not count_segments(marked_s, segment_s):
        mark, flag = f"trial {request.trial}", "Check --trial."
        if request.eeg_array is not None:
            mark, flag = f"{request.eeg_array}", "Give a longer recording."
        elif request.eeg_event is not None:
            mark, flag = f"event {request.eeg_event}", "Give the duration with --duration."
        return InputError(
            f"The stimulus of {mark} in {request.eeg} lasts {marked_s:.1f} s, {less}.", flag
        )
    name = EEG if marked_s is not None else min(remaining, key=lambda name: remaining[name])
    onset = onsets[name]
    after = f" after its onset at {onset.time_s:.1f} s" if onset.time_s else ""
    hint = f"Check {ONSET_FLAGS[name]}." if onset.time_s else "Give a longer recording."
    if onset.source == "start_time":
        hint = (
            "Its onset is derived from the start times of the files: give "
            f"{' and '.join(ONSET_FLAGS.values())} if they are wrong."
        )
    return InputError(
        f"{_file(request, name)} contains {remaining[name]:.1f} s{after}, {less}.", hint
    )


def _file(request: Request, name: str) -> Path | None:
    return request.eeg if name == EEG else request.video
