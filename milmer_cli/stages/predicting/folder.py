"""The folder of a prediction: never somebody else's, and never parts of two predictions."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import few
from milmer_cli.stages.predicting.blinks import PICTURE
from milmer_cli.stages.predicting.outcome import ABSTAINED, PAGE, RESULT, TIMELINE, Segment

DONE, SUMMARY = "done.json", "summary.csv"
_FIRST = ("onset_s", "class")
_FIRST_OF_MANY = ("name", "class")


def check_folder(out: Path, table: str = TIMELINE, first: Sequence[str] = _FIRST) -> None:
    """Refuse a folder with something in it that is no prediction.

    Parameters
    ----------
    out
        Where the prediction is to go.
    table, first
        What a prediction has: the name of its table, and the table's first columns.

    Raises
    ------
    InputError
        As said.
    """
    hint = "Choose another folder with --out."
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out} is there and is no folder.", hint)
    names = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if not names or _begins(out / table, ",".join([*first, ""])):
        return
    raise InputError(f"{out} holds something else than a prediction: {few(names, 4)}.", hint)


def check_folder_of_many(out: Path) -> None:
    """Refuse a folder with something in it that is no prediction of many recordings."""
    check_folder(out, SUMMARY, _FIRST_OF_MANY)


def _begins(path: Path, text: str) -> bool:
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(len(text)) == text


def clear(out: Path) -> None:
    """Remove what an earlier prediction left, so that a folder never holds parts of two.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    try:
        for name in (DONE, PAGE, RESULT, PICTURE, TIMELINE):  # the table says whose the folder is
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{out / name} cannot be replaced: {error.strerror}.",
            "Choose another folder with --out.",
        ) from error


class TimelineFile:
    """timeline.csv, written a segment at a time, so that a stopped prediction leaves what it has.

    With the first row an earlier prediction in the folder goes; without any row it stays.

    Parameters
    ----------
    path
        The file.
    class_names
        In the order of the probabilities.

    Raises
    ------
    InputError
        The folder cannot be written.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._path = path
        self._class_names = class_names
        self._file: TextIO | None = None
        self._made = not path.parent.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}.", "Choose another folder with --out."
            ) from error

    def __enter__(self) -> TimelineFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        elif self._made:
            with suppress(OSError):  # something else has come into it
                self._path.parent.rmdir()

    def _begin(self) -> TextIO:
        clear(self._path.parent)
        file = self._path.open("w", encoding="utf-8", newline="")
        names = [f"p_{name}" for name in self._class_names]
        csv.writer(file, lineterminator="\n").writerow(
            [
                *(*_FIRST, *names, "valence", "arousal", "confidence", "faces_found"),
                *("channels_interpolated", "flags", "chosen_instances"),
            ]
        )
        return file

    def add(self, segment: Segment) -> None:
        """Write a row, through to the disk's cache."""
        if self._file is None:
            self._file = self._begin()
        csv.writer(self._file, lineterminator="\n").writerow(
            [
                f"{segment.onset_s:g}",
                segment.label or ABSTAINED,
                *(f"{p:.6f}" for p in segment.probabilities),
                *segment.sides,
                f"{segment.confidence:.6f}",
                "" if segment.faces is None else segment.faces,
                "" if segment.interpolated is None else segment.interpolated,
                " ".join(segment.flags),
                " ".join(str(index) for index in segment.chosen),
            ]
        )
        self._file.flush()
