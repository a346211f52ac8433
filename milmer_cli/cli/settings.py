"""``milmer settings show|schema|init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.options import CommandContext, command
from milmer_cli.errors import InputError
from milmer_cli.io import atomic_write, require_writable
from milmer_cli.json_files import json_text
from milmer_cli.settings.docs import json_schema
from milmer_cli.settings.write import commented_yaml, dump_yaml

settings = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)


@settings.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """Show, describe and write settings.

    Example:
      milmer settings show --settings my.yaml
      milmer settings init milmer.yaml
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@settings.command()
@command()
def show(context: CommandContext) -> None:
    """Show the settings that a command would use, and where each was given.

    Example:
      milmer settings show --settings my.yaml --set eeg.segment_s=2
    """
    if context.console.as_json:
        origins = {key: entry.origin for key, entry in context.given.items()}
        context.console.print_document(
            "settings-show",
            {"settings": context.settings.model_dump(mode="json"), "origins": origins},
        )
        return
    typer.echo(dump_yaml(context.settings), nl=False)
    for key, entry in context.given.items():
        typer.echo(f"# {key}: {entry.origin}")


@settings.command()
@command()
def schema(context: CommandContext) -> None:
    """Print the JSON Schema of a settings file, with which editors complete and validate it.

    Example:
      milmer settings schema > milmer.schema.json
    """
    typer.echo(json_text(json_schema()))


@settings.command()
@command()
def init(
    context: CommandContext,
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("milmer.yaml"),
) -> None:
    """Write a settings file that documents every setting.

    Example:
      milmer settings init milmer.yaml
      milmer train --prepared prepared --settings milmer.yaml
    """
    if file.exists():
        raise InputError(f"{file} already exists.", "Choose another name, or remove the file.")
    require_writable(file.parent)
    atomic_write(file, commented_yaml(context.settings))
    if context.console.as_json:
        context.console.print_document("settings-init", {"file": str(file)})
    else:
        context.console.print_rows([("settings", str(file))])
