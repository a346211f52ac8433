"""Tables of predictions that any program may have written.

Columns are found by their usual names in many spellings; the user can name others. Participants,
trials, stimuli, folds, seeds and classes are text, but ``1`` and ``1.0`` are the same name, and so
are ``1`` and ``01``, except for participants: `milmer_cli.audit.leaks` reports participants whose
names look like the same one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.audit.table import AuditTable
from milmer_cli.datasets.table import TableErrors, TableRow, finite_number, read_table
from milmer_cli.errors import InputError, shorten

SPELLINGS = {
    "participant": "participant participant_id participants subject subject_id subj sub person pid",
    "session": "session session_id session_number session_no session_idx ses sess",
    "trial": "trial trial_id trial_number trial_index trial_no trial_idx",
    "stimulus": "stimulus stimulus_id stim clip clip_id video video_id experiment_id film movie",
    "truth": "truth true y_true y label true_label ground_truth gt target class actual",
    "predicted": "predicted prediction pred y_pred predicted_label predicted_class output",
    "fold": "fold fold_id fold_number cv_fold test_fold kfold",
    "seed": "seed repeat repetition random_state rep",
    "onset_s": "onset_s onset start_s start segment_start segment_onset time_s",
    "duration_s": "duration_s duration segment_s length_s",
    "set": "set part subset role partition split usage",
    "epoch": "epoch epoch_id",
    "protocol": "protocol",
    "model": "model model_name",
}
"""Column -> spellings, compared without case, spaces and punctuation."""

_PROBABILITY = re.compile(
    r"(?:p|prob|probs|proba|probability|softmax)[\s_.:-]+?(-?\d.*|[^\s_.:-].*)"
)
_WHOLE_NUMBER = re.compile(r"(-?)(0*)(\d+)(\.0*)?")
_HINT = "Name columns with --map COLUMN=NAME, for example --map truth=emotion."
_PREDICTION_COLUMNS = SPELLINGS.keys() - {"set", "epoch"}


@dataclass(frozen=True, eq=False)
class PredictionTable(AuditTable):
    """Predictions of test segments or trials, one per row.

    Attributes
    ----------
    duration_s
        (n,) seconds; NaN if the table has no such column.
    truth, predicted
        (n,) classes.
    probabilities
        (n, n_classes); one-hot if ``has_probabilities`` is false.
    has_probabilities
        Whether the table contains probabilities and not only the predicted classes.
    class_names
        Names of the classes.
    lines
        (n,) line of each row in the file.
    """

    duration_s: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    has_probabilities: bool
    class_names: tuple[str, ...]
    lines: np.ndarray


def read_predictions(
    path: Path, names: Mapping[str, str] | None = None, only: Mapping[str, str] | None = None
) -> PredictionTable:
    """Read a table of predictions.

    Parameters
    ----------
    path
        A CSV file.
    names
        Column of `SPELLINGS` -> its name in the file, where the spellings do not fit; an empty name
        if the file has no such column.
    only
        ``protocol`` or ``model`` -> the value whose rows are read. If such a column has several
        values, the first one is read by default; a protocol that does not occur is ignored.

    Raises
    ------
    InputError
        The file has no participant, no true class or no prediction, or a cell has no usable value.
    """
    errors = TableErrors(path, _HINT)
    rows = read_table(errors, required=())
    errors.raise_if_any()
    columns = find_columns(rows[0], names or {}, path, _PREDICTION_COLUMNS)
    rows = _select(rows, columns, only or {}, path)
    for name, what in (("participant", "the participant"), ("truth", "the true class")):
        if name not in columns:
            raise missing_column(what, rows[0], path)
    probability_columns = _probability_columns(rows[0], columns)
    if "predicted" not in columns and not probability_columns:
        raise missing_column("the predicted class, or p_CLASS columns", rows[0], path)
    truth = [plain_name(row.text(columns["truth"])) for row in rows]
    predicted = [plain_name(row.text(columns.get("predicted", ""))) for row in rows]
    class_names = _class_names(list(probability_columns), [*truth, *predicted])
    number = class_numbers(class_names)
    if probability_columns:
        probabilities = _probabilities(rows, list(probability_columns.values()))
    else:
        probabilities = np.eye(len(class_names))[
            _cells(rows, columns["predicted"], number, _expected(class_names))
        ]
    table = PredictionTable(
        **texts(
            rows,
            columns,
            ("participant", "session", "trial", "stimulus", "fold", "seed"),
            optional=("session",),
        ),
        **seconds(rows, columns, ("onset_s", "duration_s")),
        truth=_cells(rows, columns["truth"], number, _expected(class_names)),
        predicted=(
            _cells(rows, columns["predicted"], number, _expected(class_names))
            if "predicted" in columns
            else probabilities.argmax(axis=1)
        ),
        probabilities=probabilities,
        has_probabilities=bool(probability_columns),
        class_names=class_names,
        lines=np.array([row.line for row in rows]),
    )
    errors.raise_if_any()
    return table


def find_columns(
    row: TableRow, names: Mapping[str, str], path: Path, strict: Collection[str]
) -> dict[str, str]:
    """Column of `SPELLINGS` -> its name in the file (lower case).

    Parameters
    ----------
    row
        Any row of the file.
    names
        Names given by the user; an empty one hides the column.
    path
        The file, for messages.
    strict
        Columns whose given name must exist in the file. The names of other columns are meant for
        another file, and are used here only if they exist.

    Raises
    ------
    InputError
        ``names`` has an unknown column, or names a column that the file does not have.
    """
    found = {}
    hidden = {column for column, given in names.items() if not given.strip()}
    for column, given in names.items():
        if column not in SPELLINGS:
            raise InputError(
                f"--map: expected one of {', '.join(SPELLINGS)}, got {column!r}.", _HINT
            )
        if given.strip().lower() in row.cells and column not in hidden:
            found[column] = given.strip().lower()
        elif column in strict and column not in hidden:
            raise InputError(f"{path} has no column {given!r}.", _listed(row))
    taken = set(found.values())
    for column, spellings in SPELLINGS.items():
        for spelling in spellings.split():
            matches = [name for name in row.cells if plain_column(name) == plain_column(spelling)]
            matches = [name for name in matches if name not in taken]
            if column not in found and column not in hidden and matches:
                found[column] = matches[0]
                taken.add(matches[0])
    return found


def missing_column(what: str, row: TableRow, path: Path, hint: str = _HINT) -> InputError:
    """Error for a file without a column that it needs."""
    return InputError(f"{path} has no column for {what}.", f"{hint} {_listed(row)}")


def _listed(row: TableRow) -> str:
    return f"It has the columns {shorten(list(row.cells), 12)}."


def plain_column(name: str) -> str:
    """Name of a column without case, spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _select(
    rows: list[TableRow], columns: Mapping[str, str], only: Mapping[str, str], path: Path
) -> list[TableRow]:
    """Keep the rows of one protocol and of one model."""
    for column in ("protocol", "model"):
        if column not in columns:
            if column == "model" and column in only:
                raise InputError(f"{path} has no column model.", "Leave out --model.")
            continue
        present = list(dict.fromkeys(row.text(columns[column]) for row in rows))
        wanted = only.get(column, present[0])
        if wanted not in present:
            if column == "model":
                raise InputError(
                    f"{path} has no row with model {wanted!r}.", f"It has: {shorten(present)}."
                )
            wanted = present[0]
        rows = [row for row in rows if row.text(columns[column]) == wanted]
    return rows


def _probability_columns(row: TableRow, columns: Mapping[str, str]) -> dict[str, str]:
    """Class (lower case) -> column of its probability."""
    taken = set(columns.values())
    matches = {name: _PROBABILITY.fullmatch(name) for name in row.cells if name not in taken}
    found = {plain_name(match[1].strip()): name for name, match in matches.items() if match}
    return found if len(found) > 1 else {}


def _class_names(probability_names: Sequence[str], cells: Sequence[str]) -> tuple[str, ...]:
    """Class names in the order of their probability columns, otherwise sorted.

    Column names are read in lower case, so the spelling is taken from the cells.
    """
    spelled = {text.lower(): text for text in cells if text}
    if probability_names:
        return tuple(spelled.get(name, name) for name in probability_names)
    return tuple(sorted(spelled.values(), key=float if _are_numbers(spelled) else None))


def _are_numbers(names: Collection[str]) -> bool:
    return all(_WHOLE_NUMBER.fullmatch(name) for name in names)


def class_numbers(class_names: Sequence[str]) -> Callable[[str], int]:
    """Return a function from the text of a cell to a class; it raises ValueError."""
    numbers = {name.lower(): number for number, name in enumerate(class_names)}
    if not _are_numbers(numbers):
        # numbered classes beside named probabilities: class k is the k-th column
        numbers = {str(number): number for number in range(len(numbers))} | numbers

    def convert(text: str) -> int:
        if (name := plain_name(text).lower()) in numbers:
            return numbers[name]
        raise ValueError(text)

    return convert


def plain_name(text: str, zeros: bool = False) -> str:
    """Return a name as it is compared: ``1.0`` and ``01`` become ``1``, and NaN becomes empty.

    Parameters
    ----------
    text
        Text of a cell.
    zeros
        Whether leading zeros are kept.
    """
    if number := _WHOLE_NUMBER.fullmatch(text):
        return number[1] + zeros * number[2] + number[3]
    return "" if text.lower() == "nan" else text


def _expected(class_names: Sequence[str]) -> str:
    return f"a class ({shorten(list(class_names), 6)})"


def _cells(
    rows: Sequence[TableRow], column: str, convert: Callable[[str], int], expected: str
) -> np.ndarray:
    """(n,) converted cells; empty and wrong ones are recorded as errors and become 0."""
    values = []
    for row in rows:
        if not row.text(column):
            row.error(f"{column}: expected {expected}, got an empty cell")
        values.append(row.value(column, convert, expected) or 0)
    return np.array(values, dtype=np.int64)


def _probabilities(rows: Sequence[TableRow], columns: Sequence[str]) -> np.ndarray:
    """(n, n_classes) probabilities, normalized; wrong ones are recorded as errors."""
    values = np.empty((len(rows), len(columns)))
    for index, row in enumerate(rows):
        for column, name in enumerate(columns):
            number = row.value(name, finite_number, "a number")
            values[index, column] = math.nan if number is None else number
        total = values[index].sum()
        if not abs(total - 1) <= 0.02 or values[index].min() < -1e-6:
            given = ", ".join(f"{value:g}" for value in values[index])
            row.error(f"expected probabilities that sum to 1, got {given}")
    return np.clip(values, 0, None) / np.maximum(values.sum(axis=1, keepdims=True), 1e-12)


def texts(
    rows: Sequence[TableRow],
    columns: Mapping[str, str],
    names: Sequence[str],
    optional: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Columns of names; empty where the file has no such column.

    Empty cells are recorded as errors, except in the columns in ``optional`` and in columns other
    than ``participant`` that are empty throughout.
    """
    found = {}
    for name in names:
        cells = [
            plain_name(row.text(columns.get(name, "")), zeros=name == "participant") for row in rows
        ]
        if name not in optional and (name == "participant" or any(cells)):
            for row, cell in zip(rows, cells, strict=True):
                if not cell:
                    row.error(f"{columns[name]} is empty")
        found[name] = np.array(cells, dtype=str)
    return found


def seconds(
    rows: Sequence[TableRow], columns: Mapping[str, str], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Columns of seconds; NaN where the file has no such column."""

    def number(row: TableRow, name: str) -> float:
        value = row.value(columns.get(name, ""), finite_number, "seconds")
        return math.nan if value is None else value

    return {name: np.array([number(row, name) for row in rows]) for name in names}
