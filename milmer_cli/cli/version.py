"""``milmer version``."""

from __future__ import annotations

from milmer_cli import __version__
from milmer_cli.cli.options import CommandContext, command


@command()
def version(context: CommandContext) -> None:
    """Show the version.

    Example:
      milmer version
    """
    if context.console.as_json:
        context.console.print_document("version", {"version": __version__})
    else:
        context.console.print_rows([("milmer", __version__)])
