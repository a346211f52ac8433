"""``milmer inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.options import CommandContext, command
from milmer_cli.io import require_writable

PAGE = "inspection.html"


@command()
def inspect(
    context: CommandContext,
    prepared: Annotated[Path, typer.Argument(help="Prepared store.", exists=True, file_okay=False)],
    participant: Annotated[
        str | None, typer.Option(help="Show one segment of each trial of this participant.")
    ] = None,
    trial: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Show all segments of this trial.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.html",
            help="Page to write.",
            show_default="inspection.html beside the store",
        ),
    ] = None,
) -> None:
    """Write a page about a prepared store: counts, classes, coverage, faces and EEG.

    Check the page before training; writing it takes seconds.

    Example:
      milmer inspect prepared
      milmer inspect prepared --participant s01 --trial 3

    Writes:
      inspection.html    one page that needs no network, beside the store
    """
    from milmer_cli.stages.inspect import inspect as inspect_stage

    page = out or prepared.parent / PAGE
    require_writable(page.parent)
    result = inspect_stage(
        prepared,
        page,
        context.settings,
        participant=participant,
        trial=trial,
        progress=context.progress,
    )
    context.print_result(result)
