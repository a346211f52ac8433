"""``milmer train``."""

from __future__ import annotations

import sys
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
from milmer_cli.training.launch import is_launched, launch


def _new_run() -> Path:
    return Path("runs") / time.strftime("%Y%m%d-%H%M%S")


def _for_each_process(arguments: list[str], out: Path) -> list[str]:
    """Leave out ``--processes N``, and name the one run folder for all."""
    kept = iter(arguments)
    found = []
    for argument in kept:
        if argument == "--processes":
            next(kept, None)
        elif not argument.startswith("--processes="):
            found.append(argument)
    return [*found, "--out", str(out)]


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
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Time a few steps, say what it would take, and stop."),
    ] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Processes on this machine: one a GPU.")
    ] = 1,
) -> None:
    """Train a Milmer model and score it once on the test part it never saw.

    Example:
      milmer train --prepared prepared --out runs/first --fusion cross_attention
      milmer train --prepared prepared --out runs/first --resume
      milmer train --prepared prepared --dry-run

    Writes:
      runs/first/model/               config.json, model.safetensors
      runs/first/metrics.json         scores of the test part, with their protocol
      runs/first/learning-curve.png   and history.csv
      runs/first/settings.yaml        resolved; settings-asked.yaml as asked
      runs/first/splits.json          which trials were in which part
    """
    if dry_run:
        from milmer_cli.stages.train_plan import plan_training

        call.show(plan_training(prepared, call.settings, progress=call.progress))
        return
    resumable(out, resume)
    if processes > 1 and not is_launched():
        raise typer.Exit(launch(processes, _for_each_process(sys.argv[1:], out)))

    from milmer_cli.stages.train import train as run

    call.show(run(prepared, out, call.settings, resume=resume, progress=call.progress))
