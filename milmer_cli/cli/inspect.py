"""``milmer inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.options import CommandContext, command
from milmer_cli.errors import InputError
from milmer_cli.io import require_writable

PAGE = "inspection.html"


@command()
def inspect(
    context: CommandContext,
    path: Annotated[
        Path,
        typer.Argument(metavar="STORE|EEG", help="Prepared store, or an EEG file.", exists=True),
    ],
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

    Check the page before training; writing it takes seconds. For an EEG file, print its channels,
    sampling rate, duration and events.

    Example:
      milmer inspect prepared
      milmer inspect prepared --participant s01 --trial 3
      milmer inspect P01.edf

    Writes:
      inspection.html    one page that needs no network, beside the store; nothing for an EEG file
    """
    if path.is_file():
        if participant is not None or trial is not None:
            raise InputError(
                f"--participant and --trial select a part of a prepared store, and {path} is a "
                "file.",
                "Remove them, or give the folder of the store.",
            )
        _print_eeg_file(context, path)
        return
    from milmer_cli.stages.inspect import inspect as inspect_stage

    page = out or path.parent / PAGE
    require_writable(page.parent)
    result = inspect_stage(
        path,
        page,
        context.settings,
        participant=participant,
        trial=trial,
        progress=context.progress,
    )
    context.print_result(result)


def _print_eeg_file(context: CommandContext, path: Path) -> None:
    from milmer_cli.datasets.read_options import read_options
    from milmer_cli.inspection.eeg_file import inspect_eeg_file

    context.print_result(inspect_eeg_file(path, read_options(context.settings.data)))
