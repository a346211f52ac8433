"""A list of recordings to predict, one a row; all its mistakes are told at once."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from milmer_cli.errors import InputError
from milmer_cli.stages.predicting.folder import SUMMARY
from milmer_cli.stages.predicting.request import Request

COLUMNS = (
    *("name", "video", "eeg", "trial", "eeg_event"),
    *("video_onset", "eeg_onset", "duration", "eog"),
)
"""Named as the flags of ``milmer predict``; ``name`` is the folder of the prediction."""


def read_recordings(path: Path) -> dict[str, Request]:
    """Read what to predict: name -> request, in the order of the file.

    Commas or semicolons; relative paths start at the file's folder; lines that begin with ``#`` are
    ignored; a recording without ``video`` or without ``eeg`` is predicted from the other. The name
    is that of the video, or of the EEG, where none is given.

    Raises
    ------
    InputError
        With all mistakes, each with its row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", "Give a csv file in UTF-8.") from error
    lines = ["" if line.lstrip().startswith("#") else line for line in text.splitlines()]
    first = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=";" if first.count(";") > first.count(",") else ",")
    header: list[str] = []
    mistakes: list[str] = []
    found: dict[str, Request] = {}
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if not header:
            header = [cell.strip() for cell in row]
            mistakes += [_unknown(name) for name in header if name not in COLUMNS]
            continue
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=False)}
        try:
            if len(row) > len(header):
                raise ValueError(f"has {len(row)} cells and the header {len(header)}")
            name, request = _read(cells, path.parent)
            if name in found:
                raise ValueError(f"the name {name} is there already; give names in column name")
            found[name] = request
        except ValueError as error:
            mistakes.append(f"row {reader.line_num}: {error}")
    if not found and not mistakes:
        mistakes.append("there is no recording in it")
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)}"
        raise InputError(
            "\n".join([f"{path} has {count}:", *(f"  {text}" for text in mistakes)]),
            f"Its columns are {', '.join(COLUMNS)}; only video or eeg is needed.",
        )
    return found


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COLUMNS, n=1)
    return f"there is no column {name}" + (f": is {near[0]} meant?" if near else "")


def _read(cells: dict[str, str], folder: Path) -> tuple[str, Request]:
    files: dict[str, Path | None] = {"video": None, "eeg": None}
    for column in files:
        if given := cells.get(column):
            file = folder / given
            if not file.is_file():
                raise ValueError(f"there is no {column} {file}")
            files[column] = file
    known = files["video"] or files["eeg"]
    if known is None:
        raise ValueError("has neither video nor eeg")
    name = cells.get("name") or known.stem
    if not re.fullmatch(r"[\w .+-]*\w[\w .+-]*", name):
        raise ValueError(f"name {name!r} cannot be the name of a folder")
    if name.lower() == SUMMARY:
        raise ValueError(f"name {name!r} is that of the table of all recordings")
    numbers: dict[str, Callable[[str], Any]] = {"video_onset": float, "eeg_onset": float}
    numbers |= {"duration": float, "trial": int}
    values: dict[str, Any] = {}
    for column, kind in numbers.items():
        if given := cells.get(column):
            try:
                value = kind(given)
            except ValueError:
                value = math.nan
            if not (math.isfinite(value) and value >= (column == "trial")):
                raise ValueError(f"{column} is {given!r} and has to be a number")
            values[column if column == "trial" else f"{column}_s"] = value
    request = Request(
        video=files["video"],
        eeg=files["eeg"],
        eeg_event=cells.get("eeg_event") or None,
        eog=cells.get("eog", ""),
        **values,
    )
    return name, request
