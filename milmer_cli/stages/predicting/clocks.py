"""Where the stimulus starts by the files' own clocks: the times at which they say they were begun.

mp4, mov and mkv hold universal time. Most EEG formats hold what the recorder's clock showed and not
its time zone, so of all zones the one is sought in which the two recordings overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from milmer_cli.recordings.probe import started_at
from milmer_cli.recordings.trial import EegBlock

_UNIVERSAL = (".fif", ".fif.gz", ".mff")  # formats that hold universal time
_ZONES_MIN = (
    *range(-12 * 60, 14 * 60 + 1, 60),
    *(-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825),
)  # all there are: a multiple of an hour but for a few
_EARLIEST_YEAR = 2001  # EDF's and mne's anonymous dates are 1985 and 2000
_NAMED = 3


@dataclass(frozen=True)
class ByClocks:
    """What the clocks say.

    Attributes
    ----------
    onsets
        Start of the stimulus in the video and in the EEG, in seconds; None where it stays open.
    sentence
        This in words.
    doubtful
        Whether a reader should check it.
    """

    onsets: tuple[float, float] | None
    sentence: str
    doubtful: bool


@dataclass(frozen=True)
class _Fit:
    """How two recordings overlap if the EEG's clock was in a zone."""

    zone_min: int
    video_onset_s: float
    eeg_onset_s: float
    shared_s: float

    @property
    def zone(self) -> str:
        hours, minutes = divmod(abs(self.zone_min), 60)
        ahead = f"{'-' if self.zone_min < 0 else '+'}{hours}" if self.zone_min else ""
        return f"UTC{ahead}" + (f":{minutes}" if minutes else "")

    @property
    def flags(self) -> str:
        return f"--video-onset {self.video_onset_s:.1f} --eeg-onset {self.eeg_onset_s:.1f}"


def by_clocks(
    video: Path,
    eeg: Path,
    block: EegBlock,
    eeg_onset_s: float | None,
    lengths: Mapping[str, float],
) -> ByClocks | None:
    """Find the onsets by the times at which the two files were begun.

    Parameters
    ----------
    video, eeg, block
        The files, and the EEG as it was opened.
    eeg_onset_s
        Where an event starts the stimulus in the EEG; None without, and the stimulus is then what
        both files hold.
    lengths
        Of ``video`` and ``EEG``, in seconds.

    Returns
    -------
    ByClocks or None
        None where a file does not say when it was begun.
    """
    eeg_start, video_start = _begun(block), started_at(video)
    if eeg_start is None or video_start is None:
        return None
    universal = eeg.name.lower().endswith(_UNIVERSAL)
    later = (video_start - eeg_start).total_seconds()
    fits = [
        fit
        for zone_min in ((0,) if universal else _ZONES_MIN)
        if (fit := _fit(zone_min, later, eeg_onset_s, lengths)).shared_s > 0
    ]
    clocks = f"The EEG says it was begun at {_clock(eeg_start)}"
    clocks += "" if universal else " (in no stated time zone)"
    clocks += f" and the video at {_clock(video_start)} UTC"
    if len(fits) == 1:
        return _one(fits[0], clocks)
    return ByClocks(None, _open(fits, clocks, universal), not universal)


def _begun(block: EegBlock) -> datetime | None:
    begun = block.raw.info["meas_date"]
    if not isinstance(begun, datetime) or begun.year < _EARLIEST_YEAR:
        return None
    return begun + timedelta(seconds=block.raw.first_time)  # a cropped file keeps the first date


def _fit(
    zone_min: int, later: float, eeg_onset_s: float | None, lengths: Mapping[str, float]
) -> _Fit:
    later += 60 * zone_min
    onset = max(0.0, later) if eeg_onset_s is None else eeg_onset_s
    in_video = onset - later
    shared = min(lengths["video"] - in_video, lengths["EEG"] - onset) if in_video >= 0 else 0.0
    return _Fit(zone_min, in_video, onset, shared)


def _one(fit: _Fit, clocks: str) -> ByClocks:
    if fit.zone_min:
        clocks += f", which overlap only if the EEG's clock was at {fit.zone}: this is assumed"
    sentence = (
        f"{clocks}, so the stimulus is taken to begin {fit.eeg_onset_s:.1f} s into the EEG and "
        f"{fit.video_onset_s:.1f} s into the video. Such clocks are right to a second at best "
        "(some phones write when a video ended): check with --align-check."
    )
    return ByClocks((fit.video_onset_s, fit.eeg_onset_s), sentence, bool(fit.zone_min))


def _open(fits: list[_Fit], clocks: str, universal: bool) -> str:
    unused = "these times are not used, and both files are taken from their onsets"
    if universal:
        return f"{clocks}, so they would share nothing: {unused}. Check with --align-check."
    if not fits:
        return (
            f"{clocks}, which overlap in no time zone: {unused}. Give --video-onset and "
            "--eeg-onset if they were not begun together."
        )
    likeliest = sorted(fits, key=lambda fit: (-fit.shared_s, abs(fit.zone_min)))[:_NAMED]
    named = "; ".join(f"{fit.zone}: {fit.flags}" for fit in likeliest)
    return (
        f"{clocks}, which overlap in {len(fits)} time zones: {unused}. Give the onsets that your "
        f"zone means, as in {named}."
    )


def _clock(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
