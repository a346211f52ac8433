"""Where the clip of a MAHNOB-HCI session starts in its BDF file and in its video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milmer_cli.datasets.missing import COPY_AGAIN
from milmer_cli.datasets.table import TableErrors, finite_number, read_table
from milmer_cli.datasets.table_text import read_table_text
from milmer_cli.eeg.channels import canonical_name, find_electrodes
from milmer_cli.eeg.events import read_events
from milmer_cli.eeg.io import ReadOptions, open_eeg
from milmer_cli.errors import InputError

LEAD_S = 30.0
"""Recorded time before and after the clip in the BDF file."""
LEAD_TOLERANCE_S = 5.0
DURATION_TOLERANCE_S = 1.0
MAX_VIDEO_ONSET_S = 10.0
"""A clip that starts later than this in its video, or earlier, is an error of the gaze file."""
USUAL_VIDEO_ONSET_S = 1.0

_COLUMNS = ("timestamp", "event", "audiosamplenumber")


@dataclass(frozen=True)
class EegClip:
    """The clip in a BDF file.

    Attributes
    ----------
    onset_s
        Start of the clip, in seconds.
    duration_s
        Time to its end; None if no event marks it.
    earlier, other
        Number of events before the start, and of those after it that are not the end.
    after_s
        Recorded time after the end of the clip, or after its start if the end is not marked.
    sfreq_hz
        Sampling rate of the header.
    channels
        Names of all channels in lower case, and canonical names of the electrodes.
    exg
        Whether there is a channel EXG1 to EXG8.
    """

    onset_s: float
    duration_s: float | None
    earlier: int
    other: int
    after_s: float
    sfreq_hz: float
    channels: frozenset[str]
    exg: bool

    @property
    def starts_as_documented(self) -> bool:
        """Whether the clip starts about 30 s after the file."""
        return abs(self.onset_s - LEAD_S) <= LEAD_TOLERANCE_S


def read_eeg_clip(path: Path, options: ReadOptions, clip_s: float | None) -> EegClip:
    """Find the clip between two events of the Status channel.

    The start is the event near 30 s, or the first event; the end is the next event, or the later
    one that agrees with ``clip_s``.

    Parameters
    ----------
    path
        The BDF file.
    options
        How it is read.
    clip_s
        Duration of the clip (``cutLenSec``); None if it is unknown.

    Raises
    ------
    InputError
        The file cannot be read, has two channels of one electrode, has no event, or its events
        agree neither with the start at 30 s nor with ``clip_s``.
    """
    raw = open_eeg(path, options)
    sfreq = float(raw.info["sfreq"])
    times = sorted({event.onset_s for event in read_events(path, raw)})
    if not times:
        raise InputError(f"{path} has no event on its Status channel.", COPY_AGAIN)
    near = [time for time in times if abs(time - LEAD_S) <= LEAD_TOLERANCE_S]
    onset_s = (near or times)[0]
    after = [time for time in times if time > onset_s]
    agreeing = [
        time
        for time in after
        if clip_s is not None and abs(time - onset_s - clip_s) <= DURATION_TOLERANCE_S
    ]
    if not near and not agreeing:
        raise InputError(
            f"The events of {path} do not mark the clip: expected one about {LEAD_S:g} s after the "
            f"start of the file, got the first at {onset_s:.1f} s.",
            COPY_AGAIN,
        )
    end_s = next(iter(agreeing or after), None)
    types = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    found = find_electrodes([name for name, channel_type in types if channel_type == "eeg"])
    found.require_unique(str(path))
    names = [name.strip().lower() for name in raw.ch_names]
    return EegClip(
        onset_s,
        None if end_s is None else end_s - onset_s,
        earlier=sum(time < onset_s for time in times),
        other=len(after) - (end_s is not None),
        after_s=raw.n_times / sfreq - (end_s or onset_s),
        sfreq_hz=sfreq,
        channels=frozenset([*names, *map(canonical_name, found.electrodes.values())]),
        exg=any(name.startswith("exg") for name in names),
    )


@dataclass(frozen=True)
class GazeClip:
    """The clip in a gaze file.

    Attributes
    ----------
    audio_sample
        Number of the audio sample at the start of the clip.
    duration_s
        Time from the start to the end of the clip; None if the end is not marked.
    starts
        Number of events ``MovieStart``.
    interpolated
        Whether the row of the event states no audio sample, so that it was computed from the time
        to the nearest row that does.
    """

    audio_sample: float
    duration_s: float | None
    starts: int
    interpolated: bool


@dataclass(frozen=True)
class _GazeRow:
    time_s: float
    event: str
    audio_sample: float | None


def read_gaze_clip(path: Path, audio_begin: float, audio_rate_hz: float) -> GazeClip:
    """Find the clip in the file of the eye tracker.

    Parameters
    ----------
    path
        The file: a header of some 23 lines, then a table separated by tabs.
    audio_begin
        Number of the audio sample at which the video starts (``audBeginSmp``). Of several events
        ``MovieStart``, the nearest one is used.
    audio_rate_hz
        Audio samples per second (``audRate``).

    Raises
    ------
    InputError
        The file cannot be read, or does not state the audio sample of the event.
    """
    rows = _gaze_rows(path)
    anchors = [row for row in rows if row.audio_sample is not None]
    starts = [row for row in rows if row.event == "moviestart"]
    if not starts:
        raise InputError(f"{path} has no event MovieStart.", COPY_AGAIN)
    if not anchors:
        raise InputError(f"{path} states no AudioSampleNumber.", COPY_AGAIN)

    def sample_at(row: _GazeRow) -> float:
        if row.audio_sample is not None:
            return row.audio_sample
        anchor = min(anchors, key=lambda other: abs(other.time_s - row.time_s))
        return (anchor.audio_sample or 0.0) + (row.time_s - anchor.time_s) * audio_rate_hz

    start = min(starts, key=lambda row: abs(sample_at(row) - audio_begin))
    ends = [row.time_s for row in rows if row.event == "movieend" and row.time_s > start.time_s]
    return GazeClip(
        sample_at(start),
        min(ends) - start.time_s if ends else None,
        len(starts),
        start.audio_sample is None,
    )


def _gaze_rows(path: Path) -> list[_GazeRow]:
    """Return the rows of the table that have a time, from the line that names its columns on."""
    lines = read_table_text(path, COPY_AGAIN).splitlines(keepends=True)
    is_header = (
        set(_COLUMNS) <= {cell.strip().casefold() for cell in line.split("\t")} for line in lines
    )
    first = next((number for number, found in enumerate(is_header) if found), None)
    if first is None:
        raise InputError(
            f"{path} has no table with the columns Timestamp, Event and AudioSampleNumber.",
            COPY_AGAIN,
        )
    # errors of single rows are ignored
    errors = TableErrors(path, COPY_AGAIN, "".join(lines[first:]))
    rows = []
    for row in read_table(errors, tuple((name,) for name in _COLUMNS)):
        time_ms = row.value("timestamp", finite_number, "milliseconds")
        if time_ms is not None:
            sample = row.value("audiosamplenumber", finite_number, "a number")
            rows.append(_GazeRow(time_ms / 1000, row.text("event").casefold(), sample))
    return rows
