"""Tables with columns. Imported only by commands that print one, because rich is slow to import."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

_PIPE_WIDTH = 200


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, on_stderr: bool
) -> None:
    """Print a table; columns of numbers are right-aligned.

    Parameters
    ----------
    title
        Line above the table.
    columns
        Header of each column.
    rows
        Cells of each row; the last row is a total and is set off.
    on_stderr
        Print to stderr, for a table that is not the result of the command.
    """
    stream = sys.stderr if on_stderr else sys.stdout
    # Files and pipes have no width; a fixed large one keeps rows on one line.
    width = None if stream.isatty() else _PIPE_WIDTH
    console = Console(file=stream, highlight=False, width=width)
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, column in enumerate(columns):
        numeric = any(row[number] for row in rows) and all(
            set(row[number]) <= set("0123456789/-") for row in rows
        )
        table.add_column(column, justify="right" if numeric else "left", no_wrap=not number)
    for row in rows[:-1]:
        table.add_row(*row)
    table.add_section()
    table.add_row(*rows[-1], style="bold")
    console.print(table)
