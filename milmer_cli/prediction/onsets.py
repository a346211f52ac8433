"""Start of the stimulus in each file: given, marked by an event, or from the start times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from milmer_cli.datasets.deap.bdf import StimulusMark, read_stimulus_marks
from milmer_cli.eeg.array_layout import EegArray, find_trial
from milmer_cli.eeg.events import describe_events, find_event, read_events
from milmer_cli.eeg.io import EegBlock
from milmer_cli.errors import InputError, shorten
from milmer_cli.prediction.messages import Messages
from milmer_cli.prediction.request import Request
from milmer_cli.prediction.start_times import compare_start_times
from milmer_cli.video.decode import VideoOptions
from milmer_cli.video.frames import VideoReader
from milmer_cli.video.probe import measure_duration

EEG, VIDEO = "EEG", "video"
ONSET_FLAGS = {EEG: "--eeg-onset", VIDEO: "--video-onset"}

OnsetSource = Literal["given", "trial", "event", "start_time", "file_start"]


@dataclass(frozen=True)
class Onset:
    """Start of the stimulus in a file.

    Attributes
    ----------
    time_s
        Seconds from the start of the file.
    source
        How it was determined: ``given`` by the user, ``trial`` (status codes), ``event``,
        ``start_time`` (of the files), or ``file_start``.
    """

    time_s: float
    source: OnsetSource


def file_durations(request: Request, block: EegBlock | None) -> dict[str, float]:
    """Return the duration of each given file (`EEG`, `VIDEO`), in seconds.

    Raises
    ------
    InputError
        The duration of the video is unknown.
    """
    durations = {}
    if block is not None:
        durations[EEG] = block.raw.n_times / float(block.raw.info["sfreq"])
    if request.video is not None:
        durations[VIDEO] = _video_duration(request.video, request.video_options)
    return durations


def _video_duration(video: Path, options: VideoOptions) -> float:
    declared = VideoReader(video, options).duration_s
    seconds = declared if np.isfinite(declared) else measure_duration(video, options)
    if not np.isfinite(seconds):
        raise InputError(
            f"The duration of {video} is unknown: its frames have no time stamps.",
            "Rewrite the file, for example with `ffmpeg -i VIDEO -c copy NEW.mp4`.",
        )
    return seconds


def find_mark(request: Request, block: EegBlock | None) -> StimulusMark | None:
    """Find the requested stimulus among the events of the EEG.

    Returns
    -------
    StimulusMark or None
        None if the request names neither a trial nor an event. The duration of the mark is None if
        only its start is marked.

    Raises
    ------
    InputError
        The event or the trial does not exist, or is ambiguous.
    """
    if block is None or request.eeg is None:
        return None
    if request.eeg_array is not None:
        return _find_array(request, request.eeg, request.eeg_array)
    if request.eeg_event is not None:
        return _find_event(request, request.eeg, block, request.eeg_event)
    return None if request.trial is None else _find_trial(request.eeg, request.trial)


def _find_array(request: Request, eeg: Path, array: EegArray) -> StimulusMark:
    """Return the trial of an array: its place in the recording of all trials."""
    trial, sfreq = find_trial(eeg, array), array.sfreq_hz
    onset_s, trial_s = request.eeg_onset_s or 0.0, trial.length / sfreq
    if onset_s >= trial_s:
        raise InputError(
            f"eeg_onset_s is {onset_s:g} s, but {array} of {eeg} lasts {trial_s:g} s.",
            "Correct eeg_onset_s.",
        )
    return StimulusMark(trial.start / sfreq + onset_s, trial_s - onset_s)


def _find_event(request: Request, eeg: Path, block: EegBlock, event: str) -> StimulusMark:
    sfreq = float(block.raw.info["sfreq"])
    events = find_event(eeg, read_events(eeg, block.raw), event, sfreq)
    occurrence = request.trial or 1
    if occurrence > len(events) or (request.trial is None and len(events) > 1):
        raise InputError(
            f"{eeg} contains the event {event} {len(events)} times.",
            f"Select one with --trial 1 to --trial {len(events)}, or predict each with "
            "--all-events.",
        )
    selected = events[occurrence - 1]
    # a duration that the user states has priority, as in a manifest for prepare
    return StimulusMark(
        selected.onset_s, selected.duration_s if request.duration_s is None else None
    )


def _find_trial(eeg: Path, trial: int) -> StimulusMark:
    if eeg.suffix.lower() != ".bdf":
        raise InputError(
            f"--trial without --eeg-event reads DEAP's status codes, and {eeg} is not a BDF file.",
            "Add --eeg-event CODE, or give --eeg-onset instead.",
        )
    marks = read_stimulus_marks(eeg)
    if trial not in marks:
        raise InputError(
            f"{eeg} marks {len(marks)} stimuli: there is no trial {trial}.",
            "Correct --trial, or give --eeg-onset instead.",
        )
    mark = marks[trial]
    if mark.duration_s is None:
        raise InputError(
            f"{eeg} does not mark the end of the stimulus of trial {trial}.",
            "Give --eeg-onset instead of --trial.",
        )
    return mark


def find_onsets(
    request: Request,
    block: EegBlock | None,
    mark: StimulusMark | None,
    durations: Mapping[str, float],
    messages: Messages,
) -> dict[str, Onset]:
    """Determine the start of the stimulus in each file.

    The order of precedence is: given by the user, marked in the EEG, start times of the files,
    start of the file.

    Parameters
    ----------
    request, block, mark
        The request, its opened EEG and the marked stimulus.
    durations
        See `file_durations`.
    messages
        Receives notes and warnings.
    """
    onsets: dict[str, Onset] = {}
    if mark is not None:
        onsets[EEG] = Onset(mark.onset_s, "event" if request.eeg_event else "trial")
    in_eeg_s = request.eeg_onset_s if request.eeg_array is None else None  # else in the mark
    for name, given_s in ((EEG, in_eeg_s), (VIDEO, request.video_onset_s)):
        if given_s is not None:
            onsets[name] = Onset(given_s, "given")
    undetermined = VIDEO not in onsets and request.eeg_onset_s is None
    # a video of DEAP starts with the stimulus that the status codes mark
    if undetermined and (mark is None or request.eeg_event is not None):
        onsets = _from_start_times(request, block, mark, durations, messages) | onsets
    if block is not None and block.onset_s and EEG not in onsets:
        messages.warn(
            f"{request.eeg} marks {len(block.onset_s)} stimuli and none was selected, so the "
            "prediction starts with the recording. Select a stimulus with --trial N."
        )
    elif mark is None and request.eeg_onset_s is None:
        messages.warn(*_repeated_events(request, block))
    elif mark is not None and mark.duration_s is None and request.duration_s is None:
        messages.warn(*_later_events(request, block, onsets[EEG].time_s))
    return {name: onsets.get(name, Onset(0.0, "file_start")) for name in durations}


def _repeated_events(request: Request, block: EegBlock | None) -> Iterator[str]:
    """Yield a warning if the recording seems to contain several stimuli."""
    if block is None or request.eeg is None or block.onset_s:
        return
    events = read_events(request.eeg, block.raw)
    counts = Counter(event.name for event in events)
    repeated = [event for event in events if counts[event.name] > 1]
    if repeated:
        event = f'--eeg-event "{repeated[0].name}"'
        duration = "" if repeated[0].duration_s is not None else " --duration S"
        yield (
            f"{request.eeg} contains events that repeat, {describe_events(repeated)}, and none was "
            "selected, so the recording is predicted as one stimulus. Predict each stimulus with "
            f"{event} --all-events{duration}, or one with {event} --trial N{duration}."
        )


def _later_events(request: Request, block: EegBlock | None, onset_s: float) -> Iterator[str]:
    """Yield a warning if a stimulus without a known end would contain the next ones."""
    if block is None or request.eeg is None or request.eeg_event is None:
        return
    sfreq = float(block.raw.info["sfreq"])
    events = find_event(request.eeg, read_events(request.eeg, block.raw), request.eeg_event, sfreq)
    later = [f"{event.onset_s:g}" for event in events if event.onset_s > onset_s]
    if later:
        yield (
            f"{request.eeg} states no duration of the event {request.eeg_event}, so the prediction "
            f"continues to the end and includes the next ones, at {shorten(later)} s. Give the "
            "duration of the stimulus with --duration."
        )


def _from_start_times(
    request: Request,
    block: EegBlock | None,
    mark: StimulusMark | None,
    durations: Mapping[str, float],
    messages: Messages,
) -> dict[str, Onset]:
    if block is None or request.video is None or request.eeg is None:
        return {}
    marked_s = None if mark is None else mark.onset_s
    compared = compare_start_times(request.video, request.eeg, block, marked_s, durations)
    if compared.video_onset_s is None or compared.eeg_onset_s is None:
        messages.warn(
            f"{compared.message} Both files are taken to start together; if they do not, give "
            "--video-onset and --eeg-onset."
        )
        return {}
    messages.note(compared.message)
    return {
        VIDEO: Onset(compared.video_onset_s, "start_time"),
        EEG: Onset(compared.eeg_onset_s, "start_time"),
    }
