"""``milmer settings show|schema|init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import Call, command, writable
from milmer_cli.errors import InputError
from milmer_cli.settings.describe import json_schema
from milmer_cli.settings.write import commented_yaml, dump_yaml

app = typer.Typer(help="Show, describe and write settings.")


@app.command()
@command()
def show(call: Call) -> None:
    """Show the settings that a command would work with, and which of them were asked for.

    Example:
      milmer settings show --settings my.yaml --set eeg.segment_s=2
    """
    if call.console.as_json:
        asked = {key: wish.origin for key, wish in call.asked.items()}
        call.console.document({"settings": call.settings.model_dump(mode="json"), "asked": asked})
        return
    typer.echo(dump_yaml(call.settings), nl=False)
    for key, wish in call.asked.items():
        typer.echo(f"# {key}: {wish.origin}")


@app.command()
@command()
def schema(call: Call) -> None:
    """Write the JSON Schema of a settings file, for editors that complete and check.

    Example:
      milmer settings schema > milmer.schema.json
    """
    call.console.document(json_schema())


@app.command()
@command()
def init(
    call: Call,
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("milmer.yaml"),
) -> None:
    """Write a settings file that explains every setting.

    Example:
      milmer settings init milmer.yaml
      milmer train --prepared prepared --settings milmer.yaml
    """
    if file.exists():
        raise InputError(f"{file} is there already.", "Name another file, or remove this one.")
    writable(file.parent)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(commented_yaml(call.settings), encoding="utf-8")
    if call.console.as_json:
        call.console.document({"file": str(file)})
    else:
        call.console.table([("settings", str(file))])
