"""DEAP's participant_ratings.csv: order of presentation, stimulus and ratings of each trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milmer_cli.datasets.base import RATINGS
from milmer_cli.datasets.table import (
    POSITIVE_INTEGER,
    TableErrors,
    TableRow,
    finite_number,
    positive_integer,
    read_table,
)

_IDENTITY = ("participant_id", "trial", "experiment_id")


@dataclass(frozen=True)
class RatedTrial:
    """One row of the ratings file.

    Attributes
    ----------
    stimulus
        Experiment_id, the number of the music video; row ``stimulus - 1`` of the preprocessed
        arrays.
    ratings
        In the order of `RATINGS`; NaN if the cell is empty.
    """

    stimulus: int
    ratings: tuple[float, float, float, float]


def read_ratings(path: Path) -> dict[int, dict[int, RatedTrial]]:
    """Read the ratings: participant number -> trial (order of presentation) -> row.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or has wrong or duplicate rows; the message lists
        all errors.
    """
    errors = TableErrors(path, "Use DEAP's metadata_csv/participant_ratings.csv unchanged.")
    participants: dict[int, dict[int, RatedTrial]] = {}
    for row in read_table(errors, [(name,) for name in (*_IDENTITY, *RATINGS)]):
        _add_row(participants, row)
    errors.raise_if_any()
    return {number: dict(sorted(participants[number].items())) for number in sorted(participants)}


def _add_row(participants: dict[int, dict[int, RatedTrial]], row: TableRow) -> None:
    for name in _IDENTITY:
        row.required(name)
    participant, trial, stimulus = (
        row.value(name, positive_integer, POSITIVE_INTEGER) for name in _IDENTITY
    )
    valence, arousal, dominance, liking = (_rating(row, name) for name in RATINGS)
    if participant is None or trial is None or stimulus is None:
        return
    trials = participants.setdefault(participant, {})
    if trial in trials or any(stimulus == other.stimulus for other in trials.values()):
        row.error(
            f"participant {participant} already has trial {trial} or Experiment_id {stimulus}"
        )
        return
    trials[trial] = RatedTrial(stimulus, (valence, arousal, dominance, liking))


def _rating(row: TableRow, name: str) -> float:
    value = row.value(name, _one_to_nine, "a number from 1 to 9")
    return float("nan") if value is None else value


def _one_to_nine(text: str) -> float:
    value = finite_number(text)
    if not 1.0 <= value <= 9.0:
        raise ValueError(text)
    return value
