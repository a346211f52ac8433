"""CSV text whose cells no spreadsheet program evaluates as formulas.

A text cell that starts with ``=``, ``+``, ``-``, ``@``, a tab or a line break, also behind
apostrophes, gets an apostrophe in front. `original_cell` removes it, so reading our own files gives
the original text. Numbers, such as -1.5, stay as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""Beginning of a formula; the last four are the full-width forms of the signs."""
_WRITTEN = re.compile(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def neutral_cell(value: object) -> object:
    """Return a value as it is written: a text that could be a formula with an apostrophe."""
    if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value):
        return f"'{value}"
    return value


def original_cell(text: str) -> str:
    """Return the text that `neutral_cell` was given."""
    return text[1:] if _WRITTEN.match(text) else text


def write_row(file: TextIO, cells: Sequence[object]) -> None:
    """Write one row to an open file."""
    row = io.StringIO(newline="")
    # with another line end, csv would not quote a carriage return
    csv.writer(row, lineterminator="\r\n").writerow([neutral_cell(cell) for cell in cells])
    file.write(row.getvalue().removesuffix("\r\n") + "\n")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows, of which the first is usually the header, as CSV text."""
    text = io.StringIO(newline="")
    for cells in rows:
        write_row(text, cells)
    return text.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
