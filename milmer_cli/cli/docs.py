"""``milmer docs``."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

import milmer_cli
from milmer_cli.cli.options import CommandContext, command
from milmer_cli.errors import InputError

SITE = Path(milmer_cli.__file__).parent / "site"
"""The built documentation; without a build, it contains only a note."""


@command()
def docs(
    context: CommandContext,
    path: Annotated[
        bool, typer.Option("--path", help="Print the path of the start page and open nothing.")
    ] = False,
) -> None:
    """Open the documentation of this version in the browser; it needs no network.

    Example:
      milmer docs
      milmer docs --path
    """
    page = SITE / "index.html"
    if not page.is_file():
        raise InputError(
            f"The documentation site is not built: {page} does not exist.",
            "In a clone of the repository, run pip install '.[docs]' && python docs/build.py, or "
            "read the pages in docs/.",
        )
    opened = not path and webbrowser.open(page.as_uri())
    if not path and not opened:
        context.progress.note("No browser was found: open the page yourself.", "warning")
    if context.console.as_json:
        context.console.print_document("docs", {"page": str(page), "opened": opened})
    else:
        context.console.print_rows([(str(page), "")])
