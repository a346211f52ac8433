"""One request for each occurrence of an event, for `milmer predict --all-events`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from milmer_cli.eeg.events import Event, find_event, read_events
from milmer_cli.eeg.io import EegBlock, ReadOptions
from milmer_cli.errors import InputError, shorten
from milmer_cli.prediction.onsets import file_durations
from milmer_cli.prediction.recording import open_block
from milmer_cli.prediction.request import Request
from milmer_cli.prediction.start_times import compare_start_times


def event_requests(request: Request, options: ReadOptions) -> dict[str, Request]:
    """Return a request for each occurrence of the event of a request, in the order of time.

    Parameters
    ----------
    request
        With ``eeg_event``. Its ``video_onset_s`` is the start of the first occurrence in the video;
        the others follow from the EEG.
    options
        How the EEG file is read.

    Returns
    -------
    dict
        Name of the prediction, such as ``stim_3`` -> its request.

    Raises
    ------
    InputError
        The event does not occur, or its times in the video are unknown.
    """
    if request.eeg is None or request.eeg_event is None:
        raise InputError(
            "--all-events requires an EEG recording and --eeg-event.",
            "Name the event with --eeg-event; `milmer inspect EEG` lists the events.",
        )
    block = open_block(request.eeg, request.eog, options)
    sfreq = float(block.raw.info["sfreq"])
    events = find_event(request.eeg, read_events(request.eeg, block.raw), request.eeg_event, sfreq)
    unknown = [f"{event.onset_s:g}" for event in events if event.duration_s is None]
    if unknown and len(events) > 1 and request.duration_s is None:
        raise InputError(
            f"{request.eeg} states no duration of the event {request.eeg_event} at "
            f"{shorten(unknown)} s.",
            "Give the duration of each stimulus with --duration.",
        )
    onsets_s = _video_onsets(request, request.eeg, block, events)
    name = re.sub(r"[^\w.+-]+", "_", request.eeg_event)
    return {
        f"{name}_{number}": replace(request, trial=number, video_onset_s=onset_s)
        for number, onset_s in enumerate(onsets_s, start=1)
    }


def _video_onsets(
    request: Request, eeg: Path, block: EegBlock, events: Sequence[Event]
) -> list[float | None]:
    """Return the start of each event in the video; None without a video."""
    if request.video is None:
        return [None] * len(events)
    if request.video_onset_s is not None:
        return [request.video_onset_s + event.onset_s - events[0].onset_s for event in events]
    durations = file_durations(request, block)
    onsets_s: list[float | None] = []
    for event in events:
        compared = compare_start_times(request.video, eeg, block, event.onset_s, durations)
        if compared.video_onset_s is None:
            raise InputError(
                f"The event {request.eeg_event} at {event.onset_s:g} s cannot be found in the "
                f"video. {compared.message}",
                "Give --video-onset, the start of the first event in the video, or --no-video.",
            )
        onsets_s.append(compared.video_onset_s)
    return onsets_s
