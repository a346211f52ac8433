"""``milmer help``."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def _command_names(context: typer.Context) -> list[str]:
    """Return the commands that can follow the given ones; typer selects those that match."""
    group: Any = context.find_root().command
    for word in context.params.get("command") or ():
        if not hasattr(group, "commands") or word not in group.commands:
            return []
        _, group, _ = group.resolve_command(context, [word])
    return group.list_commands(context) if hasattr(group, "commands") else []


def help(  # noqa: A001 - the name of the command
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="Name of a command, as in train or settings show.", autocompletion=_command_names
        ),
    ] = None,
) -> None:
    """Show the help of a command.

    Example:
      milmer help train
      milmer help settings show
    """
    context.find_root().command.main(
        [*(command or ()), "--help"], prog_name="milmer", standalone_mode=False
    )
