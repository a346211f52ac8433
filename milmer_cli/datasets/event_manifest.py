"""A manifest with one row per event of an EEG file, to which the user adds what no file states."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.csv_cells import csv_text
from milmer_cli.datasets.listing import relative_path
from milmer_cli.datasets.manifest import PARTICIPANT_NAME, manifest_errors
from milmer_cli.datasets.table import quoted, read_table
from milmer_cli.datasets.table_text import read_table_text
from milmer_cli.eeg.events import Event, describe_events, find_event, read_events
from milmer_cli.eeg.io import AS_RECORDED, ReadOptions, open_eeg
from milmer_cli.errors import InputError
from milmer_cli.io import atomic_write
from milmer_cli.stage_result import StageResult

_COLUMNS = (
    "participant", "session", "trial", "stimulus", "eeg", "eeg_event", "eeg_event_number",
    "# event_s", "video", "video_onset_s", "duration_s", "valence", "arousal",
)  # fmt: skip
"""``# event_s`` is for the reader of the table only; names that start with # are ignored."""


@dataclass(frozen=True)
class EventSession:
    """A session that was recorded without interruption, with an event at each stimulus.

    Attributes
    ----------
    eeg, video
        Its files; None without a video.
    event
        Name of the event at which each stimulus starts; empty for the only one that repeats.
    participant
        Name of the participant; empty for the name of the EEG file (of a BIDS file, ``sub-...``).
    session
        Name of the session; empty if there was only one.
    video_onset_s
        Start of the first of these events in the video, in seconds; None if it is unknown.
    duration_s
        Duration of every stimulus, in seconds; None for those that the annotations state.
    """

    eeg: Path
    video: Path | None = None
    event: str = ""
    participant: str = ""
    session: str = ""
    video_onset_s: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True, repr=False)
class EventManifestResult(StageResult):
    """Rows that were added to a manifest.

    Attributes
    ----------
    manifest
        The file.
    participant
        Name of the participant.
    events
        The event of each row.
    to_fill
        Column -> what the user has to enter there.
    """

    format_name: ClassVar[str] = "manifest-events"

    manifest: Path
    participant: str
    events: tuple[Event, ...]
    to_fill: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "manifest": str(self.manifest),
            "participant": self.participant,
            "event": self.events[0].name,
            "onsets_s": [event.onset_s for event in self.events],
            "durations_s": [event.duration_s for event in self.events],
            "to_fill": self.to_fill,
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        first, last = self.events[0], self.events[-1]
        count = f"{len(self.events)} row{'s' * (len(self.events) > 1)}"
        return [
            (self.participant, f"{count}, one per event {first.name}, {_span(first, last)}"),
            *((f"fill in {column}", text) for column, text in self.to_fill.items()),
            ("then", f"milmer prepare --manifest {self.manifest} --check"),
            ("manifest", str(self.manifest)),
        ]


def _span(first: Event, last: Event) -> str:
    return (
        f"at {first.onset_s:g} s" if first is last else f"{first.onset_s:g} to {last.onset_s:g} s"
    )


def write_event_manifest(
    session: EventSession, out: Path, options: ReadOptions = AS_RECORDED
) -> EventManifestResult:
    """Write one row per event of a session, or add the rows to a manifest of this function.

    Parameters
    ----------
    session
        The session.
    out
        The manifest. Paths in it are relative to its folder.
    options
        How the EEG file is read.

    Raises
    ------
    InputError
        The EEG cannot be read; no event, or more than one, could be meant; ``out`` is another
        table, or already contains this session.
    """
    participant = session.participant or _participant_of(session.eeg)
    if not re.fullmatch(PARTICIPANT_NAME, participant):
        raise InputError(
            f"--participant: expected letters, digits and . _ -, got {quoted(participant)}.",
            "Name the participant with --participant.",
        )
    raw = open_eeg(session.eeg, options)
    events = read_events(session.eeg, raw)
    name = session.event or _repeated_event(session.eeg, events)
    found = find_event(session.eeg, events, name, float(raw.info["sfreq"]))
    if session.duration_s is not None:
        found = [replace(event, duration_s=session.duration_s) for event in found]
    previous = _previous_text(out, participant, session.session)
    rows = [_COLUMNS] if not previous else []
    text = previous + csv_text([*rows, *_rows(session, participant, found, out)])
    atomic_write(out, text)
    return EventManifestResult(out, participant, tuple(found), _to_fill(session, found))


def _participant_of(eeg: Path) -> str:
    bids_name = re.match(r"sub-[A-Za-z0-9]+", eeg.name)
    if bids_name:
        return bids_name[0]
    decomposed = unicodedata.normalize("NFKD", eeg.stem)  # é becomes e and a combining accent
    stem = "".join(char for char in decomposed if not unicodedata.combining(char))
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_")


def _repeated_event(eeg: Path, events: Sequence[Event]) -> str:
    """Return the only event, or the only one that repeats."""
    counts = Counter(event.name for event in events)
    repeated = [name for name, count in counts.items() if count > 1] or list(counts)
    if len(repeated) == 1:
        return repeated[0]
    if not counts:
        raise InputError(
            f"{eeg} has no events: no annotation and no trigger code.",
            "Write the manifest by hand: `milmer prepare --manifest-template` prints an example.",
        )
    raise InputError(
        f"{eeg} has several events (count): {describe_events(events)}.",
        "Name the one at which the stimuli start with --event.",
    )


def _previous_text(out: Path, participant: str, session: str) -> str:
    """Return the text of an existing manifest to which rows can be added; empty without one."""
    if not out.exists():
        return ""
    errors = manifest_errors(out)
    rows = read_table(errors, ())
    if not rows or tuple(rows[0].cells) != _COLUMNS or rows[0].decimal_comma:
        raise InputError(
            f"{out} exists, and is not a table with the columns of this command, separated by "
            "commas.",
            "Choose another file with --out.",
        )
    if any(
        (row.text("participant"), row.text("session")) == (participant, session) for row in rows
    ):
        of_session = f", session {session}" if session else ""
        raise InputError(
            f"{out} already contains {participant}{of_session}.",
            "Name another --participant or --session, or choose another file with --out. To write "
            f"the rows of {participant} again, remove them from {out} first.",
        )
    text = read_table_text(out, errors.hint)
    return text if text.endswith("\n") else f"{text}\n"


def _rows(
    session: EventSession, participant: str, events: Sequence[Event], out: Path
) -> list[list[object]]:
    video = "" if session.video is None else relative_path(session.video, out.parent)
    rows: list[list[object]] = []
    for number, event in enumerate(events, start=1):
        in_video = ""
        if session.video is not None and session.video_onset_s is not None:
            in_video = f"{session.video_onset_s + event.onset_s - events[0].onset_s:.3f}"
        duration = "" if event.duration_s is None else f"{event.duration_s:g}"
        rows.append(
            [
                *(participant, session.session, number, "", relative_path(session.eeg, out.parent)),
                *(event.name, number, f"{event.onset_s:.3f}", video, in_video, duration, "", ""),
            ]
        )
    return rows


def _to_fill(session: EventSession, events: Sequence[Event]) -> dict[str, str]:
    """Describe the columns that are left empty."""
    to_fill = {"stimulus": "number or name of the clip, the same for all participants"}
    if session.video is None:
        to_fill["video"] = "if there is a video: the file, and the start of each stimulus in it"
    elif session.video_onset_s is None:
        to_fill["video_onset_s"] = (
            "start of each stimulus in the video; or give --video-onset, the start of the first one"
        )
    if any(event.duration_s is None for event in events):
        to_fill["duration_s"] = (
            "duration of each stimulus, which the events do not state; if all are equal, --duration"
        )
    to_fill["valence, arousal"] = (
        "ratings from 1 to 9 (for another scale, add the columns valence_range and arousal_range, "
        "with 0-100 for example); or the class in a column label"
    )
    return to_fill
