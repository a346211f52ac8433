"""The one reader of tables: any dialect, comments, and all errors of a file in one message."""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from milmer_cli.csv_cells import original_cell
from milmer_cli.datasets.table_text import read_table_text
from milmer_cli.errors import InputError, shorten

T = TypeVar("T")

_LISTED = 50
_SHOWN_CHARACTERS = 60
_SEPARATORS = (",", ";", "\t", "|")
MISSING_CELLS = {"nan", "NaN", "<NA>", "#N/A", "N/A", "n/a"}
"""Spellings of a missing cell by pandas and Excel."""
_MISSING_VALUES = {*MISSING_CELLS, "NA", "NULL", "null", "None"}
"""Spellings of a missing number or file; as a name, they may be meant (NA for negative affect)."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"\+?([0-9]+)(\.0*)?")
MAX_INTEGER = 2**31 - 1
"""Largest trial or stimulus number that the store can hold."""
POSITIVE_INTEGER = f"1, 2, 3, ... (at most {MAX_INTEGER})"
"""What a cell for `positive_integer` should contain, for messages."""


@dataclass
class TableErrors:
    """Collects the errors of a table, to report them in one message.

    Attributes
    ----------
    path
        The file.
    hint
        What the user can do; the hint of the exception.
    text
        Content of the table if it is not in a file; None to read the file.
    title
        Name of the file in the message; empty for ``path``.
    found
        (line, message) of each error, without duplicates.
    """

    path: Path
    hint: str
    text: str | None = None
    title: str = ""
    found: dict[tuple[int, str], None] = field(default_factory=dict)

    def add(self, line: int, message: str) -> None:
        """Record an error in a line of the file."""
        self.found[line, message] = None

    def raise_if_any(self) -> None:
        """Raise `InputError` with all errors, in the order of their lines.

        Rows with the same error share a line of the message.
        """
        if not self.found:
            return
        rows_of: dict[str, list[int]] = {}
        for line, message in sorted(self.found):
            rows_of.setdefault(message, []).append(line)
        listed = [f"  {_row_ranges(rows)}: {message}" for message, rows in rows_of.items()]
        left = sum(len(rows) for rows in list(rows_of.values())[_LISTED:])
        more = [f"  and {left} more"] if left else []
        count = f"{len(self.found)} error{'s' * (len(self.found) > 1)}"
        where = self.title or str(self.path)
        if self.text is not None:
            where = f"The manifest that `milmer manifest` writes for {self.path.parent}"
        raise InputError("\n".join([f"{where} has {count}:", *listed[:_LISTED], *more]), self.hint)


def _row_ranges(rows: Sequence[int]) -> str:
    """Return ascending row numbers for a message: ``row 2``, or ``rows 2-7, 9``."""
    ranges: list[list[int]] = []
    for row in rows:
        if ranges and row == ranges[-1][1] + 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    names = [f"{first}-{last}" if last > first else f"{first}" for first, last in ranges]
    return f"row{'s' * (len(rows) > 1)} {shorten(names)}"


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
    decimal_comma
        Whether numbers may be written as in ``3,5``: the separator is not the comma.
    """

    line: int
    cells: Mapping[str, str]
    errors: TableErrors
    decimal_comma: bool = False

    def text(self, column: str) -> str:
        """Return a cell; empty if the cell or the column is missing, or the name is empty."""
        return self.cells.get(column, "") if column else ""

    def given(self, column: str) -> str:
        """Return the cell of a number or a file; empty also if it is spelled NA, null or None."""
        text = self.text(column)
        return "" if text in _MISSING_VALUES else text

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
        if not (text := self.given(column)):
            return None
        try:
            return convert(re.sub(r"(?<=\d),(?=\d)", ".", text) if self.decimal_comma else text)
        except (ValueError, OverflowError):
            self.error(f"{column}: expected {expected}, got {quoted(text)}")
            return None

    def file(self, column: str) -> Path | None:
        """Return the path in a cell, relative to the table's folder; None if empty or missing."""
        if not (text := self.given(column)):
            return None
        path = self.errors.path.parent / text
        try:
            exists = path.is_file()
        except (OSError, ValueError):  # a name that no file system allows
            exists = False
        if not exists:
            self.error(f"there is no {column} file {_shortened(str(path), 2 * _SHOWN_CHARACTERS)}")
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
    """Read a table as Excel, pandas or a text editor writes it.

    The encoding is UTF-8, UTF-16 or Windows-1252. The separator is the comma, semicolon, tab or
    bar, whichever is most frequent in the header, or that of a line ``sep=;``. Lines that start
    with ``#`` and empty rows are skipped, and so are empty columns and the index of pandas. Column
    names are converted to lower case.

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
    text = read_table_text(errors.path, errors.hint) if errors.text is None else errors.text
    lines = _Lines(text)
    header: list[str] = []
    rows = []
    for cells in lines.records(errors):
        if not any(cells):
            continue
        if not header:
            header = [_column_name(original_cell(cell)) for cell in cells]
            _check_header(header, lines.line, required, allowed, errors)
            errors.raise_if_any()
            continue
        given = len(cells)
        while given > len(header) and not cells[given - 1]:
            given -= 1
        if given > len(header):
            message = f"expected at most {len(header)} cells (header), got {given}"
            errors.add(lines.line, message)
        values = ["" if cell in MISSING_CELLS else original_cell(cell) for cell in cells]
        padded = values + [""] * len(header)
        named = dict(zip(header, padded, strict=False))
        rows.append(TableRow(lines.line, named, errors, lines.separator != ","))
    if not rows:
        errors.add(1, "the table has no rows")
    return rows


class _Lines:
    """The lines of a table, as records of cells.

    Attributes
    ----------
    separator
        Character between two cells.
    line
        Number of the last line of the current record, from 1.
    """

    def __init__(self, text: str) -> None:
        self._lines = list(io.StringIO(text, newline=""))
        contents = [line.strip() for line in self._lines]
        first = next((line for line in contents if line and not line.startswith("#")), "")
        stated = re.fullmatch(r"sep=(.)", first, re.IGNORECASE)
        if stated:  # Excel's declaration, on the first line
            self._lines[contents.index(first)] = "\n"
        frequent = max(_SEPARATORS, key=first.count) if first else ","
        self.separator = stated[1] if stated else frequent
        self.line = 0
        self._starts_record = True

    def records(self, errors: TableErrors) -> Iterator[list[str]]:
        """Yield the cells of each record without surrounding spaces; empty ones of comments."""
        reader = csv.reader(self._without_comments(), delimiter=self.separator)
        while True:
            self._starts_record = True
            try:
                cells = next(reader, None)
            except csv.Error as error:
                self._add_csv_error(errors, error)
                return
            if cells is None:
                return
            yield [cell.strip() for cell in cells]

    def _without_comments(self) -> Iterator[str]:
        for number, line in enumerate(self._lines, start=1):
            self.line = number
            # a line inside of a quoted cell is no comment
            is_comment = self._starts_record and line.lstrip().startswith("#")
            self._starts_record = False
            yield "\n" if is_comment else line

    def _add_csv_error(self, errors: TableErrors, error: csv.Error) -> None:
        message = str(error)
        if "field larger" in message:
            message = f"a cell has more than {csv.field_size_limit():,} characters"
        errors.add(self.line, message)
        errors.raise_if_any()


def _column_name(cell: str) -> str:
    """Return the name of a column; empty for the index that pandas writes."""
    name = cell.lower()
    return "" if re.fullmatch(r"unnamed: \d+", name) else name


def quoted(text: str) -> str:
    """Return a cell for a message, in quotes and shortened."""
    return repr(_shortened(text, _SHOWN_CHARACTERS))


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _check_header(
    header: list[str],
    line: int,
    required: Sequence[tuple[str, ...]],
    allowed: Collection[str] | None,
    errors: TableErrors,
) -> None:
    for name in header:
        shown = _shortened(name, _SHOWN_CHARACTERS)
        if allowed is not None and name and name not in allowed and not name.startswith("#"):
            similar = difflib.get_close_matches(name, allowed, 1)
            suggestion = f"; did you mean {similar[0]}?" if similar else ""
            errors.add(line, f"unknown column {shown}{suggestion}")
        if name and header.count(name) > 1:
            errors.add(line, f"column {shown} occurs more than once")
    for names in required:
        if not set(names) & set(header):
            errors.add(line, f"column {' or '.join(names)} is missing")


def finite_number(text: str) -> float:
    """Convert a cell to a finite number in decimal notation; ``1_0`` and ``inf`` are none."""
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
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
    """Convert a cell to an integer from 1 to `MAX_INTEGER`; ``2.0``, as pandas writes it, is 2."""
    match = _INTEGER.fullmatch(text)
    digits = match[1].lstrip("0") if match else ""
    if not digits or len(digits) > len(str(MAX_INTEGER)) or int(digits) > MAX_INTEGER:
        raise ValueError(text)
    return int(digits)
