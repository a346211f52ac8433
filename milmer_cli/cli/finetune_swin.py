"""``milmer finetune-swin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import Call, command, out_option, resumable, resume_option


@command(flags={"--backbone": "model.backbone", "--crop": "finetune.crop"})
def finetune_swin(
    call: Call,
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="[KIND=]DIR|FILE.csv",
            help="Images of facial expressions: one folder a class, FER2013, FER+, RAF-DB, "
            "AffectNet or CK+, recognised by their layout or named; repeatable.",
        ),
    ],
    out: Annotated[Path, out_option("The fine-tuned Swin.")] = Path("swin"),
    resume: Annotated[bool, resume_option()] = False,
) -> None:
    """Fine-tune the Swin backbone on images of facial expressions.

    Example:
      milmer finetune-swin --data FER2013 --out swin
      milmer train --prepared prepared --swin swin

    Writes:
      swin/config.json, model.safetensors   the model, as Hugging Face's libraries read it
      swin/metrics.json, confusion.png      scores of the test part, or else the validation part
      swin/settings.yaml                    resolved; settings-asked.yaml as asked
    """
    from milmer_cli.stages.finetune_swin import finetune_swin as run

    resumable(out, resume)
    call.show(run(data, out, call.settings, resume=resume, progress=call.progress))
