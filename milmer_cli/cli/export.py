"""``milmer export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.bundle.model_names import require_model
from milmer_cli.cli.options import CommandContext, command, folder_option
from milmer_cli.errors import InputError


@command(any_setting=False)
def export(
    context: CommandContext,
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run folder of milmer train, or another model that milmer predict accepts.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR|FILE.zip", help="Folder or zip file to write.", show_default=False
        ),
    ] = None,
    push: Annotated[
        str,
        typer.Option(
            "--push",
            metavar="USER/NAME",
            help="Upload the model to this repository of the Hugging Face Hub, private by default.",
            show_default=False,
        ),
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", help="With --push: everybody can read the repository.")
    ] = False,
    evaluation: Annotated[
        Path | None,
        folder_option(
            "--evaluation",
            "Folder of milmer evaluate, whose shortcut verdict the model card states.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="With --push: list the files and their sizes, and upload nothing."
        ),
    ] = False,
) -> None:
    """Write the model of a run as a folder or zip file from which anybody can predict.

    The copy contains the weights, the preprocessing, the calibration, a model card and digests of
    all files, and no names of files or participants.

    Example:
      milmer export runs/first --to model.zip
      milmer export runs/first --to model --evaluation evaluation
      milmer export runs/first --push USER/NAME --dry-run
      milmer predict face.mp4 eeg.bdf --model model.zip

    Writes:
      model/bundle.json          preprocessing, classes, fingerprints, digests
      model/model.safetensors    weights; config.json: their configuration
      model/README.md            model card, and calibration.png
      model/metrics.json         results on the test set; sources.json: digests of the data
    """
    require_model(model)
    if (to is None) == (not push):
        raise InputError(
            "Expected either --to or --push.", "Give --to DIR, --to FILE.zip or --push USER/NAME."
        )
    if not push and (public or dry_run):
        flag = "--public" if public else "--dry-run"
        raise InputError(f"{flag} requires --push.", f"Leave out {flag}, or give --push USER/NAME.")

    from milmer_cli.stages import export as stage

    progress = context.progress
    if to is not None:
        result = stage.export(model, to, evaluation=evaluation, progress=progress)
    else:
        result = stage.push(
            model, push, public=public, dry_run=dry_run, evaluation=evaluation, progress=progress
        )
    context.print_result(result)
