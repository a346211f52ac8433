"""When the stimulus runs in each file: asked for, marked, or by the files' own clocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.bdf import open_bdf, stimulus_marks
from milmer_cli.recordings.events import event_onsets
from milmer_cli.recordings.probe import measured_duration, started_at
from milmer_cli.recordings.trial import EegBlock
from milmer_cli.recordings.video import Video
from milmer_cli.stages.predicting.request import Request

_EARLIEST_YEAR = 2001  # EDF's and mne's anonymous dates are 1985 and 2000
_SAID_FROM_S = 0.5


@dataclass(frozen=True)
class Timing:
    """Where the stimulus is.

    Attributes
    ----------
    video_onset_s, eeg_onset_s
        Its start in each file, in seconds.
    duration_s
        How much of it all files show.
    marked
        Whether the EEG marks its start and its end, as DEAP's does.
    notes
        How this was found, one sentence each.
    """

    video_onset_s: float
    eeg_onset_s: float
    duration_s: float
    marked: bool
    notes: tuple[str, ...] = ()


def find_timing(request: Request, block: EegBlock | None) -> Timing:
    """Find the stimulus in the files.

    Parameters
    ----------
    request
        What is asked for.
    block
        The EEG; None without.

    Raises
    ------
    InputError
        A mark is absent or not clear, or a file ends before the stimulus begins.
    """
    notes: list[str] = []
    eeg_onset, marked_s = None, None
    if block is not None and request.eeg is not None:
        eeg_onset, marked_s = _marked(request, request.eeg, block)
    if request.eeg_onset_s is not None:
        eeg_onset = request.eeg_onset_s
    video_onset = request.video_onset_s
    if video_onset is None and marked_s is None and request.eeg_onset_s is None:
        by_clocks = _by_clocks(request, block, eeg_onset, notes)
        if by_clocks is not None:
            video_onset, eeg_onset = by_clocks
    video_onset, eeg_onset = video_onset or 0.0, eeg_onset or 0.0
    left = dict(_left(request, block, video_onset, eeg_onset))
    if marked_s is not None:
        duration = min(marked_s, request.duration_s or marked_s)
        return Timing(video_onset, eeg_onset, duration, True, tuple(notes))
    shared = min(left.values())
    if max(left.values()) - shared >= _SAID_FROM_S and request.duration_s is None:
        notes.append(
            f"The EEG lasts {left['EEG']:.1f} s from its onset and the video {left['video']:.1f} s:"
            f" the {shared:.1f} s that both show are used."
        )
    wanted = shared if request.duration_s is None else request.duration_s
    if wanted - shared >= _SAID_FROM_S:
        notes.append(f"--duration asks for {wanted:g} s, and the files hold {shared:.1f} s of it.")
    return Timing(video_onset, eeg_onset, min(wanted, shared), False, tuple(notes))


def _marked(request: Request, eeg: Path, block: EegBlock) -> tuple[float | None, float | None]:
    """Start of the stimulus as the EEG marks it, and how long it ran: None where unknown."""
    if request.eeg_event is not None:
        onsets = event_onsets(eeg, block.raw, request.eeg_event)
        which = request.trial or 1
        if which > len(onsets) or (request.trial is None and len(onsets) > 1):
            raise InputError(
                f"{eeg} has the event {request.eeg_event} {len(onsets)} times.",
                f"Say which with --trial 1 to --trial {len(onsets)}.",
            )
        return onsets[which - 1], None
    if request.trial is None:
        return None, None
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
    return mark.onset_s, mark.duration_s


def _by_clocks(
    request: Request, block: EegBlock | None, eeg_onset: float | None, notes: list[str]
) -> tuple[float, float] | None:
    """Onsets in video and EEG by the times at which the two files say they were begun."""
    if block is None or request.video is None:
        return None
    eeg_start, video_start = block.raw.info["meas_date"], started_at(request.video)
    if not isinstance(eeg_start, datetime) or eeg_start.year < _EARLIEST_YEAR or not video_start:
        return None
    later = (video_start - eeg_start).total_seconds()
    onset = max(0.0, later) if eeg_onset is None else eeg_onset
    clocks = f"The EEG says it was begun at {_clock(eeg_start)} and the video at "
    clocks += f"{_clock(video_start)}"
    if onset - later < 0 or onset - later >= _seconds(request.video) or onset >= _length(block):
        notes.append(
            f"{clocks}, so they would share nothing: these times are not used, and both files are "
            "taken from their onsets. Check with --align-check."
        )
        return None
    notes.append(
        f"{clocks}: the stimulus is taken to begin {onset:.1f} s into the EEG and "
        f"{onset - later:.1f} s into the video. Such clocks are right to a second at best (some "
        "phones write when a video ended): check with --align-check."
    )
    return onset - later, onset


def _clock(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _left(
    request: Request, block: EegBlock | None, video_onset: float, eeg_onset: float
) -> Iterator[tuple[str, float]]:
    """Seconds from the onset to the end of each file."""
    parts = []
    if block is not None:
        parts.append(("EEG", request.eeg, "--eeg-onset", eeg_onset, _length(block)))
    if request.video is not None:
        seconds = _seconds(request.video)
        parts.append(("video", request.video, "--video-onset", video_onset, seconds))
    for name, path, flag, onset, length in parts:
        if length - onset <= 0:
            raise InputError(f"{path} ends before {flag} {onset:g} s.", "Check the onset.")
        yield name, length - onset


def _length(block: EegBlock) -> float:
    return block.raw.n_times / float(block.raw.info["sfreq"])


def _seconds(video: Path) -> float:
    declared = Video(video).duration_s
    seconds = declared if np.isfinite(declared) else measured_duration(video)
    if not np.isfinite(seconds):
        raise InputError(
            f"{video} does not tell how long it lasts.",
            "Write it anew, as with `ffmpeg -i VIDEO -c copy NEW.mp4`.",
        )
    return seconds
