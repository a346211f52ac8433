"""``milmer export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.bundle.model_names import require_model
from milmer_cli.cli.options import CommandContext, command, folder_option
from milmer_cli.errors import InputError
from milmer_cli.io import require_writable

ONNX = "onnx"
"""Value of ``--to`` that means ONNX files; ``./onnx`` is a folder."""


@command()
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
        str,
        typer.Option(
            "--to",
            metavar="DIR|FILE.zip|onnx",
            help="Folder or zip file to write; `onnx` writes ONNX files into --out.",
            show_default=False,
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="With --to onnx: folder of the files; default: onnx."
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
      milmer export runs/first --to onnx --out first-onnx
      milmer export runs/first --push USER/NAME --dry-run
      milmer predict face.mp4 eeg.bdf --model model.zip

    Writes:
      model/bundle.json          preprocessing, classes, fingerprints, digests
      model/model.safetensors    weights; config.json: their configuration
      model/README.md            model card, and calibration.png
      model/metrics.json         results on the test set; sources.json: digests of the data
      onnx/face_encoder.onnx     with --to onnx; also classifier.onnx and onnx.json
    """
    require_model(model)
    if bool(to) == bool(push):
        raise InputError(
            "Expected either --to or --push.", "Give --to DIR, --to FILE.zip or --push USER/NAME."
        )
    if to != ONNX and out is not None:
        raise InputError("--out requires --to onnx.", "Give the folder as --to DIR.")
    if to == ONNX and evaluation is not None:
        raise InputError(
            "--evaluation cannot be combined with --to onnx, which writes no model card.",
            "Leave it out.",
        )
    if not push and (public or dry_run):
        flag = "--public" if public else "--dry-run"
        raise InputError(f"{flag} requires --push.", f"Leave out {flag}, or give --push USER/NAME.")

    from milmer_cli.stages import export as stage

    progress = context.progress
    if to == ONNX:
        folder = require_writable(out or Path(ONNX))
        result = stage.export_onnx_files(model, folder, progress=progress)
    elif to:
        result = stage.export(model, to, evaluation=evaluation, progress=progress)
    else:
        result = stage.push(
            model, push, public=public, dry_run=dry_run, evaluation=evaluation, progress=progress
        )
    context.print_result(result)
