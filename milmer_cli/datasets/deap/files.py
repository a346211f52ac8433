"""DEAP's files on disk, found by name in whatever folders they were unpacked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from milmer_cli.errors import InputError, shorten
from milmer_cli.settings.schema import Source

EegFormat = Literal["bdf", "dat", "mat"]
EEG_FORMATS: tuple[EegFormat, ...] = ("bdf", "dat", "mat")
"""Formats of DEAP's EEG, in the order in which source ``auto`` prefers them."""

RATINGS_FILE = "participant_ratings.csv"
_RATINGS_WORKBOOKS = ("participant_ratings.xls", "participant_ratings.xlsx")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z", ".gz", ".tar.bz2")
REQUEST_URL = "https://www.eecs.qmul.ac.uk/mmv/datasets/deap/"
FIND_HINT = f"Give the folder that contains DEAP's files; request them at {REQUEST_URL}."

_EEG_NAME = re.compile(r"s(\d{1,2})\.(bdf|dat|mat)", re.IGNORECASE)
_VIDEO_NAME = re.compile(r"s(\d{1,2})_+trial_*(\d{1,2})\.(avi|mp4|mkv|mov)", re.IGNORECASE)


@dataclass(frozen=True)
class DeapFiles:
    """DEAP's files below a folder.

    Attributes
    ----------
    ratings
        participant_ratings.csv, or None.
    eeg
        Participant number -> format -> file.
    video
        Participant number -> trial -> file.
    duplicates
        Further files with the name of a file that was already found; they are not used.
    workbook
        The ratings as an Excel workbook, which cannot be read, or None.
    archives
        Archives, which may contain what is missing.
    """

    ratings: Path | None = None
    eeg: dict[int, dict[EegFormat, Path]] = field(default_factory=dict)
    video: dict[int, dict[int, Path]] = field(default_factory=dict)
    duplicates: tuple[Path, ...] = ()
    workbook: Path | None = None
    archives: tuple[Path, ...] = ()

    @property
    def archive_hint(self) -> str:
        """A sentence that names the archives; empty if there are none."""
        if not self.archives:
            return ""
        return f"Unpack {shorten([path.name for path in self.archives], 4)} first."

    @property
    def ratings_hint(self) -> str:
        """What to do if there is no `RATINGS_FILE`."""
        if self.workbook is not None:
            return (
                f"Open {self.workbook} in Excel or LibreOffice, and save it as {RATINGS_FILE} "
                "beside it; DEAP's metadata_csv archive contains it too."
            )
        request = f"It is in DEAP's metadata_csv archive, from {REQUEST_URL}."
        return self.archive_hint or request


def find_deap_files(root: Path) -> DeapFiles:
    """Find DEAP's files by name anywhere below a folder; of equal names, the least nested is used.

    Raises
    ------
    InputError
        ``root`` is missing, not a folder, or empty.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise InputError(f"The DEAP folder {root} {problem}.", FIND_HINT)
    paths = sorted(_walk(root), key=lambda path: (len(path.parts), str(path)))
    if not paths:
        raise InputError(f"The DEAP folder {root} is empty.", FIND_HINT)
    ratings: Path | None = None
    eeg: dict[int, dict[EegFormat, Path]] = {}
    video: dict[int, dict[int, Path]] = {}
    duplicates: list[Path] = []
    for path in paths:
        used = path
        if path.name.lower() == RATINGS_FILE:
            ratings = used = ratings or path
        elif match := _EEG_NAME.fullmatch(path.name):
            formats = eeg.setdefault(int(match[1]), {})
            used = formats.setdefault(_format(match[2]), path)
        elif match := _VIDEO_NAME.fullmatch(path.name):
            trials = video.setdefault(int(match[1]), {})
            used = trials.setdefault(int(match[2]), path)
        if used is not path:
            duplicates.append(path)
    workbooks = [path for path in paths if path.name.lower() in _RATINGS_WORKBOOKS]
    archives = tuple(path for path in paths if path.name.lower().endswith(_ARCHIVES))
    return DeapFiles(ratings, eeg, video, tuple(duplicates), next(iter(workbooks), None), archives)


def duplicate_notes(files: DeapFiles) -> tuple[str, ...]:
    """Return one sentence about the files that are not used because of their names, if any."""
    if not files.duplicates:
        return ()
    plural = "s are" if len(files.duplicates) > 1 else " is"
    return (
        f"{len(files.duplicates)} file{plural} not used, because files of the same names were "
        f"found before: {shorten(files.duplicates, 2)}.",
    )


def choose_format(found: Collection[EegFormat], source: Source) -> EegFormat | None:
    """Return which of the formats found is read; None if there is none of the source."""
    wanted = EEG_FORMATS if source == "auto" else (source,)
    return next((eeg_format for eeg_format in wanted if eeg_format in found), None)


def participant_name(number: int) -> str:
    """Return DEAP's name of a participant, such as ``s01``."""
    return f"s{number:02d}"


def _format(suffix: str) -> EegFormat:
    return next(eeg_format for eeg_format in EEG_FORMATS if eeg_format == suffix.lower())


def _walk(root: Path) -> Iterator[Path]:
    """Yield the files below ``root``; links are followed, and each folder is visited once."""
    visited: set[Path] = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        if folder.resolve() in visited:
            continue
        visited.add(folder.resolve())
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise InputError(f"{folder} cannot be listed: {error.strerror}.") from error
        for entry in entries:
            if entry.is_dir():
                folders.append(entry)
            elif entry.is_file():
                yield entry
