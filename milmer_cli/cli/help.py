"""``milmer help``."""

from __future__ import annotations

from typing import Annotated

import typer


def _command_names(context: typer.Context) -> list[str]:
    root = context.find_root()
    return root.command.list_commands(root)  # type: ignore[attr-defined]


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
