"""``milmer finetune-swin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.options import (
    CommandContext,
    check_backbone,
    check_resume,
    command,
    dry_run_option,
    out_option,
    restart_option,
    resume_option,
)


@command(flags={"--backbone": "model.backbone", "--crop": "finetune.crop"})
def finetune_swin(
    context: CommandContext,
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="[LAYOUT=]DIR|FILE.csv",
            help="Images of facial expressions: one folder per class, FER2013, FER+, RAF-DB, "
            "AffectNet or CK+. The layout is recognized, or given as LAYOUT. Repeatable.",
        ),
    ],
    out: Annotated[Path, out_option("Folder for the fine-tuned backbone.")] = Path("swin"),
    resume: Annotated[bool, resume_option()] = False,
    restart: Annotated[bool, restart_option()] = False,
    dry_run: Annotated[
        bool, dry_run_option("Run every check, time a few steps and show the estimated cost.")
    ] = False,
) -> None:
    """Fine-tune the face backbone on images of facial expressions.

    If interrupted, the same command continues.

    Example:
      milmer finetune-swin --data FER2013 --out swin
      milmer finetune-swin --data FER2013 --dry-run
      milmer train --prepared prepared --swin swin

    Writes:
      swin/config.json, model.safetensors   the model in Hugging Face's format
      swin/metrics.json, confusion.png      scores on the test set, or the validation set if none
      swin/settings.yaml                    all settings; settings-requested.yaml: explicit ones
    """
    check_resume(out, resume, restart)
    settings, progress = context.settings, context.progress
    check_backbone(settings.model, settings.finetune.image_size)
    if dry_run:
        from milmer_cli.stages.finetune_swin import finetune_swin_dry_run

        context.print_result(
            finetune_swin_dry_run(data, out, settings, restart=restart, progress=progress)
        )
        return
    from milmer_cli.stages.finetune_swin import finetune_swin as finetune_stage

    context.print_result(finetune_stage(data, out, settings, restart=restart, progress=progress))
