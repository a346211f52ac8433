"""Which video shows a trial, and when the trial starts in it.

A video of BEP047 (``beh/*_video.mp4``) and an EEG recording are aligned by the ``acq_time`` of both
in scans.tsv. A column ``video`` of events.tsv has priority.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from milmer_cli.datasets.bids.events import VIDEO, VIDEO_ONSET
from milmer_cli.datasets.bids.layout import BidsFile, file_within
from milmer_cli.datasets.bids.tables import read_tsv, report_errors
from milmer_cli.datasets.bids.trials import BidsTrial
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.manifest import read_video_options
from milmer_cli.datasets.table import finite_number
from milmer_cli.errors import InputError, shorten
from milmer_cli.video.decode import AS_STORED, VideoOptions
from milmer_cli.video.probe import stated_duration

_CAMERA = "recording"


@dataclass(frozen=True)
class AlignedVideo:
    """A video with its start relative to the recording.

    Attributes
    ----------
    path
        The video.
    start_s
        Its first frame, in seconds after the first sample of the EEG; may be negative.
    duration_s
        Its duration; infinite if the file does not state it.
    """

    path: Path
    start_s: float
    duration_s: float

    def covered_s(self, trial: BidsTrial) -> float:
        """Return how much of a trial the video shows, in seconds."""
        end_s = min(trial.onset_s + trial.duration_s, self.start_s + self.duration_s)
        return end_s - max(trial.onset_s, self.start_s)


def read_start_times(root: Path, folders: Iterable[Path], findings: Findings) -> dict[str, str]:
    """Read the ``acq_time`` of the files of a participant: path without extension -> text.

    Parameters
    ----------
    root
        The data set.
    folders
        Folders that can contain a scans.tsv.
    findings
        Receives tables that cannot be read.
    """
    times: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.glob("*_scans.tsv")):
            try:
                rows, errors = read_tsv(path, "filename")
            except InputError as error:
                findings.add_error(str(path.relative_to(root)), error)
                continue
            report_errors(errors, findings)
            times |= {
                file_key(folder / row.text("filename")): row.text("acq_time")
                for row in rows
                if row.text("acq_time")
            }
    return times


def file_key(path: Path) -> str:
    """Return a path without extension, as the key of a file in `read_start_times`."""
    normal = Path(os.path.normpath(path.absolute()))
    return str(normal.parent / (normal.name.partition(".")[0] or normal.name))


def align_videos(
    recording: BidsFile,
    videos: Sequence[BidsFile],
    times: Mapping[str, str],
    findings: Findings,
) -> list[AlignedVideo]:
    """Find the videos of a recording, and when they start.

    Of several cameras (entity ``recording``), the first one in alphabetical order whose name
    contains ``face`` is used, or the first one of all.
    """
    own = [video for video in videos if belongs_to(video, recording)]
    aligned = []
    for video in _of_one_camera(own, findings):
        start_s = _start_s(recording, video, times, findings)
        if start_s is not None and (duration_s := _duration_s(video.path, AS_STORED, findings)):
            aligned.append(AlignedVideo(video.path, start_s, duration_s))
    return aligned


def belongs_to(video: BidsFile, recording: BidsFile) -> bool:
    """Return whether no entity that both files have differs."""
    return all(
        recording.entities.get(key, label) == label
        for key, label in video.entities.items()
        if key != _CAMERA
    )


def videos_without_eeg(
    recordings: Sequence[BidsFile], videos: Sequence[BidsFile], findings: Findings
) -> list[tuple[BidsFile, AlignedVideo]]:
    """Find the videos that belong to no EEG recording, of one camera; their times count from 0."""
    groups: dict[frozenset[tuple[str, str]], list[BidsFile]] = {}
    for video in videos:
        if not any(belongs_to(video, recording) for recording in recordings):
            entities = ((key, label) for key, label in video.entities.items() if key != _CAMERA)
            groups.setdefault(frozenset(entities), []).append(video)
    chosen = (video for group in groups.values() for video in _of_one_camera(group, findings))
    durations = ((video, _duration_s(video.path, AS_STORED, findings)) for video in chosen)
    return [
        (video, AlignedVideo(video.path, 0.0, duration_s))
        for video, duration_s in durations
        if duration_s
    ]


def _of_one_camera(videos: Sequence[BidsFile], findings: Findings) -> list[BidsFile]:
    cameras = sorted({video.entities.get(_CAMERA, "") for video in videos})
    if len(cameras) < 2:
        return list(videos)
    used = next((name for name in cameras if "face" in name.lower()), cameras[0])
    others = [f"recording-{name}" if name else "without recording-" for name in cameras]
    others.remove(shown := f"recording-{used}" if used else "without recording-")
    findings.add(
        f"Of several cameras, the videos {shown} are used, and not those {shorten(others)} ({{}}).",
        [video.path.name for video in videos if video.entities.get(_CAMERA, "") == used],
    )
    return [video for video in videos if video.entities.get(_CAMERA, "") == used]


def _start_s(
    recording: BidsFile, video: BidsFile, times: Mapping[str, str], findings: Findings
) -> float | None:
    """Return the first frame of a video in seconds after the first sample; None if unknown."""
    texts = [times.get(file_key(file.path), "") for file in (recording, video)]
    starts = [parse_time(text) for text in texts]
    if starts[0] is None or starts[1] is None:
        lacking = [
            file.path.name
            for file, start in zip((recording, video), starts, strict=True)
            if start is None
        ]
        findings.add_missing(
            video.path.name,
            "Without the acq_time of both files, the start of the video relative to the EEG is "
            "unknown, so the video is left out.",
            f"State the acq_time of {' and '.join(lacking)} in scans.tsv, with fractional seconds.",
        )
        return None
    if (starts[0].tzinfo is None) != (starts[1].tzinfo is None):
        findings.add_missing(
            video.path.name,
            f"The acq_time of {recording.path.name} and of the video cannot be compared, because "
            "only one of them has a time zone, so the video is left out.",
            "State both in scans.tsv with a time zone (Z), or both without.",
        )
        return None
    if not all("." in text for text in texts):
        findings.add(
            "acq_time has whole seconds, so EEG and video are aligned only to about a second ({}).",
            [video.path.name],
        )
    return (starts[1] - starts[0]).total_seconds()


def parse_time(text: str) -> datetime | None:
    """Convert an acq_time, such as 2009-06-15T13:45:30.250; None if it is no date with a time."""
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _duration_s(path: Path, options: VideoOptions, findings: Findings) -> float:
    """Return the duration of a video; 0 if it cannot be opened."""
    try:
        duration_s = stated_duration(path, options)
    except InputError as error:
        findings.add_error(path.name, error)
        return 0.0
    return duration_s if duration_s > 0 else float("inf")


def video_of_trial(
    trial: BidsTrial, aligned: Sequence[AlignedVideo], root: Path, findings: Findings
) -> dict[str, object]:
    """Return the columns of a manifest with the video of a trial; empty if no video shows it.

    Parameters
    ----------
    trial
        The trial.
    aligned
        Videos of its recording.
    root
        The data set; the column ``video`` cannot name a file outside of it, or a stimulus.
    findings
        Receives cells that name no file.
    """
    if name := trial.row.given(VIDEO):
        if (path := _named_video(name, trial, root)) is not None:
            return _named_columns(path, trial, findings)
        findings.add(
            "The column video of events.tsv names no file of a participant in the data set ({}).",
            [name],
        )
    best = max(aligned, key=lambda video: video.covered_s(trial), default=None)
    if best is None:
        return {}
    if best.covered_s(trial) <= 0:
        findings.add(
            "By acq_time, no video of the recording shows the trial ({}).",
            [f"{trial.row.errors.path.name} row {trial.row.line}"],
        )
        return {}
    return {"video": best.path, "video_onset_s": round(trial.onset_s - best.start_s, 6)}


def _named_video(name: str, trial: BidsTrial, root: Path) -> Path | None:
    path = file_within(root, name, (trial.row.errors.path.parent, root))
    stimuli = root.absolute() / "stimuli"
    return None if path is None or path.is_relative_to(stimuli) else path


def _named_columns(path: Path, trial: BidsTrial, findings: Findings) -> dict[str, object]:
    """Return the columns of a video that events.tsv names; empty if its start is unknown."""
    row = trial.row
    options = read_video_options(row)
    named = {"video": path, "video_stream": options.stream, "video_fps": options.fps}
    columns = {name: value for name, value in named.items() if value is not None}
    if VIDEO_ONSET not in row.cells and not trial.shares_video:
        findings.add(
            "events.tsv has no column video_onset, so each video is taken to start with its trial "
            "({}).",
            [path.name],
        )
        return {**columns, "video_onset_s": 0.0}
    onset_s = row.value(VIDEO_ONSET, finite_number, "seconds")
    if onset_s is None:
        findings.add("Without its video_onset, a video is left out ({}).", [path.name])
        return {}
    duration_s = _duration_s(path, options, findings)
    if not -trial.duration_s < onset_s < duration_s:
        sentence = "A video that does not show its trial, by video_onset, is left out ({})."
        findings.add(sentence, [path.name])
        return {}
    return {**columns, "video_onset_s": onset_s}
