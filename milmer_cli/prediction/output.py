"""The folder of a prediction: it never mixes two predictions, and foreign files are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from milmer_cli.csv_cells import write_row
from milmer_cli.errors import InputError, shorten
from milmer_cli.io import explained_write_errors, require_writable
from milmer_cli.partial_files import new_text_file
from milmer_cli.prediction.result import (
    ABSTAINED,
    PAGE,
    RESULT,
    SYNC_FIGURE,
    TIMELINE,
    SegmentPrediction,
)
from milmer_cli.run_log import LOG_FILE

DONE, SUMMARY = "done.json", "summary.csv"

_TIMELINE_COLUMNS = ("onset_s", "class")
_SUMMARY_COLUMNS = ("name", "class")
_HINT = "Choose another folder with --out."


def require_prediction_folder(out: Path) -> None:
    """Check that a folder is new or empty, or contains a prediction.

    Raises
    ------
    InputError
        It contains something else, or cannot be written.
    """
    _require_table(out, TIMELINE, _TIMELINE_COLUMNS)


def require_batch_folder(out: Path) -> None:
    """Check that a folder is new or empty, or contains predictions of a manifest.

    Raises
    ------
    InputError
        It contains something else, or cannot be written.
    """
    _require_table(out, SUMMARY, _SUMMARY_COLUMNS)


def _require_table(out: Path, table: str, first_columns: Sequence[str]) -> None:
    """Recognize a folder of predictions by the first columns of its table."""
    require_writable(out)
    if not out.exists():
        return
    names = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if names and not _starts_with(out / table, ",".join([*first_columns, ""])):
        raise InputError(
            f"{out} contains files that are not a prediction: {shorten(names, 4)}.", _HINT
        )


def _starts_with(path: Path, text: str) -> bool:
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(len(text)) == text


def remove_prediction(out: Path) -> None:
    """Remove the files of an earlier prediction.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    try:
        # the table, by which the folder is recognized, goes last
        for name in (DONE, PAGE, RESULT, SYNC_FIGURE, LOG_FILE, TIMELINE):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{out / name} cannot be replaced: {error.strerror}.", _HINT) from error


def timeline_columns(class_names: Sequence[str]) -> list[str]:
    """Return the columns of timeline.csv."""
    probabilities = [f"p_{name}" for name in class_names]
    return [
        *(*_TIMELINE_COLUMNS, *probabilities, "valence", "arousal", "confidence"),
        *("faces_found", "channels_interpolated", "flags", "selected_instances"),
    ]


class TimelineWriter:
    """Write timeline.csv row by row, so that an interrupted prediction keeps its rows.

    An earlier prediction in the folder is removed when the first row is written; without any row
    the folder stays as it was.

    Parameters
    ----------
    path
        The file.
    class_names
        In the order of the probabilities.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._path = path
        self._class_names = class_names
        self._file: TextIO | None = None

    def __enter__(self) -> TimelineWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with explained_write_errors(self._path):  # closing writes what is left
                self._file.close()

    def write(self, segment: SegmentPrediction) -> None:
        """Write and flush one row.

        Raises
        ------
        InputError
            The folder cannot be written.
        MilmerError
            Writing failed, for example because the disk is full.
        """
        with explained_write_errors(self._path):
            self._write(segment)

    def _write(self, segment: SegmentPrediction) -> None:
        if self._file is None:
            self._file = self._create()
        write_row(
            self._file,
            [
                f"{segment.onset_s:g}",
                segment.label or ABSTAINED,
                *(f"{p:.6f}" for p in segment.probabilities),
                *segment.sides,
                f"{segment.confidence:.6f}",
                "" if segment.faces_found is None else segment.faces_found,
                "" if segment.interpolated is None else segment.interpolated,
                " ".join(segment.flags),
                " ".join(str(index) for index in segment.selected),
            ],
        )
        self._file.flush()

    def _create(self) -> TextIO:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            remove_prediction(self._path.parent)
            file = new_text_file(self._path)
        except OSError as error:
            raise InputError(f"{self._path} cannot be written: {error.strerror}.", _HINT) from error
        write_row(file, timeline_columns(self._class_names))
        return file
