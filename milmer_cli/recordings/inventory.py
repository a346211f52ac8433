"""What of DEAP is on this disk, what can be used and what is missing: the facts of ``--check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.bdf import read_bdf
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.recordings.deap import (
    REQUEST_URL,
    DeapFiles,
    Kind,
    check_onsets,
    choose_kind,
    find_files,
    name_of,
    parse_participants,
)
from milmer_cli.recordings.preprocessed import SFREQ, check_labels, read_preprocessed
from milmer_cli.recordings.ratings import Rated, read_ratings
from milmer_cli.settings.schema import Source

if TYPE_CHECKING:
    from milmer_cli.recordings.probe import VideoProbe

FILMED = range(1, 23)
"""Participants whose faces DEAP filmed."""
NEVER_PUBLISHED = {3: (40,), 5: (40,), 11: (38, 39, 40), 14: (40,)}
"""Trials of filmed participants without a video in DEAP itself."""

_TASK = "check"


@dataclass(frozen=True)
class EegFacts:
    """One EEG file.

    ``checked`` is False for files that the source leaves aside: they were found and not opened.
    ``problem`` says why the file cannot be used.
    """

    kind: Kind
    path: Path
    checked: bool = False
    sfreq_hz: float | None = None
    channels: int | None = None
    trials: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class VideoFacts:
    """One face video; ``problem`` says why it cannot be used. None is what was not probed."""

    trial: int
    path: Path
    fps: float | None = None
    duration_s: float | None = None
    last_decodable: bool | None = None
    problem: str = ""


@dataclass(frozen=True)
class Missing:
    """What is missing or broken, what cannot be done without it, and what to do."""

    what: str
    why: str
    fix: str


@dataclass(frozen=True)
class ParticipantInventory:
    """What is there of one participant.

    Attributes
    ----------
    source
        Which of ``eeg`` is read, or None.
    eeg
        All EEG files found.
    ratings
        Trial -> ratings in the order of `RATINGS`, of the trials that can be used.
    ratings_rows
        Rows of the ratings file.
    videos, videos_expected
        Videos found; how many DEAP has of the rated trials.
    videos_missing, videos_never_published
        Trials without a video: DEAP has one; DEAP has none.
    eeg_trials, video_trials, both_trials
        How many trials have usable EEG, video, both.
    missing
        In the order of what it costs.
    """

    participant: str
    source: Kind | None
    eeg: tuple[EegFacts, ...]
    ratings: Mapping[int, tuple[float, float, float, float]]
    ratings_rows: int
    videos: tuple[VideoFacts, ...]
    videos_expected: int
    videos_missing: tuple[int, ...]
    videos_never_published: tuple[int, ...]
    eeg_trials: int
    video_trials: int
    both_trials: int
    missing: tuple[Missing, ...]

    @property
    def usable_trials(self) -> int:
        """Trials with ratings and EEG or video."""
        return len(self.ratings)


@dataclass(frozen=True)
class Inventory:
    """What is below a root.

    Attributes
    ----------
    ratings_file
        participant_ratings.csv, or None.
    participants
        Everybody of whom there is a file or a rating, sorted.
    missing
        What concerns all of them.
    notes
        What else was seen.
    """

    root: Path
    source: Source
    ratings_file: Path | None
    participants: tuple[ParticipantInventory, ...]
    missing: tuple[Missing, ...]
    notes: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether anything can be prepared."""
        return any(person.usable_trials for person in self.participants)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``--json``."""
        people = [
            asdict(person) | {"usable_trials": person.usable_trials} for person in self.participants
        ]
        return _plain(asdict(self) | {"participants": people, "usable": self.usable})


def inventory(
    root: Path,
    source: Source = "auto",
    participants: str = "",
    probe_video: Callable[[Path], VideoProbe] | None = None,
    progress: Progress = SILENT,
) -> Inventory:
    """Look at DEAP's files below ``root``: names, headers, stimulus marks, labels, videos.

    Parameters
    ----------
    root, source, participants
        As for `DeapRecordings`.
    probe_video
        Opens a video (`recordings.probe.probe_video`); None to go by names.
    progress
        Advanced by participants.

    Raises
    ------
    InputError
        ``root`` is missing or empty, the ratings file has mistakes, or a participant asked for has
        neither files nor ratings. What a single participant lacks is listed, not raised.
    """
    files = find_files(root)
    ratings = read_ratings(files.ratings) if files.ratings else {}
    known = sorted({*files.eeg, *files.video, *ratings})
    chosen = parse_participants(participants)
    if absent := sorted(chosen - set(known)):
        raise InputError(
            f"data.participants asks for {', '.join(map(name_of, absent))}, and {root} has no file "
            "or rating of " + ("it." if len(absent) == 1 else "them."),
            f"There are: {', '.join(map(name_of, known)) or 'none'}.",
        )
    people = [number for number in known if not chosen or number in chosen]
    progress.start(_TASK, total=len(people), unit="participants")
    found = []
    for number in people:
        found.append(_look_at(number, files, source, ratings.get(number, {}), probe_video))
        progress.advance(_TASK)
    progress.done(_TASK)
    notes = [f"{path} is not used: a file of that name was found before." for path in files.doubles]
    return Inventory(
        root, source, files.ratings, tuple(found), _for_all(files, source), tuple(notes)
    )


def _for_all(files: DeapFiles, source: Source) -> tuple[Missing, ...]:
    missing = []
    if files.ratings is None:
        missing.append(
            Missing(
                "metadata_csv/participant_ratings.csv",
                "Nothing can be used: only it says which clip a trial showed and how it was rated.",
                f"Request metadata_csv.zip at {REQUEST_URL}",
            )
        )
    if not any(choose_kind(kinds, source) for kinds in files.eeg.values()):
        wanted = "data_original or data_preprocessed_python" if source == "auto" else f".{source}"
        missing.append(
            Missing(
                f"all EEG ({wanted})", "Only faces can be used.", f"Request it at {REQUEST_URL}"
            )
        )
    if not files.video:
        missing.append(
            Missing(
                "all face videos (face_video)",
                "Only EEG can be used.",
                f"Request it at {REQUEST_URL}",
            )
        )
    return tuple(missing)


def _look_at(
    number: int,
    files: DeapFiles,
    source: Source,
    rows: Mapping[int, Rated],
    probe: Callable[[Path], VideoProbe] | None,
) -> ParticipantInventory:
    kinds = files.eeg.get(number, {})
    kind = choose_kind(kinds, source)
    eeg = tuple(
        _open_eeg(name, path, rows) if name == kind else EegFacts(name, path)
        for name, path in kinds.items()
    )
    read = next((facts for facts in eeg if facts.kind == kind), None)
    with_eeg = set(rows) if read and not read.problem else set()
    videos = tuple(
        _open_video(trial, path, probe)
        for trial, path in sorted(files.video.get(number, {}).items())
    )
    with_video = {video.trial for video in videos if not video.problem} & set(rows)
    never = tuple(trial for trial in NEVER_PUBLISHED.get(number, ()) if trial in rows)
    found = {video.trial for video in videos} & set(rows)
    expected = set(rows) - set(never) if number in FILMED else found
    absent = tuple(sorted(expected - {video.trial for video in videos}))
    usable = sorted(with_eeg | with_video)
    return ParticipantInventory(
        participant=name_of(number),
        source=kind,
        eeg=eeg,
        ratings={trial: rows[trial].ratings for trial in usable},
        ratings_rows=len(rows),
        videos=videos,
        videos_expected=len(expected),
        videos_missing=absent,
        videos_never_published=tuple(trial for trial in never if trial not in with_video),
        eeg_trials=len(with_eeg),
        video_trials=len(with_video),
        both_trials=len(with_eeg & with_video),
        missing=_missing(number, source, rows, read, videos, absent),
    )


def _open_eeg(kind: Kind, path: Path, rows: Mapping[int, Rated]) -> EegFacts:
    try:
        if kind != "bdf":
            arrays = read_preprocessed(path)
            check_labels(arrays, rows, path)
            return EegFacts(kind, path, True, SFREQ, len(GENEVA), len(arrays.data))
        block = read_bdf(path)
        marked, sfreq = len(block.onset_s), float(block.raw.info["sfreq"])
    except InputError as error:
        return EegFacts(kind, path, True, problem=str(error))
    try:
        check_onsets(block.onset_s, rows, path)
    except InputError as error:
        return EegFacts(kind, path, True, sfreq, len(GENEVA), marked, str(error))
    return EegFacts(kind, path, True, sfreq, len(GENEVA), marked)


def _open_video(trial: int, path: Path, probe: Callable[[Path], VideoProbe] | None) -> VideoFacts:
    if probe is None:
        return VideoFacts(trial, path)
    try:
        facts = probe(path)
    except InputError as error:
        return VideoFacts(trial, path, problem=str(error))
    # a lost last frame costs one image; without the first nothing tells when the video starts
    problem = "" if facts.first_decodable else f"The first frame of {path} cannot be decoded."
    return VideoFacts(trial, path, facts.fps, facts.duration_s, facts.last_decodable, problem)


def _missing(
    number: int,
    source: Source,
    rows: Mapping[int, Rated],
    read: EegFacts | None,
    videos: tuple[VideoFacts, ...],
    absent: tuple[int, ...],
) -> tuple[Missing, ...]:
    name, request = name_of(number), f"Request it at {REQUEST_URL}"
    missing = []
    if not rows:
        missing.append(
            Missing(
                f"ratings of {name}",
                "Nothing of this participant can be used: trials and clips cannot be matched.",
                f"Use DEAP's whole participant_ratings.csv from {REQUEST_URL}",
            )
        )
    if read is None:
        suffix = "bdf, .dat or .mat" if source == "auto" else source
        missing.append(Missing(f"{name}.{suffix}", "This participant has no EEG.", request))
    elif read.problem and rows:
        missing.append(
            Missing(
                read.path.name, read.problem, "Copy or unpack it again, or choose another source."
            )
        )
    if absent:
        count = "all videos" if not videos else f"videos of trials {', '.join(map(str, absent))}"
        missing.append(Missing(f"{name}: {count}", "These trials have no faces.", request))
    missing += [
        Missing(video.path.name, video.problem, "Copy or unpack it again.")
        for video in videos
        if video.problem
    ]
    return tuple(missing)


def _plain(value: Any) -> Any:
    """Paths as text and keys as text: what JSON can hold; NaN becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return None if value != value else value
