"""DEAP's files below a folder: what can be used and what is missing, for `prepare --check`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from milmer_cli.datasets.deap.bdf import check_trials, open_deap_bdf
from milmer_cli.datasets.deap.files import (
    RATINGS_FILE,
    REQUEST_URL,
    DeapFiles,
    EegFormat,
    choose_format,
    duplicate_notes,
    find_deap_files,
    participant_name,
)
from milmer_cli.datasets.deap.preprocessed import (
    SFREQ,
    check_labels,
    damaged_trials,
    read_preprocessed,
)
from milmer_cli.datasets.deap.ratings import RatedTrial, read_ratings
from milmer_cli.datasets.missing import MissingInput, probe_or_problem
from milmer_cli.datasets.participants import select_participants
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.file_size import unclosed_warning
from milmer_cli.errors import InputError
from milmer_cli.json_files import to_json
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import Source
from milmer_cli.video.probe import VideoProbe, probe_video

FILMED = range(1, 23)
"""Participants whose faces DEAP filmed."""
NEVER_PUBLISHED = {3: (40,), 5: (40,), 11: (38, 39, 40), 14: (40,)}
"""Trials of filmed participants for which DEAP has no video."""

TASK = "check"
_REQUEST = f"Request it at {REQUEST_URL}"


@dataclass(frozen=True)
class EegFile:
    """An EEG file. ``problem`` states why it cannot be used, and ``incomplete`` why a part cannot.

    ``checked`` is False for files that the source does not select: they are not opened. ``damaged``
    are the trials whose EEG contains values that are not finite.
    """

    format: EegFormat
    path: Path
    checked: bool = False
    sfreq_hz: float | None = None
    channels: int | None = None
    trials: int | None = None
    problem: str = ""
    incomplete: str = ""
    damaged: tuple[int, ...] = ()


@dataclass(frozen=True)
class VideoFile:
    """A face video.

    ``problem`` states why it cannot be used, and ``incomplete`` why a part of it seems to be
    missing.
    """

    trial: int
    path: Path
    fps: float | None = None
    duration_s: float | None = None
    last_decodable: bool | None = None
    problem: str = ""
    incomplete: str = ""


@dataclass(frozen=True)
class ParticipantInventory:
    """Files and ratings of one participant.

    Attributes
    ----------
    participant
        Name.
    source
        Which of ``eeg`` is read, or None.
    eeg
        All EEG files.
    ratings
        Trial -> ratings in the order of `RATINGS`, for the trials that can be used.
    ratings_rows
        Number of rows in the ratings file.
    videos, videos_expected
        Videos found; number of videos that DEAP has of the rated trials.
    videos_missing, videos_never_published
        Trials without a video: DEAP has one; DEAP has none.
    eeg_trials, video_trials, both_trials
        Number of trials with usable EEG, video, both.
    missing
        Missing inputs, the most important first.
    """

    participant: str
    source: EegFormat | None
    eeg: tuple[EegFile, ...]
    ratings: Mapping[int, tuple[float, float, float, float]]
    ratings_rows: int
    videos: tuple[VideoFile, ...]
    videos_expected: int
    videos_missing: tuple[int, ...]
    videos_never_published: tuple[int, ...]
    eeg_trials: int
    video_trials: int
    both_trials: int
    missing: tuple[MissingInput, ...]

    @property
    def usable_trials(self) -> int:
        """Number of trials with ratings, and EEG or video."""
        return len(self.ratings)


@dataclass(frozen=True)
class DeapInventory:
    """DEAP's files below a folder.

    Attributes
    ----------
    root, source
        The folder and the source that were asked for.
    ratings_file
        participant_ratings.csv, or None.
    participants
        Participants with a file or a rating, sorted.
    missing
        Missing inputs that concern all participants.
    notes
        Files that are not used.
    """

    root: Path
    source: Source
    ratings_file: Path | None
    participants: tuple[ParticipantInventory, ...]
    missing: tuple[MissingInput, ...]
    notes: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether anything can be prepared."""
        return any(entry.usable_trials for entry in self.participants)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``--json``."""
        participants = [
            asdict(entry) | {"usable_trials": entry.usable_trials} for entry in self.participants
        ]
        plain: dict[str, Any] = to_json(
            asdict(self) | {"participants": participants, "usable": self.usable}
        )
        return plain


def inventory_deap(
    root: Path,
    source: Source = "auto",
    participants: str = "",
    progress: Progress = SILENT,
    probe: Callable[[Path], VideoProbe] = probe_video,
) -> DeapInventory:
    """Check DEAP's files below a folder: headers, stimulus marks, labels, videos.

    Parameters
    ----------
    root, source, participants
        As for `DeapRecordings`.
    progress
        Advances by participants.
    probe
        Opens a video and decodes its first and last frame.

    Raises
    ------
    InputError
        ``root`` is missing or empty, the ratings file has errors, or a participant is unknown. What
        a single participant lacks is part of the result.
    """
    files = find_deap_files(root)
    ratings = read_ratings(files.ratings) if files.ratings else {}
    numbers = {participant_name(n): n for n in sorted({*files.eeg, *files.video, *ratings})}
    selected = select_participants(list(numbers), participants, f"DEAP below {root}")
    progress.start(TASK, total=len(selected), unit="participants")
    entries = []
    for number in (numbers[name] for name in selected):
        entries.append(_inventory_of(number, files, source, ratings.get(number, {}), probe))
        progress.advance(TASK)
    progress.done(TASK)
    missing = tuple(_missing_of_all(files, source))
    notes = duplicate_notes(files)
    return DeapInventory(root, source, files.ratings, tuple(entries), missing, notes)


def _missing_of_all(files: DeapFiles, source: Source) -> list[MissingInput]:
    missing = []
    if files.ratings is None:
        missing.append(
            MissingInput(
                f"metadata_csv/{RATINGS_FILE}",
                "Nothing can be used: only this file states the clip and the ratings of a trial.",
                files.ratings_hint,
            )
        )
    if not any(choose_format(formats, source) for formats in files.eeg.values()):
        wanted = "data_original or data_preprocessed_python" if source == "auto" else f".{source}"
        what, fix = f"all EEG ({wanted})", files.archive_hint or _REQUEST
        missing.append(MissingInput(what, "Only faces can be used.", fix))
    if not files.video:
        what, fix = "all face videos (face_video)", files.archive_hint or _REQUEST
        missing.append(MissingInput(what, "Only EEG can be used.", fix))
    return missing


def _inventory_of(
    number: int,
    files: DeapFiles,
    source: Source,
    rows: Mapping[int, RatedTrial],
    probe: Callable[[Path], VideoProbe],
) -> ParticipantInventory:
    formats = files.eeg.get(number, {})
    chosen = choose_format(formats, source)
    eeg = tuple(
        _check_eeg(name, path, rows) if name == chosen else EegFile(name, path)
        for name, path in formats.items()
    )
    read = next((file for file in eeg if file.format == chosen), None)
    with_eeg = set(rows) - set(read.damaged) if read and not read.problem else set()
    videos = tuple(
        _check_video(trial, path, probe)
        for trial, path in sorted(files.video.get(number, {}).items())
    )
    found = {video.trial for video in videos} & set(rows)
    with_video = {video.trial for video in videos if not video.problem} & set(rows)
    never = tuple(trial for trial in NEVER_PUBLISHED.get(number, ()) if trial in rows)
    expected = set(rows) - set(never) if number in FILMED else found
    absent = tuple(sorted(expected - found))
    return ParticipantInventory(
        participant=participant_name(number),
        source=chosen,
        eeg=eeg,
        ratings={trial: rows[trial].ratings for trial in sorted(with_eeg | with_video)},
        ratings_rows=len(rows),
        videos=videos,
        videos_expected=len(expected),
        videos_missing=absent,
        videos_never_published=tuple(trial for trial in never if trial not in with_video),
        eeg_trials=len(with_eeg),
        video_trials=len(with_video),
        both_trials=len(with_eeg & with_video),
        missing=tuple(_missing_of(number, source, rows, read, videos, absent)),
    )


def _check_eeg(eeg_format: EegFormat, path: Path, rows: Mapping[int, RatedTrial]) -> EegFile:
    try:
        if eeg_format != "bdf":
            arrays = read_preprocessed(path)
            check_labels(arrays, rows, path)
            damaged = damaged_trials(arrays, rows, path)
            why = " ".join(damaged.values())
            found = (SFREQ, len(GENEVA), len(arrays.data))
            return EegFile(eeg_format, path, True, *found, "", why, tuple(damaged))
        block = open_deap_bdf(path)
    except InputError as error:
        return EegFile(eeg_format, path, True, problem=str(error))
    problem = ""
    try:
        check_trials(block.onset_s, rows, path)
    except InputError as error:
        problem = str(error)
    sfreq = float(block.raw.info["sfreq"])
    found = (sfreq, len(GENEVA), len(block.onset_s))
    return EegFile(eeg_format, path, True, *found, problem, unclosed_warning(path))


def _check_video(trial: int, path: Path, probe: Callable[[Path], VideoProbe]) -> VideoFile:
    found, problem = probe_or_problem(path, probe)
    why = problem.why if problem else ""
    if found is None:
        return VideoFile(trial, path, problem=why)
    return VideoFile(
        trial, path, found.fps, found.duration_s, found.last_decodable, why, found.incomplete
    )


def _missing_of(
    number: int,
    source: Source,
    rows: Mapping[int, RatedTrial],
    read: EegFile | None,
    videos: tuple[VideoFile, ...],
    absent: tuple[int, ...],
) -> list[MissingInput]:
    name = participant_name(number)
    missing = []
    if not rows:
        why = "Nothing of this participant can be used: trials and clips cannot be matched."
        fix = f"Use DEAP's whole {RATINGS_FILE} from {REQUEST_URL}"
        missing.append(MissingInput(f"ratings of {name}", why, fix))
    if read is None:
        suffix = "bdf, .dat or .mat" if source == "auto" else source
        missing.append(MissingInput(f"{name}.{suffix}", "This participant has no EEG.", _REQUEST))
    elif read.problem and rows:
        fix = "Copy or unpack it again, or choose another source."
        missing.append(MissingInput(read.path.name, read.problem, fix))
    if read is not None and read.incomplete and rows:
        missing.append(MissingInput(read.path.name, read.incomplete, "Copy or unpack it again."))
    if absent:
        what = "all videos" if not videos else f"videos of trials {', '.join(map(str, absent))}"
        missing.append(MissingInput(f"{name}: {what}", "These trials have no faces.", _REQUEST))
    missing += [
        MissingInput(video.path.name, why, "Copy or unpack it again.")
        for video in videos
        if (why := video.problem or video.incomplete)
    ]
    return missing
