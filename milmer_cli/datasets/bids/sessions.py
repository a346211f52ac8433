"""The rows of a manifest as recordings of BIDS, and the tables of these recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from milmer_cli.datasets.base import RATINGS
from milmer_cli.datasets.bids.events import CONDITION, LABEL, TRIAL, VIDEO, VIDEO_ONSET
from milmer_cli.datasets.bids.names import bids_labels
from milmer_cli.datasets.manifest import RANGES, ManifestRow
from milmer_cli.datasets.table import TableRow
from milmer_cli.errors import InputError

UNKNOWN_START = datetime(1900, 1, 1, tzinfo=UTC)
"""``acq_time`` of a recording that states no date: before 1925, as BIDS marks dates that are not
real. Only differences between such times have a meaning."""
CAMERA = "face"
"""Label of the entity ``recording`` of the videos."""
_CONSISTENT_S = 0.0005
_RATING_COLUMNS = [name for pair in zip(RATINGS, RANGES, strict=True) for name in pair]

EVENT_COLUMNS = {
    "trial_type": "Type of the event; every event is a trial.",
    TRIAL: "Number of the trial of the participant, in the order of presentation.",
    "stimulus": "Clip that was presented; the same name for all participants.",
    LABEL: "Class of the trial.",
    CONDITION: "Condition of the trial.",
    **{name: f"Rating of the participant: {name}." for name in RATINGS},
    **{name: f"Scale of {name.removesuffix('_range')}, as lowest-highest; 1-9." for name in RANGES},
    VIDEO: "Video of the participant, relative to the data set.",
    VIDEO_ONSET: "Start of the trial in the video, in seconds after its first frame.",
    "video_stream": "Number of the video stream, from 1.",
    "video_fps": "Frame rate of a video without time stamps.",
}
"""Descriptions of the columns of events.tsv."""


@dataclass(frozen=True)
class PlannedRecording:
    """An EEG file of a manifest, or a video without EEG, with its trials and its place.

    Attributes
    ----------
    eeg
        The EEG file; None without EEG.
    rows
        Its trials, in the order of their onsets.
    participant, session
        Labels of BIDS; ``session`` is None if there was only one.
    run
        Number of the recording in its session; None if it is the only one.
    """

    eeg: Path | None
    rows: tuple[ManifestRow, ...]
    participant: str
    session: str | None
    run: int | None

    @property
    def folder(self) -> Path:
        """Folder of the participant or session, relative to the data set."""
        folder = Path(f"sub-{self.participant}")
        return folder if self.session is None else folder / f"ses-{self.session}"

    def stem(self, task: str, acquisition: str = "") -> str:
        """Return the entities of its files."""
        entities = [f"sub-{self.participant}"]
        entities += [f"ses-{self.session}"] if self.session is not None else []
        entities += [f"task-{task}"]
        entities += [f"acq-{acquisition}"] if acquisition else []
        entities += [f"run-{self.run:02d}"] if self.run is not None else []
        return "_".join(entities)


@dataclass(frozen=True)
class PlannedVideo:
    """A video of a recording, and its name in a data set.

    Attributes
    ----------
    source
        The file.
    name
        New name, in the folder ``beh``.
    start_s
        Its first frame in seconds after the first sample of the EEG; None if its trials contradict
        each other.
    """

    source: Path
    name: str
    start_s: float | None


def plan_recordings(rows: Sequence[ManifestRow]) -> list[PlannedRecording]:
    """Group trials by participant, session and EEG file, or video without EEG.

    Raises
    ------
    InputError
        Two names would have the same label, or only some trials of a participant have a session.
    """
    participants = bids_labels((row.participant for row in rows), "sub-")
    planned = []
    for participant, label in participants.items():
        own = [row for row in rows if row.participant == participant]
        names = dict.fromkeys(row.session for row in own)
        if "" in names and len(names) > 1:
            raise InputError(
                f"Some trials of {participant} have a session and others have none.",
                "State the session of all of them in the manifest.",
            )
        sessions = bids_labels(filter(None, names), "ses-")
        for session in names:
            planned += _plan_session(
                [row for row in own if row.session == session], label, sessions.get(session)
            )
    return planned


def _plan_session(
    rows: Sequence[ManifestRow], participant: str, session: str | None
) -> list[PlannedRecording]:
    by_file: dict[tuple[Path | None, Path | None], list[ManifestRow]] = {}
    for row in sorted(rows, key=lambda row: row.trial or 0):
        by_file.setdefault((row.eeg, None if row.eeg else row.video), []).append(row)
    return [
        PlannedRecording(
            eeg,
            tuple(sorted(own, key=_onset_s)),
            participant,
            session,
            number if len(by_file) > 1 else None,
        )
        for number, ((eeg, _), own) in enumerate(by_file.items(), start=1)
    ]


def _onset_s(row: ManifestRow) -> float:
    """Return the start of a trial in its recording: the EEG file, or the video without EEG."""
    return (row.video_onset_s if row.eeg is None else row.eeg_onset_s) or 0.0


def plan_videos(recording: PlannedRecording, task: str) -> list[PlannedVideo]:
    """Name the videos of a recording, and compute when they start."""
    by_file: dict[Path, list[float]] = {}
    for row in recording.rows:
        if row.video is not None:
            start_s = _onset_s(row) - (row.video_onset_s or 0.0)
            by_file.setdefault(row.video, []).append(start_s)
    return [
        PlannedVideo(
            source,
            f"{recording.stem(task, f'part{number}' if len(by_file) > 1 else '')}"
            f"_recording-{CAMERA}_video{source.suffix.lower()}",
            starts_s[0] if max(starts_s) - min(starts_s) < _CONSISTENT_S else None,
        )
        for number, (source, starts_s) in enumerate(by_file.items(), start=1)
    ]


def event_rows(
    recording: PlannedRecording, videos: Sequence[PlannedVideo], cells: Mapping[int, TableRow]
) -> list[dict[str, object]]:
    """Return the rows of events.tsv.

    The video of a trial is stated only if ``acq_time`` is not sufficient: there are several videos,
    their trials contradict each other, or the manifest states how a video is read.

    Parameters
    ----------
    recording, videos
        The recording and its videos.
    cells
        Number of a row in the manifest -> its cells.
    """
    names = {video.source: video.name for video in videos}
    sufficient = len(videos) == 1 and videos[0].start_s is not None
    rows = []
    for row in recording.rows:
        text = cells[row.line]
        event: dict[str, object] = {
            "onset": _onset_s(row),
            "duration": row.duration_s,
            "trial_type": "stimulus",
            TRIAL: row.trial,
            "stimulus": row.stimulus,
            LABEL: row.label,
            CONDITION: text.text(CONDITION),
            **{name: text.given(name) for name in _RATING_COLUMNS},
        }
        options = row.video_options
        if row.video is not None and not (sufficient and options.stream is options.fps is None):
            event[VIDEO] = (recording.folder / "beh" / names[row.video]).as_posix()
            event[VIDEO_ONSET] = row.video_onset_s
            event |= {"video_stream": options.stream, "video_fps": options.fps}
        rows.append(event)
    used = [name for name in EVENT_COLUMNS if any(row.get(name) not in (None, "") for row in rows)]
    return [{name: row.get(name) for name in ("onset", "duration", *used)} for row in rows]


def scan_rows(
    videos: Sequence[PlannedVideo], eeg_file: str = "", start: datetime | None = None
) -> list[dict[str, object]]:
    """Return the rows of scans.tsv of a recording.

    Parameters
    ----------
    videos
        Its videos.
    eeg_file, start
        Its EEG file relative to its folder, and the start of it; empty and None without EEG.
    """
    rows: list[dict[str, object]] = []
    if start is not None:
        rows.append({"filename": eeg_file, "acq_time": _acquisition_time(start)})
    for video in videos:
        time = None
        if start is not None and video.start_s is not None:
            time = _acquisition_time(start, video.start_s)
        rows.append({"filename": f"beh/{video.name}", "acq_time": time})
    return rows


def _acquisition_time(start: datetime, offset_s: float = 0.0) -> str:
    """Return a time for scans.tsv, in UTC with microseconds."""
    time = (start + timedelta(seconds=offset_s)).astimezone(UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"
