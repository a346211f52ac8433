"""``milmer finetune-swin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from milmer_cli.cli.command import Call, command, folder_option, out_option


@command(flags={"--backbone": "model.backbone"})
def finetune_swin(
    call: Call,
    data: Annotated[
        Path, folder_option("--data", "Images of facial expressions, one folder a class.")
    ],
    out: Annotated[Path, out_option("The fine-tuned Swin.")] = Path("swin"),
) -> None:
    """Fine-tune the Swin backbone on images of facial expressions.

    Example:
      milmer finetune-swin --data FER2013/train --out swin
      milmer train --prepared prepared --swin swin

    Writes:
      swin/                  a Hugging Face model folder: config.json, model.safetensors
    """
    from milmer_cli.stages.finetune_swin import finetune_swin as run

    call.show(run(data, out, call.settings, progress=call.progress))
