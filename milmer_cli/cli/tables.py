"""Tables with columns. Loaded where one is drawn, as rich takes time to load."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

_WIDE = 200


def draw_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, on_stderr: bool
) -> None:
    """Draw a table whose last row adds up the others; numbers to the right.

    Parameters
    ----------
    title
        One line above it.
    columns, rows
        Words as they are to be shown.
    on_stderr
        Where it is no result but news on the way to one.
    """
    stream = sys.stderr if on_stderr else sys.stdout
    # what is no terminal is a file or a pipe: there a table is as wide as it is
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDE)
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, column in enumerate(columns):
        numbers = any(row[number] for row in rows) and all(
            set(row[number]) <= set("0123456789/-") for row in rows
        )
        table.add_column(column, justify="right" if numbers else "left", no_wrap=not number)
    for row in rows[:-1]:
        table.add_row(*row)
    table.add_section()
    table.add_row(*rows[-1], style="bold")
    console.print(table)
