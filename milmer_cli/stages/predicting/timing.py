"""When the stimulus runs in each file: asked for, marked, or by the files' own clocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.bdf import StimulusMark, open_bdf, stimulus_marks
from milmer_cli.recordings.eeg import segment_count
from milmer_cli.recordings.events import event_onsets
from milmer_cli.recordings.probe import measured_duration
from milmer_cli.recordings.trial import EegBlock
from milmer_cli.recordings.video import Video
from milmer_cli.stages.predicting.clocks import by_clocks
from milmer_cli.stages.predicting.request import Request

_SAID_FROM_S = 0.5
EEG, VIDEO = "EEG", "video"
_FLAGS = {EEG: "--eeg-onset", VIDEO: "--video-onset"}


@dataclass(frozen=True)
class Onset:
    """Where the stimulus starts in a file.

    Attributes
    ----------
    at_s
        Seconds from the start of the file.
    by
        How it was found: ``asked``, ``trial``, ``event``, ``clocks``, or ``start`` of the file.
    """

    at_s: float
    by: str


@dataclass(frozen=True)
class Timing:
    """Where the stimulus is.

    Attributes
    ----------
    video, eeg
        Its start in each file; None without the file.
    duration_s
        How much of it is predicted.
    marked
        Whether the EEG marks its start and its end, as DEAP's does.
    notes, warnings
        What a reader should know of it, and what to check, one sentence each.
    """

    video: Onset | None
    eeg: Onset | None
    duration_s: float
    marked: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def video_onset_s(self) -> float:
        """Start in the video, in seconds; 0 without."""
        return self.video.at_s if self.video else 0.0

    @property
    def eeg_onset_s(self) -> float:
        """Start in the EEG, in seconds; 0 without."""
        return self.eeg.at_s if self.eeg else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        found: dict[str, Any] = {"duration_s": self.duration_s}
        for name, onset in (("video_onset", self.video), ("eeg_onset", self.eeg)):
            if onset is not None:
                found |= {f"{name}_s": onset.at_s, f"{name}_found_by": onset.by}
        return found

    def facts(self) -> Iterator[tuple[str, str]]:
        """Rows of label and value."""
        for name, onset in (("video", self.video), ("EEG", self.eeg)):
            if onset is not None:
                yield f"start of the stimulus in the {name}", f"{onset.at_s:g} s ({onset.by})"


class _Findings:
    """What is said while the stimulus is sought."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []


def find_timing(request: Request, block: EegBlock | None, segment_s: float) -> Timing:
    """Find the stimulus in the files.

    Parameters
    ----------
    request
        What is asked for.
    block
        The EEG; None without.
    segment_s
        Length of a segment: less than one is refused.

    Raises
    ------
    InputError
        A mark is absent or not clear, a file ends before the stimulus begins, or the files hold
        less than a segment of it.
    """
    said = _Findings()
    lengths = dict(_lengths(request, block))
    mark = _mark(request, block)
    onsets = _onsets(request, block, mark, lengths, said)
    left = {name: lengths[name] - onset.at_s for name, onset in onsets.items()}
    for name, seconds in left.items():
        if seconds <= 0:
            raise InputError(
                f"{_file(request, name)} ends before {_FLAGS[name]} {onsets[name].at_s:g} s.",
                "Check the onset.",
            )
    stimulus_s = None if mark is None else mark.duration_s
    if stimulus_s is None:
        duration_s = _shared(request, left, said)
    else:
        duration_s = _of_marked(request, stimulus_s, left, said)
    if not segment_count(duration_s, segment_s):
        raise _too_short(request, onsets, left, stimulus_s, segment_s)
    return Timing(
        onsets.get(VIDEO),
        onsets.get(EEG),
        duration_s,
        stimulus_s is not None,
        tuple(said.notes),
        tuple(said.warnings),
    )


def _lengths(request: Request, block: EegBlock | None) -> Iterator[tuple[str, float]]:
    """Seconds that each file lasts."""
    if block is not None:
        yield EEG, block.raw.n_times / float(block.raw.info["sfreq"])
    if request.video is not None:
        yield VIDEO, _seconds(request.video)


def _seconds(video: Path) -> float:
    declared = Video(video).duration_s
    seconds = declared if np.isfinite(declared) else measured_duration(video)
    if not np.isfinite(seconds):
        raise InputError(
            f"{video} does not tell how long it lasts.",
            "Write it anew, as with `ffmpeg -i VIDEO -c copy NEW.mp4`.",
        )
    return seconds


def _mark(request: Request, block: EegBlock | None) -> StimulusMark | None:
    """Find the stimulus that the EEG marks; its duration is None where only its start is marked."""
    if block is None or request.eeg is None:
        return None
    eeg = request.eeg
    if request.eeg_event is not None:
        onsets = event_onsets(eeg, block.raw, request.eeg_event)
        which = request.trial or 1
        if which > len(onsets) or (request.trial is None and len(onsets) > 1):
            raise InputError(
                f"{eeg} has the event {request.eeg_event} {len(onsets)} times.",
                f"Say which with --trial 1 to --trial {len(onsets)}.",
            )
        return StimulusMark(onsets[which - 1], None)
    if request.trial is None:
        return None
    if eeg.suffix.lower() != ".bdf":
        raise InputError(
            f"--trial alone reads DEAP's status codes, and {eeg} is no BDF file.",
            "Give --eeg-event CODE with it, or --eeg-onset.",
        )
    marks = stimulus_marks(open_bdf(eeg))
    if request.trial > len(marks):
        raise InputError(
            f"{eeg} marks {len(marks)} stimuli, so there is no trial {request.trial}.",
            "Check --trial, or give --eeg-onset instead.",
        )
    mark = marks[request.trial - 1]
    if mark.duration_s is None:
        raise InputError(
            f"{eeg} does not say when the stimulus of trial {request.trial} ends.",
            "Give --eeg-onset instead of --trial.",
        )
    return mark


def _onsets(
    request: Request,
    block: EegBlock | None,
    mark: StimulusMark | None,
    lengths: Mapping[str, float],
    said: _Findings,
) -> dict[str, Onset]:
    """Start of the stimulus in each file that is there: as asked, marked, by the clocks, or 0."""
    found: dict[str, Onset] = {}
    if mark is not None:
        found[EEG] = Onset(mark.onset_s, "event" if request.eeg_event else "trial")
    for name, asked_s in ((EEG, request.eeg_onset_s), (VIDEO, request.video_onset_s)):
        if asked_s is not None:
            found[name] = Onset(asked_s, "asked")
    open_still = VIDEO not in found and request.eeg_onset_s is None
    if open_still and (mark is None or mark.duration_s is None):
        found = _by_clocks(request, block, mark, lengths, said) | found
    if block is not None and block.onset_s and EEG not in found:
        said.warnings.append(
            f"{request.eeg} marks {len(block.onset_s)} stimuli and none was asked for, so the "
            "prediction begins with the recording: --trial N picks a stimulus."
        )
    return {name: found.get(name, Onset(0.0, "start")) for name in lengths}


def _by_clocks(
    request: Request,
    block: EegBlock | None,
    mark: StimulusMark | None,
    lengths: Mapping[str, float],
    said: _Findings,
) -> dict[str, Onset]:
    if block is None or request.video is None or request.eeg is None:
        return {}
    marked_s = None if mark is None else mark.onset_s
    clocks = by_clocks(request.video, request.eeg, block, marked_s, lengths)
    if clocks is None:
        return {}
    (said.warnings if clocks.doubtful else said.notes).append(clocks.sentence)
    if clocks.onsets is None:
        return {}
    video_s, eeg_s = clocks.onsets
    return {VIDEO: Onset(video_s, "clocks"), EEG: Onset(eeg_s, "clocks")}


def _shared(request: Request, left: Mapping[str, float], said: _Findings) -> float:
    """Seconds to predict of a stimulus whose end is not marked: what both files hold."""
    shared = min(left.values())
    if max(left.values()) - shared >= _SAID_FROM_S and request.duration_s is None:
        said.notes.append(
            f"The EEG lasts {left[EEG]:.1f} s from its onset and the video {left[VIDEO]:.1f} s:"
            f" the {shared:.1f} s that both show are used."
        )
    wanted = shared if request.duration_s is None else request.duration_s
    if wanted - shared >= _SAID_FROM_S:
        said.notes.append(
            f"--duration asks for {wanted:g} s, and the files hold {shared:.1f} s of it."
        )
    return min(wanted, shared)


def _of_marked(
    request: Request, stimulus_s: float, left: Mapping[str, float], said: _Findings
) -> float:
    """Seconds to predict of a marked stimulus: all of it that the EEG holds, as in training."""
    wanted = request.duration_s or stimulus_s
    if wanted - stimulus_s >= _SAID_FROM_S:
        said.notes.append(
            f"--duration asks for {wanted:g} s, and the stimulus lasts {stimulus_s:.1f} s."
        )
    wanted = min(wanted, stimulus_s)
    predicted = min(wanted, left[EEG])
    if wanted - predicted >= _SAID_FROM_S:
        said.warnings.append(
            f"The EEG ends {left[EEG]:.1f} s after its onset and the stimulus lasts "
            f"{stimulus_s:.1f} s: {predicted:.1f} s are predicted."
        )
    shown = left.get(VIDEO, predicted)
    if predicted - shown >= _SAID_FROM_S:
        said.warnings.append(
            f"The video ends {shown:.1f} s after its onset and the stimulus lasts "
            f"{stimulus_s:.1f} s: {predicted:.1f} s are predicted, the last "
            f"{predicted - shown:.1f} s without video."
        )
    return predicted


def _too_short(
    request: Request,
    onsets: Mapping[str, Onset],
    left: Mapping[str, float],
    stimulus_s: float | None,
    segment_s: float,
) -> InputError:
    """Say what holds less than a segment: the asked duration, the marked stimulus, or a file."""
    less = f"less than a segment of {segment_s:g} s"
    if request.duration_s is not None and not segment_count(request.duration_s, segment_s):
        return InputError(f"--duration {request.duration_s:g} s is {less}.", "Ask for more.")
    if stimulus_s is not None and not segment_count(stimulus_s, segment_s):
        return InputError(
            f"The stimulus of trial {request.trial} in {request.eeg} lasts {stimulus_s:.1f} s, "
            f"{less}.",
            "Check --trial.",
        )
    name = EEG if stimulus_s is not None else min(left, key=lambda name: left[name])
    onset = onsets[name]
    begin = f" from {onset.at_s:.1f} s on" if onset.at_s else ""
    hint = f"Check {_FLAGS[name]}." if onset.at_s else "Give a longer recording."
    if onset.by == "clocks":
        hint = f"Its onset comes from the files' clocks: {' and '.join(_FLAGS.values())} override."
    return InputError(f"{_file(request, name)} holds {left[name]:.1f} s{begin}, {less}.", hint)


def _file(request: Request, name: str) -> Path | None:
    return request.eeg if name == EEG else request.video
