"""DEAP's participant_ratings.csv: what was shown in which order, and how it was felt."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.recordings.trial import RATINGS

_COLUMNS = ("participant_id", "trial", "experiment_id", *RATINGS)


@dataclass(frozen=True)
class Rated:
    """One row of the ratings file.

    Attributes
    ----------
    stimulus
        Experiment_id: names the music video; row ``stimulus - 1`` of the preprocessed arrays.
    ratings
        In the order of `RATINGS`; NaN where the cell is empty.
    """

    stimulus: int
    ratings: tuple[float, float, float, float]


def read_ratings(path: Path) -> dict[int, dict[int, Rated]]:
    """Read the ratings: participant number -> trial (presentation order) -> row.

    Raises
    ------
    InputError
        Columns are missing, a cell is no number or out of range, or a trial or stimulus of a
        participant comes twice; the message names the row (the header is row 1).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The ratings file {path} cannot be read: {error}.") from error
    lines = text.splitlines()
    delimiter = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    reader = csv.reader(lines, delimiter=delimiter)
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"it has: {', '.join(header) or 'none'}.",
            "Use DEAP's metadata_csv/participant_ratings.csv unchanged.",
        )
    at = {name: header.index(name) for name in _COLUMNS}
    people: dict[int, dict[int, Rated]] = {}
    for number, cells in enumerate(reader, start=2):
        if any(cell.strip() for cell in cells):
            _add_row(people, cells, at, f"{path}, row {number}")
    if not people:
        raise InputError(f"{path} holds no ratings.", "Use DEAP's file unchanged.")
    return {person: dict(sorted(people[person].items())) for person in sorted(people)}


def _add_row(
    people: dict[int, dict[int, Rated]], cells: list[str], at: dict[str, int], where: str
) -> None:
    def cell(name: str) -> str:
        return cells[at[name]].strip() if at[name] < len(cells) else ""

    try:
        person, trial, stimulus = (int(cell(name)) for name in _COLUMNS[:3])
        valence, arousal, dominance, liking = (float(cell(name) or "nan") for name in RATINGS)
    except ValueError as error:
        raise InputError(f"{where}: a cell is not a number ({error}).") from error
    row = Rated(stimulus, (valence, arousal, dominance, liking))
    if any(not (1.0 <= value <= 9.0) for value in row.ratings if value == value):
        raise InputError(f"{where}: a rating lies outside 1 to 9: {row.ratings}.")
    rows = people.setdefault(person, {})
    if trial < 1 or stimulus < 1:
        raise InputError(f"{where}: Trial and Experiment_id count from 1.")
    if trial in rows or any(stimulus == other.stimulus for other in rows.values()):
        raise InputError(
            f"{where}: participant {person} already has trial {trial} or Experiment_id {stimulus}.",
            "Each trial and each video may come once per participant.",
        )
    rows[trial] = row
