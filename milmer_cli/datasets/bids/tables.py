"""Tables of a BIDS data set: events.tsv, scans.tsv, participants.tsv, sessions.tsv."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from milmer_cli.csv_cells import neutral_cell
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.table import TableErrors, TableRow, read_table
from milmer_cli.eeg.bids_sidecars import MAX_TABLE_BYTES
from milmer_cli.errors import InputError

_HINT = "Correct the table: one row per line, cells separated by tabs, n/a for a missing value."


def read_tsv(path: Path, required: str) -> tuple[list[TableRow], TableErrors]:
    """Read a table.

    Parameters
    ----------
    path
        The table.
    required
        A column that it must have.

    Returns
    -------
    rows, errors
        The rows; the collector of errors in their cells.

    Raises
    ------
    InputError
        The file is too large or no table, lacks the column, or has a quotation mark that is not
        closed.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", _HINT) from error
    if size > MAX_TABLE_BYTES:
        raise InputError(
            f"{path} has {size / 2**20:.0f} MiB: expected at most {MAX_TABLE_BYTES // 2**20} MiB.",
            _HINT,
        )
    errors = TableErrors(path, _HINT)
    rows = read_table(errors, ((required,),))
    for row in rows:
        if any("\n" in cell or "\r" in cell for cell in row.cells.values()):
            raise InputError(
                f"{path} has a quotation mark before row {row.line} that is not closed in its "
                "cell.",
                _HINT,
            )
    if not rows:
        errors.found.clear()  # a table without rows is allowed
    return rows, errors


def report_errors(errors: TableErrors, findings: Findings) -> None:
    """Report the errors in the cells of a table."""
    for line, message in sorted(errors.found):
        findings.add(f"In {errors.path.name}, {message} ({{}}).", [f"row {line}"])


def read_names(path: Path, key: str, column: str, findings: Findings) -> dict[str, str]:
    """Read the names of participants or sessions: identifier -> name, empty if there is none.

    Parameters
    ----------
    path
        participants.tsv or sessions.tsv; it need not exist.
    key, column
        Column with the identifier, such as ``participant_id``; column with the name.
    findings
        Receives a table that cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        rows, errors = read_tsv(path, key)
    except InputError as error:
        findings.add_error(path.name, error)
        return {}
    report_errors(errors, findings)
    return {row.text(key): row.text(column) for row in rows if row.text(key)}


def tsv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as text; a cell that is missing, None or empty is n/a.

    The columns are those of all rows, in the order in which they first occur. No cell is a formula
    (see `csv_cells`).
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [row.get(name) for name in columns]
        writer.writerow(["n/a" if cell in (None, "") else neutral_cell(cell) for cell in cells])
    return text.getvalue()


def names_text(rows: Sequence[Mapping[str, object]], key: str, column: str) -> str:
    """Return a table whose column with names has only those that are no label of BIDS."""
    kept = [{**row, column: "" if row[column] == row[key] else row[column]} for row in rows]
    if not any(row[column] for row in kept):
        kept = [{name: cell for name, cell in row.items() if name != column} for row in kept]
    return tsv_text(kept)
