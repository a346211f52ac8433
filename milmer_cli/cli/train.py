"""``milmer train``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.options import (
    MODEL_FLAGS,
    STORE,
    CommandContext,
    check_backbone,
    check_resume,
    command,
    dry_run_option,
    prepared_option,
    restart_option,
    resume_option,
)
from milmer_cli.io import require_writable
from milmer_cli.run_log import command_line
from milmer_cli.training.distributed import is_launched, launch_processes
from milmer_cli.training.run_marker import default_run_folder

MAX_PROCESSES = 128


@command(flags={**MODEL_FLAGS, "--protocol": "train.protocol"})
def train(
    context: CommandContext,
    *,
    prepared: Annotated[Path, prepared_option()] = STORE,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Run folder.",
            default_factory=lambda: default_run_folder(command_line()),
            show_default="runs/DATE-TIME",
            callback=require_writable,
        ),
    ],
    resume: Annotated[bool, resume_option()] = False,
    restart: Annotated[bool, restart_option()] = False,
    dry_run: Annotated[
        bool, dry_run_option("Run every check, time a few steps and show the estimated cost.")
    ] = False,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=1, max=MAX_PROCESSES, help="Processes on this machine, one per GPU."
        ),
    ] = 1,
) -> None:
    """Train a Milmer model and score it once on the test set.

    If interrupted, the same command continues; --restart starts again.

    Example:
      milmer train --prepared prepared --out runs/first --fusion cross_attention
      milmer train --prepared prepared --out runs/first --restart
      milmer train --prepared prepared --dry-run

    Writes:
      runs/first/model/               bundle for predict and export, with model card
      runs/first/metrics.json         scores on the test set, with their protocol
      runs/first/learning-curve.png   and history.csv
      runs/first/settings.yaml        all settings; settings-requested.yaml: explicit ones
      runs/first/splits.json          training, validation and test set
    """
    check_resume(out, resume, restart)
    check_backbone(context.settings.model)
    if dry_run:
        from milmer_cli.stages.train import train_dry_run

        settings, progress = context.settings_for_store(), context.progress
        context.print_result(
            train_dry_run(prepared, out, settings, restart=restart, progress=progress)
        )
        return
    if processes > 1 and not is_launched():
        raise typer.Exit(launch_processes(processes, _process_arguments(sys.argv[1:], out)))

    from milmer_cli.stages.train import train as train_stage

    result = train_stage(
        prepared, out, context.settings_for_store(), restart=restart, progress=context.progress
    )
    context.print_result(result)


def _process_arguments(arguments: Sequence[str], out: Path) -> list[str]:
    """Return the arguments of each process: no ``--processes``, and the same ``--out`` for all."""
    remaining = iter(arguments)
    kept = []
    for argument in remaining:
        if argument == "--processes":
            next(remaining, None)
        elif not argument.startswith("--processes="):
            kept.append(argument)
    return [*kept, "--out", str(out)]
