"""The one reader of CSV tables: any dialect, comments, and all errors of a file in one message."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from milmer_cli.csv_cells import original_cell
from milmer_cli.errors import InputError
from milmer_cli.input_files import read_input

T = TypeVar("T")

_LISTED = 50


@dataclass
class TableErrors:
    """Collects the errors of a table, to report them in one message.

    Attributes
    ----------
    path
        The file.
    hint
        What the user can do; the hint of the exception.
    found
        (line, message) of each error, without duplicates.
    """

    path: Path
    hint: str
    found: dict[tuple[int, str], None] = field(default_factory=dict)

    def add(self, line: int, message: str) -> None:
        """Record an error in a line of the file."""
        self.found[line, message] = None

    def raise_if_any(self) -> None:
        """Raise `InputError` with all errors, in the order of their lines."""
        if not self.found:
            return
        listed = [f"  row {line}: {message}" for line, message in sorted(self.found)]
        more = [f"  and {len(listed) - _LISTED} more"] if len(listed) > _LISTED else []
        count = f"{len(listed)} error{'s' * (len(listed) > 1)}"
        raise InputError(
            "\n".join([f"{self.path} has {count}:", *listed[:_LISTED], *more]), self.hint
        )


@dataclass(frozen=True)
class TableRow:
    """One row of a table. A cell that cannot be converted is recorded as an error.

    Attributes
    ----------
    line
        Number of the row in the file, from 1; the header and comments count.
    cells
        Column -> text, without surrounding spaces.
    errors
        Collects the errors of the file.
    """

    line: int
    cells: Mapping[str, str]
    errors: TableErrors

    def text(self, column: str) -> str:
        """Return a cell; empty if the column or the cell is missing."""
        return self.cells.get(column, "")

    def required(self, column: str) -> str:
        """Return a cell; an empty one is an error."""
        if not (text := self.text(column)):
            self.error(f"{column} is empty")
        return text

    def value(self, column: str, convert: Callable[[str], T], expected: str) -> T | None:
        """Convert a cell.

        Parameters
        ----------
        column
            Name of the column.
        convert
            Converts the text; raises ValueError for a wrong one.
        expected
            What the cell should contain, for the message.

        Returns
        -------
        T or None
            None if the cell is empty or wrong.
        """
        if not (text := self.text(column)):
            return None
        try:
            return convert(text)
        except ValueError:
            self.error(f"{column}: expected {expected}, got {text!r}")
            return None

    def file(self, column: str) -> Path | None:
        """Return the path in a cell, relative to the table's folder; None if empty or missing."""
        if not (text := self.text(column)):
            return None
        path = self.errors.path.parent / text
        if not path.is_file():
            self.error(f"there is no {column} file {path}")
            return None
        return path

    def error(self, message: str) -> None:
        """Record an error in this row."""
        self.errors.add(self.line, message)


def read_table(
    errors: TableErrors,
    required: Sequence[tuple[str, ...]],
    allowed: Collection[str] | None = None,
) -> list[TableRow]:
    """Read a CSV file in UTF-8, with or without a byte order mark.

    The separator is the comma or the semicolon, whichever is more frequent in the header. Lines
    that start with ``#`` and empty lines are skipped. Column names are converted to lower case.

    Parameters
    ----------
    errors
        Names the file and collects its errors, for example rows with too many cells.
    required
        Columns that must exist; of several names in one entry, at least one must exist.
    allowed
        Columns that may exist; None for any. Names that start with ``#`` are always allowed.

    Raises
    ------
    InputError
        The file cannot be read, or its header is wrong, so that the rows cannot be interpreted.
    """
    path = errors.path
    try:
        text = read_input(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InputError(f"The table {path} cannot be read: {reason}.", errors.hint) from error
    lines = ["" if line.lstrip().startswith("#") else line for line in text.splitlines()]
    first = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=";" if first.count(";") > first.count(",") else ",")
    header: list[str] = []
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = [original_cell(cell.strip()).lower() for cell in cells]
            _check_header(header, reader.line_num, required, allowed, errors)
            errors.raise_if_any()
            continue
        if len(cells) > len(header):
            errors.add(
                reader.line_num, f"expected at most {len(header)} cells (header), got {len(cells)}"
            )
        padded = [original_cell(cell.strip()) for cell in cells] + [""] * len(header)
        named = dict(zip(header, padded, strict=False))
        rows.append(TableRow(reader.line_num, named, errors))
    if not rows:
        errors.add(1, "the table has no rows")
    return rows


def _check_header(
    header: list[str],
    line: int,
    required: Sequence[tuple[str, ...]],
    allowed: Collection[str] | None,
    errors: TableErrors,
) -> None:
    for name in header:
        if allowed is not None and name and name not in allowed and not name.startswith("#"):
            similar = difflib.get_close_matches(name, allowed, 1)
            suggestion = f"; did you mean {similar[0]}?" if similar else ""
            errors.add(line, f"unknown column {name}{suggestion}")
        if name and header.count(name) > 1:
            errors.add(line, f"column {name} occurs more than once")
    for names in required:
        if not set(names) & set(header):
            errors.add(line, f"column {' or '.join(names)} is missing")


def finite_number(text: str) -> float:
    """Convert a cell to a finite number."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def nonnegative_number(text: str) -> float:
    """Convert a cell to a number, 0 or greater."""
    value = finite_number(text)
    if value < 0:
        raise ValueError(text)
    return value


def positive_number(text: str) -> float:
    """Convert a cell to a number greater than 0."""
    value = finite_number(text)
    if value <= 0:
        raise ValueError(text)
    return value


def positive_integer(text: str) -> int:
    """Convert a cell to an integer, 1 or greater."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
