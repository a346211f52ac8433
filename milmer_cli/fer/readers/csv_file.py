"""Header and rows of a CSV file, read one row at a time because FER2013 has 300 MB."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input

MAX_CELL = 2**24
"""Characters of a cell; the pixels of a face of 1000 x 1000 have 4 million."""


class Row(NamedTuple):
    """One row of a list.

    Attributes
    ----------
    line
        Its line number, from 1.
    cells
        Cells by column name; a cell that the row lacks is empty.
    is_complete
        Whether the row has a cell for each column.
    """

    line: int
    cells: dict[str, str]
    is_complete: bool


def read_header(path: Path) -> list[str]:
    """Return the column names.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return next(_read_cells(path), (1, []))[1]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows; empty lines are skipped.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    rows = _read_cells(path)
    header = next(rows, (1, []))[1]
    for line, cells in rows:
        missing = len(header) - len(cells)
        named = dict(zip(header, [*cells, *[""] * missing], strict=False))
        yield Row(line, named, is_complete=missing <= 0)


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file in UTF-8, with or without a byte order mark, or in Latin-1.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with open_input(path) as file:
            for number, line in enumerate(file):
                yield _decode(line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the file.") from error


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _read_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells; a row that is not CSV has one empty cell."""
    reader = csv.reader(read_lines(path), skipinitialspace=True)
    while True:
        try:
            cells = _next_row(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = [""]
        if cells:
            yield reader.line_num, [cell.strip() for cell in cells]


def _next_row(reader: Iterator[list[str]]) -> list[str]:
    """Read one row with the limit `MAX_CELL`, which the csv module has for all readers together."""
    earlier_limit = csv.field_size_limit(MAX_CELL)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(earlier_limit)
