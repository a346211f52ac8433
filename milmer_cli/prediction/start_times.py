"""Onsets from the start times that the files store.

Start times are comparable only if both files state their time zone. mp4, mov and mkv store UTC. Of
the EEG formats FIF and MFF store UTC; EDF, BDF, BrainVision and most others store the local time of
the recorder without its time zone, and are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from milmer_cli.eeg.io import EegBlock
from milmer_cli.video.probe import recording_start

_UTC_SUFFIXES = (".fif", ".fif.gz", ".mff")
_EARLIEST_YEAR = 2001  # the dates of anonymized EDF and FIF files are 1985 and 2000


@dataclass(frozen=True)
class StartTimes:
    """Result of comparing the start times of two files.

    Attributes
    ----------
    video_onset_s, eeg_onset_s
        Start of the stimulus in each file, in seconds; None if the start times cannot be used.
    message
        What was done, in one sentence or two.
    """

    video_onset_s: float | None
    eeg_onset_s: float | None
    message: str


def compare_start_times(
    video: Path,
    eeg: Path,
    block: EegBlock,
    eeg_onset_s: float | None,
    duration_s: Mapping[str, float],
) -> StartTimes:
    """Derive the onsets from the start times of a video and an EEG recording.

    Parameters
    ----------
    video, eeg, block
        The files, and the opened EEG.
    eeg_onset_s
        Start of the stimulus in the EEG if an event marks it, in seconds. If None, the stimulus
        starts when both files are running.
    duration_s
        Durations of ``video`` and ``EEG``, in seconds.
    """
    eeg_start, video_start = _eeg_start(block), recording_start(video)
    if eeg_start is None or video_start is None:
        missing = eeg if eeg_start is None else video
        return StartTimes(None, None, f"{missing} states no start time.")
    if not eeg.name.lower().endswith(_UTC_SUFFIXES):
        return StartTimes(
            None,
            None,
            f"{eeg} states its start time ({_text(eeg_start)}) without a time zone, so it cannot "
            f"be compared with that of the video ({_text(video_start)} UTC).",
        )
    stated = f"The EEG starts at {_text(eeg_start)} UTC and the video at {_text(video_start)} UTC"
    video_later_s = (video_start - eeg_start).total_seconds()
    in_eeg = max(0.0, video_later_s) if eeg_onset_s is None else eeg_onset_s
    in_video = in_eeg - video_later_s
    if not (0 <= in_video < duration_s["video"] and in_eeg < duration_s["EEG"]):
        return StartTimes(None, None, f"{stated}, so they do not overlap.")
    return StartTimes(
        in_video,
        in_eeg,
        f"{stated}: the stimulus starts {in_eeg:.1f} s into the EEG and {in_video:.1f} s into the "
        "video. Such times are accurate to a second at best, and some phones store the time at "
        "which a video ended: verify them with --align-check.",
    )


def _eeg_start(block: EegBlock) -> datetime | None:
    date = block.raw.info["meas_date"]
    if not isinstance(date, datetime) or date.year < _EARLIEST_YEAR:
        return None
    return date + timedelta(seconds=block.raw.first_time)  # a cropped file keeps the first date


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
