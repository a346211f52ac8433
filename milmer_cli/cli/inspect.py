"""``milmer inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import Call, command, writable


@command()
def inspect(
    call: Call,
    prepared: Annotated[
        Path,
        typer.Argument(help="The prepared store.", exists=True, file_okay=False),
    ],
    participant: Annotated[
        str | None, typer.Option(help="Show a segment of each trial of this participant.")
    ] = None,
    trial: Annotated[
        int | None, typer.Option(min=1, help="Show all segments of this trial.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="The page.")] = Path(
        "inspection.html"
    ),
) -> None:
    """Show what is in a prepared store: counts, classes, coverage, faces beside their EEG.

    Look at it before training; it takes seconds.

    Example:
      milmer inspect prepared
      milmer inspect prepared --participant s01 --trial 3

    Writes:
      inspection.html    one page that needs no network
    """
    from milmer_cli.stages.inspect import inspect as run

    writable(out.parent)
    call.show(
        run(
            prepared,
            out,
            call.settings,
            participant=participant,
            trial=trial,
            progress=call.progress,
        )
    )
