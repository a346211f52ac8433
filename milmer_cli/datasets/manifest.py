"""The manifest: a table with one row per trial, for `prepare --manifest` and `predict --manifest`.

One file works for both commands. Columns that a command does not use are accepted and named in a
note.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from milmer_cli.datasets.base import RATINGS
from milmer_cli.datasets.table import (
    POSITIVE_INTEGER,
    TableErrors,
    TableRow,
    finite_number,
    nonnegative_number,
    positive_integer,
    positive_number,
    quoted,
    read_table,
)
from milmer_cli.eeg.array_layout import EegArray
from milmer_cli.eeg.units import UNITS, parse_unit
from milmer_cli.video.decode import VideoOptions

Command = Literal["prepare", "predict"]

RANGES = tuple(f"{name}_range" for name in RATINGS)
_VIDEO = ("video", "video_onset_s", "video_stream", "video_fps")
_ARRAY = ("eeg_array", "eeg_sfreq_hz", "eeg_array_channels")
_EEG = ("eeg", *_ARRAY, "eeg_unit", "eeg_onset_s", "eeg_event", "eeg_event_number")
_SHARED = (*_EEG, *_VIDEO, "duration_s", "eog")
_IDENTITY = ("participant", "session", "trial")
_USED: dict[Command, tuple[str, ...]] = {
    "prepare": (
        *(*_IDENTITY, "stimulus", "condition", *_SHARED, *RATINGS, *RANGES, "label"),
        *("eeg_channels", "eeg_bads", "line_freq_hz"),
    ),
    "predict": ("name", *_IDENTITY, *_SHARED, *RATINGS, *RANGES, "label"),
}
_FILES = ("eeg", "video")
_REQUIRED: dict[Command, tuple[tuple[str, ...], ...]] = {
    "prepare": (("participant",), ("trial",), ("stimulus",), _FILES, ("label", *RATINGS)),
    "predict": (_FILES,),
}
COLUMNS = tuple(dict.fromkeys((*_USED["prepare"], *_USED["predict"])))

PARTICIPANT_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
"""Names of participants, as a regular expression: each is the name of a file in the store."""

MAX_DURATION_S = 86_400
"""Longest trial: one day."""
_DURATION = f"seconds, more than 0 and at most {MAX_DURATION_S}"


def manifest_errors(path: Path, text: str | None = None, title: str = "") -> TableErrors:
    """Return the collector for the errors of a manifest; see `TableErrors`."""
    hint = "`milmer prepare --manifest-template` prints an example with comments."
    if text is not None:
        hint = "Or write it with `milmer manifest`, edit it, and use `milmer prepare --manifest`."
    return TableErrors(path, hint, text, title)


class EegSource(NamedTuple):
    """A recording of one trial or of several: a file, or the array of one trial in it."""

    path: Path
    array: EegArray | None = None


@dataclass(frozen=True)
class ManifestRow:
    """One trial of a manifest.

    Attributes
    ----------
    line
        Number of the row in the file.
    name
        Name of the prediction; empty if the column is missing.
    participant, session, stimulus
        Empty only if the command does not need them.
    trial
        Trial number; None if the command does not need it.
    eeg, video
        The files; None if there is none.
    eeg_array
        Array of the trial in ``eeg``; None if it is not a MATLAB file.
    eeg_unit
        Unit of the numbers in ``eeg``; empty for that of the file.
    eeg_onset_s, video_onset_s
        Start of the stimulus in each file, or in the array of the trial; None if the cell is
        empty. In the video, it is negative if the video starts later.
    video_options
        Number of the video stream and frame rate, if the cells state them.
    eeg_event, eeg_event_number
        Event at which the stimulus starts in the EEG, and which of several of this name; None if
        the cell is empty.
    duration_s
        Duration of the stimulus; None if the cell is empty.
    ratings
        In the order of `RATINGS`, on the scale 1-9; NaN if not given.
    label
        Name of the class, or None.
    eog, eeg_channels, eeg_bads
        EOG channels or differences; EEG channels to use; bad EEG channels.
    line_freq_hz
        Power line frequency; None if the cell is empty.
    condition
        Experimental condition; empty if there was only one.
    """

    line: int
    name: str
    participant: str
    session: str
    trial: int | None
    stimulus: str
    eeg: Path | None
    eeg_array: EegArray | None
    eeg_unit: str
    eeg_onset_s: float | None
    eeg_event: str
    eeg_event_number: int | None
    video: Path | None
    video_onset_s: float | None
    video_options: VideoOptions
    duration_s: float | None
    ratings: tuple[float, float, float, float]
    label: str | None
    eog: tuple[str, ...]
    eeg_channels: tuple[str, ...]
    eeg_bads: tuple[str, ...]
    line_freq_hz: float | None
    condition: str = ""

    @property
    def source(self) -> EegSource | None:
        """The recording; None without EEG."""
        return None if self.eeg is None else EegSource(self.eeg, self.eeg_array)


def read_manifest(errors: TableErrors, command: Command) -> tuple[list[ManifestRow], list[str]]:
    """Read the rows of a manifest.

    Parameters
    ----------
    errors
        Names the file (see `manifest_errors`) and collects the errors of its rows; the caller adds
        its own and raises them.
    command
        Which command reads it: decides which columns are required and which are used.

    Returns
    -------
    rows, notes
        The rows that have an identity; a note that names the columns that are not used.

    Raises
    ------
    InputError
        The file cannot be read, or its header is wrong, so that the rows cannot be interpreted.
    """
    rows = read_table(errors, _REQUIRED[command], COLUMNS)
    header = list(rows[0].cells) if rows else []
    unused = [name for name in header if name in COLUMNS and name not in _USED[command]]
    notes = [f"{command} does not use the columns {', '.join(unused)}."] if unused else []
    parsed = (_parse_row(row, command) for row in rows)
    return [row for row in parsed if row is not None], notes


def _parse_row(row: TableRow, command: Command) -> ManifestRow | None:
    """Convert the cells of a row; None if it has no participant or trial and needs them."""
    prepare = command == "prepare"
    participant = _participant(row) if prepare else _name(row, "participant")
    trial = row.value("trial", positive_integer, POSITIVE_INTEGER)
    if prepare:
        row.required("trial")
        row.required("stimulus")
        _check_prepare(row)
    if not row.given("eeg") and not row.given("video"):
        row.error("eeg and video are both empty")
    seconds = "seconds, 0 or more"
    parsed = ManifestRow(
        line=row.line,
        name=row.text("name"),
        participant=participant,
        session=_name(row, "session"),
        trial=trial,
        stimulus=_name(row, "stimulus"),
        eeg=row.file("eeg"),
        eeg_array=_array(row),
        eeg_unit=_unit(row),
        eeg_onset_s=row.value("eeg_onset_s", nonnegative_number, seconds),
        eeg_event=_name(row, "eeg_event"),
        eeg_event_number=row.value("eeg_event_number", positive_integer, POSITIVE_INTEGER),
        video=row.file("video"),
        video_onset_s=row.value("video_onset_s", finite_number, "seconds"),
        video_options=read_video_options(row),
        duration_s=row.value("duration_s", _duration, _DURATION),
        ratings=_ratings(row),
        label=row.text("label") or None,
        eog=_split(row.text("eog")),
        eeg_channels=_split(row.text("eeg_channels")),
        eeg_bads=_split(row.text("eeg_bads")),
        line_freq_hz=row.value("line_freq_hz", _line_frequency, "1 to 1000 Hz"),
        condition=_name(row, "condition"),
    )
    return None if prepare and (not participant or trial is None) else parsed


def read_video_options(row: TableRow) -> VideoOptions:
    """Return how the video of a row is read."""
    return VideoOptions(
        row.value("video_stream", positive_integer, POSITIVE_INTEGER),
        row.value("video_fps", positive_number, "frames per second, more than 0"),
    )


def _check_prepare(row: TableRow) -> None:
    if not row.given("eeg") and not row.given("duration_s"):
        row.error("duration_s is empty, and there is no EEG file whose end could be used")


def _array(row: TableRow) -> EegArray | None:
    """Return the array of a trial; None if there is none, or its cells are wrong."""
    text, channels = row.text("eeg_array"), _split(row.text("eeg_array_channels"))
    sfreq_hz = row.value("eeg_sfreq_hz", positive_number, "Hz, more than 0")
    if not text:
        if row.given("eeg_sfreq_hz") or channels:
            row.error(
                "eeg_sfreq_hz and eeg_array_channels describe an array, and eeg_array is empty"
            )
        return None
    for column in ("eeg", "eeg_sfreq_hz", "eeg_unit"):
        row.required(column)
    if row.given("eeg_event"):
        row.error("eeg_event cannot be combined with eeg_array, which contains no events")
    if len(set(map(str.lower, channels))) < len(channels):
        row.error("eeg_array_channels contains a name twice")
        return None
    try:
        return EegArray.parse(text, sfreq_hz or 1.0, channels, _unit(row) or "uV")
    except ValueError:
        row.error(
            "eeg_array: expected a variable with its axes, such as seg(time,channel,17) or "
            f"joined_data{{5}}(time,channel), got {quoted(text)}"
        )
        return None


def _unit(row: TableRow) -> str:
    """Return a unit in the spelling of `UNITS`; empty if it is not given, or wrong."""
    text = row.text("eeg_unit")
    unit = parse_unit(text) if text else ""
    if unit is None:
        row.error(f"eeg_unit: expected {', '.join(UNITS)}, got {quoted(text)}")
    return unit or ""


def _participant(row: TableRow) -> str:
    name = _name(row, "participant")
    if re.fullmatch(PARTICIPANT_NAME, name):
        return name
    row.error(f"participant: expected letters, digits and . _ -, got {quoted(name)}")
    return ""


def _name(row: TableRow, column: str) -> str:
    """Return a name; ``3.0``, as pandas writes a number in a column with empty cells, is 3."""
    text = row.text(column)
    return text.partition(".")[0] if re.fullmatch(r"[0-9]+\.0+", text) else text


def _ratings(row: TableRow) -> tuple[float, float, float, float]:
    valence, arousal, dominance, liking = (_rating(row, name) for name in RATINGS)
    return valence, arousal, dominance, liking


def _rating(row: TableRow, name: str) -> float:
    """Return a rating on the scale 1-9; NaN if it is empty or wrong."""
    value = row.value(name, finite_number, "a number")
    scale = row.value(f"{name}_range", rating_range, "a range such as 1-9 or 0-100")
    if (row.given(f"{name}_range") and scale is None) or value is None:
        return math.nan
    low, high = scale or (1.0, 9.0)
    if not low <= value <= high:
        row.error(
            f"{name}: expected {low:g} to {high:g}, got {value:g}; {name}_range states the scale"
        )
        return math.nan
    return 1.0 + 8.0 * (value - low) / (high - low)


def _duration(text: str) -> float:
    value = positive_number(text)
    if value > MAX_DURATION_S:
        raise ValueError(text)
    return value


def _line_frequency(text: str) -> float:
    value = positive_number(text)
    if not 1 <= value <= 1000:
        raise ValueError(text)
    return value


def rating_range(text: str) -> tuple[float, float]:
    """Convert the scale of a rating, such as ``1-9``; ValueError if it is none."""
    match = re.fullmatch(r"(-?[0-9.]+?)\s*(?:-|to|\.\.)\s*(-?[0-9.]+)", text)
    low, high = (finite_number(end) for end in match.groups()) if match else (0.0, 0.0)
    if not low < high:
        raise ValueError(text)
    return low, high


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())
