"""``milmer train``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import (
    MODEL_FLAGS,
    Call,
    command,
    folder_option,
    resumable,
    resume_option,
    writable,
)


def _new_run() -> Path:
    return Path("runs") / time.strftime("%Y%m%d-%H%M%S")


@command(flags={**MODEL_FLAGS, "--protocol": "train.protocol"})
def train(
    call: Call,
    prepared: Annotated[Path, folder_option("--prepared", "The prepared store.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The run folder.",
            default_factory=_new_run,
            show_default="runs/DATE-TIME",
            callback=writable,
        ),
    ],
    resume: Annotated[bool, resume_option()] = False,
) -> None:
    """Train a Milmer model and score it once on the test part it never saw.

    Example:
      milmer train --prepared prepared --out runs/first --fusion cross_attention
      milmer train --prepared prepared --out runs/first --resume

    Writes:
      runs/first/model/               config.json, model.safetensors
      runs/first/metrics.json         scores of the test part, with their protocol
      runs/first/learning-curve.png   and history.csv
      runs/first/settings.yaml        resolved; settings-asked.yaml as asked
      runs/first/splits.json          which trials were in which part
    """
    from milmer_cli.stages.train import train as run

    resumable(out, resume)
    call.show(run(prepared, out, call.settings, resume=resume, progress=call.progress))
