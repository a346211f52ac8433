"""DEAP as it lies on disk, in whatever folders it was unpacked.

Trials are in order of presentation, as in the BDF events and the face videos; rows of the
preprocessed arrays follow Experiment_id and are found, and proven, through participant_ratings.csv.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from milmer_cli.errors import InputError
from milmer_cli.recordings.bdf import open_bdf, read_bdf, stimulus_marks, trial_onsets
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.recordings.eeg import raw_from_microvolts
from milmer_cli.recordings.preprocessed import (
    BASELINE_S,
    SFREQ,
    check_labels,
    read_preprocessed,
)
from milmer_cli.recordings.ratings import read_ratings
from milmer_cli.recordings.trial import EegBlock, InputFiles, Trial, VideoSpan
from milmer_cli.settings.schema import Source

__all__ = ["DeapFiles", "DeapRecordings", "find_files", "read_bdf", "read_ratings", "trial_onsets"]

Kind = Literal["bdf", "dat", "mat"]
KINDS: tuple[Kind, ...] = ("bdf", "dat", "mat")
REQUEST_URL = "https://www.eecs.qmul.ac.uk/mmv/datasets/deap/"
STIMULUS_S = 60.0
"""How long DEAP's music videos last, where no file says it."""

_EEG_NAME = re.compile(r"s(\d{1,2})\.(bdf|dat|mat)", re.IGNORECASE)
_VIDEO_NAME = re.compile(r"s(\d{1,2})_+trial_*(\d{1,2})\.(avi|mp4|mkv|mov)", re.IGNORECASE)
_RATINGS_NAME = "participant_ratings.csv"
_FIND_HINT = f"Give the folder that holds DEAP's files; request them at {REQUEST_URL}."


@dataclass(frozen=True)
class DeapFiles:
    """What was found below a root, by name.

    Attributes
    ----------
    ratings
        participant_ratings.csv, or None.
    eeg
        Participant number -> kind -> file.
    video
        Participant number -> trial -> file.
    doubles
        Further files of a name that was already found; they are not used.
    """

    ratings: Path | None = None
    eeg: dict[int, dict[Kind, Path]] = field(default_factory=dict)
    video: dict[int, dict[int, Path]] = field(default_factory=dict)
    doubles: tuple[Path, ...] = ()


def find_files(root: Path) -> DeapFiles:
    """Find DEAP's files by name anywhere below ``root``; of equal names the least deep is taken.

    Raises
    ------
    InputError
        ``root`` is missing, no folder, or empty.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise InputError(f"The DEAP folder {root} {what}.", _FIND_HINT)
    paths = sorted(_walk(root), key=lambda path: (len(path.parts), str(path)))
    if not paths:
        raise InputError(f"The DEAP folder {root} is empty.", _FIND_HINT)
    ratings: Path | None = None
    eeg: dict[int, dict[Kind, Path]] = {}
    video: dict[int, dict[int, Path]] = {}
    doubles: list[Path] = []
    for path in paths:
        if path.name.lower() == _RATINGS_NAME:
            if ratings is None:
                ratings = path
            else:
                doubles.append(path)
        elif match := _EEG_NAME.fullmatch(path.name):
            kinds = eeg.setdefault(int(match[1]), {})
            if kinds.setdefault(_kind(match[2]), path) is not path:
                doubles.append(path)
        elif match := _VIDEO_NAME.fullmatch(path.name):
            trials = video.setdefault(int(match[1]), {})
            if trials.setdefault(int(match[2]), path) is not path:
                doubles.append(path)
    return DeapFiles(ratings, eeg, video, tuple(doubles))


def _kind(suffix: str) -> Kind:
    return next(kind for kind in KINDS if kind == suffix.lower())


def _walk(root: Path) -> Iterator[Path]:
    """Yield the files below ``root``, through links too, each folder once."""
    seen: set[Path] = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise InputError(f"{folder} cannot be listed: {error.strerror}.") from error
        for entry in entries:
            if entry.is_dir():
                folders.append(entry)
            elif entry.is_file():
                yield entry


def parse_participants(text: str) -> set[int]:
    """Read ``1,3-5`` (or ``s01,s03-s05``) as participant numbers; empty text is an empty set.

    Raises
    ------
    InputError
        The text is not of that form.
    """
    chosen: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"s?(\d+)(?:\s*-\s*s?(\d+))?", part, re.IGNORECASE)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise InputError(
                f"data.participants is {text!r}, and {part!r} is no participant or range.",
                "Write it as in 1,3-5.",
            )
        chosen.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return chosen


def choose_kind(found: Collection[Kind], source: Source) -> Kind | None:
    """Return which of the EEG files found is read; None where there is none of the source."""
    wanted = KINDS if source == "auto" else (source,)
    return next((kind for kind in wanted if kind in found), None)


def name_of(participant: int) -> str:
    """Return DEAP's name of a participant, ``s01``."""
    return f"s{participant:02d}"


class DeapRecordings:
    """DEAP below ``root``, as `Recordings`.

    Parameters
    ----------
    root
        Any folder above the files.
    source
        Which EEG files to read; ``auto`` takes bdf, then dat, then mat, for each participant.
    participants
        As in ``1,3-5``; empty for all that have ratings and EEG or video.

    Raises
    ------
    InputError
        ``root`` is missing or empty, there are no ratings, nothing can be used, or a participant
        asked for is absent.
    """

    channels = GENEVA

    def __init__(self, root: Path, source: Source = "auto", participants: str = "") -> None:
        self.root, self.source = root, source
        self.files = find_files(root.absolute())  # workers elsewhere have another current folder
        if self.files.ratings is None:
            raise InputError(
                f"There is no {_RATINGS_NAME} below {root}: without it EEG, video and ratings of a "
                "trial cannot be matched.",
                f"It is in DEAP's metadata_csv archive, from {REQUEST_URL}.",
            )
        self.ratings = read_ratings(self.files.ratings)
        usable = {person for person in self.ratings if self.kind(person) or self._videos(person)}
        if not usable:
            what = "EEG or video" if source == "auto" else f".{source} or video"
            raise InputError(
                f"No participant below {root} has both ratings and a {what} file "
                f"(as in s01.{'bdf' if source == 'auto' else source}, s01_trial01.avi).",
                _FIND_HINT,
            )
        chosen = parse_participants(participants)
        if absent := sorted(chosen - usable):
            raise InputError(
                f"data.participants asks for {', '.join(map(name_of, absent))}, and {root} has no "
                "ratings with EEG or video of " + ("it." if len(absent) == 1 else "them."),
                f"Usable are: {', '.join(map(name_of, sorted(usable)))}.",
            )
        self._numbers = {name_of(person): person for person in sorted(chosen or usable)}
        self._durations_s: dict[int, dict[int, float]] = {}

    def kind(self, person: int) -> Kind | None:
        """Return which EEG file of a participant is read, or None where there is none."""
        return choose_kind(self.files.eeg.get(person, {}), self.source)

    def notes(self) -> list[str]:
        """Return which source each participant is read from, and what was found twice."""
        by_kind: dict[Kind | None, list[str]] = {}
        for name, person in self._numbers.items():
            by_kind.setdefault(self.kind(person), []).append(name)
        notes = [
            f"EEG from .{kind} files: {', '.join(names)}."
            if kind
            else f"No EEG file of {', '.join(names)}: faces only."
            for kind, names in by_kind.items()
        ]
        if len([kind for kind in by_kind if kind]) > 1:
            notes.append(
                "Raw and preprocessed EEG were cleaned differently; data.source picks one kind."
            )
        notes += [
            f"{path} was not used: a file of that name was already found."
            for path in self.files.doubles
        ]
        return notes

    def participants(self) -> list[str]:
        """Return the names of the participants, sorted."""
        return list(self._numbers)

    def trials(self, participant: str) -> list[Trial]:
        """Return the trials of a participant in order of presentation.

        Raises
        ------
        InputError
            The EEG file is broken, or its stimuli or labels are not those of the ratings file.
        """
        person = self._numbers[participant]
        durations = self._durations(person)
        videos = self._videos(person)
        return [
            Trial(
                participant,
                trial,
                row.stimulus,
                row.ratings,
                duration_s=durations.get(trial, STIMULUS_S),
                has_eeg=trial in durations,
                video=VideoSpan(videos[trial]) if trial in videos else None,
            )
            for trial, row in self.ratings[person].items()
        ]

    def eeg_blocks(self, participant: str) -> Iterator[EegBlock]:
        """Yield the EEG of a participant: one block for a BDF, one a trial for other files."""
        person = self._numbers[participant]
        kind = self.kind(person)
        if kind is None:
            return
        path = self.files.eeg[person][kind]
        rows = self.ratings[person]
        if kind == "bdf":
            block = read_bdf(path)
            check_onsets(block.onset_s, rows, path)
            yield block
            return
        arrays = read_preprocessed(path)
        check_labels(arrays, rows, path)
        for trial, row in rows.items():
            raw = raw_from_microvolts(arrays.data[row.stimulus - 1, :32], SFREQ, GENEVA)
            yield EegBlock(raw, {trial: BASELINE_S}, cleaned=True)

    def inputs(self, participant: str) -> InputFiles:
        """Return what a participant's EEG is made from."""
        person = self._numbers[participant]
        kind = self.kind(person)
        return InputFiles((self.files.eeg[person][kind],) if kind else ())

    def _videos(self, person: int) -> dict[int, Path]:
        found = self.files.video.get(person, {})
        return {trial: path for trial, path in found.items() if trial in self.ratings[person]}

    def _durations(self, person: int) -> dict[int, float]:
        """Length of each stimulus with EEG; read once, as it means reading a whole file."""
        if person not in self._durations_s:
            self._durations_s[person] = self._read_durations(person)
        return self._durations_s[person]

    def _read_durations(self, person: int) -> dict[int, float]:
        kind, rows = self.kind(person), self.ratings[person]
        if kind is None:
            return {}
        path = self.files.eeg[person][kind]
        if kind != "bdf":
            arrays = read_preprocessed(path)
            check_labels(arrays, rows, path)
            return dict.fromkeys(rows, arrays.duration_s)
        marks = dict(enumerate(stimulus_marks(open_bdf(path)), start=1))
        check_onsets(marks, rows, path)
        known = [mark.duration_s for mark in marks.values() if mark.duration_s is not None]
        usual = statistics.median(known) if known else STIMULUS_S
        return {
            trial: usual if mark.duration_s is None else mark.duration_s
            for trial, mark in marks.items()
        }


def check_onsets(onsets: Collection[int], rows: Collection[int], path: Path) -> None:
    """Refuse a recording whose stimuli are not the trials of the ratings file, one for one."""
    if set(onsets) != set(rows):
        raise InputError(
            f"{path} marks {len(onsets)} stimuli (code 4 of its status channel) and the ratings "
            f"file has {len(rows)} trials of this participant"
            + ("." if len(onsets) != len(rows) else f", numbered {min(rows)} to {max(rows)}."),
            "The n-th mark is trial n, so neither may lack one; get both files from one download.",
        )
