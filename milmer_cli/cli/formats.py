"""``milmer formats``."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from typing import Annotated

import typer

from milmer_cli.cli.options import CommandContext, command
from milmer_cli.errors import InputError
from milmer_cli.formats import FORMATS, Format, json_schema
from milmer_cli.json_files import json_text


def _names(incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


@command()
def formats(
    context: CommandContext,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Print the JSON Schema of this document.", autocompletion=_names
        ),
    ] = None,
) -> None:
    """List the JSON documents with their versions, or print the schema of one.

    Example:
      milmer formats
      milmer formats evaluation > evaluation.schema.json
    """
    if name is not None:
        _require_format(name)
        typer.echo(json_text(json_schema(name)))
    elif context.console.as_json:
        entries = {
            key: {**asdict(entry), "schema": json_schema(key)} for key, entry in FORMATS.items()
        }
        context.console.print_document("formats", {"formats": entries})
    else:
        context.console.print_rows([(key, _describe(entry)) for key, entry in FORMATS.items()])


def _require_format(name: str) -> None:
    if name not in FORMATS:
        nearest = difflib.get_close_matches(name, FORMATS, 1)
        raise InputError(
            f"There is no document {name}.",
            f"Did you mean {nearest[0]}?" if nearest else "milmer formats lists the names.",
        )


def _describe(entry: Format) -> str:
    places = [entry.file, f"{entry.printed} --json" if entry.printed else ""]
    oldest = f", reads {entry.oldest} to {entry.version}" if entry.oldest < entry.version else ""
    return f"version {entry.version}{oldest}: {' and '.join(filter(None, places))}"
