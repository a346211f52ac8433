"""``milmer weights list|fetch|verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from milmer_cli.cli.options import CommandContext, command

FLAGS = {"--weights-dir": "faces.weights_dir"}

weights = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)


@weights.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """List, download and verify the weights of face detectors and backbones.

    Only `fetch` downloads; every other command uses the files on the disk.

    Example:
      milmer weights list
      milmer weights fetch sfd
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@weights.command("list")
@command({**FLAGS, "--swin": "model.backbone"})
def list_(context: CommandContext) -> None:
    """List the weights, where they belong, and whether they are there.

    Example:
      milmer weights list
      milmer weights list --json
    """
    from milmer_cli.weights.catalog import list_weights

    context.print_result(list_weights(context.settings))


@weights.command()
@command(FLAGS)
def fetch(
    context: CommandContext,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Face detectors, or backbones on the Hugging Face Hub."
        ),
    ],
    mirror: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Download from this address instead: a folder with the files of the face "
            "detectors, or a mirror of the Hugging Face Hub.",
        ),
    ] = "",
) -> None:
    """Download weights, continue interrupted downloads, and verify the files.

    Proxies are those of the variables HTTPS_PROXY and NO_PROXY.

    Example:
      milmer weights fetch sfd yunet
      milmer weights fetch microsoft/swin-tiny-patch4-window7-224
      milmer weights fetch sfd --mirror https://mirror.example.org/weights
    """
    from milmer_cli.weights.catalog import fetch_weights

    result = fetch_weights(names, context.settings, mirror, context.progress)
    context.print_result(result)


@weights.command()
@command({**FLAGS, "--swin": "model.backbone"})
def verify(context: CommandContext) -> None:
    """Compute the checksums of all weights on the disk.

    Exit code: 1 if a file is damaged, 0 otherwise.

    Example:
      milmer weights verify
    """
    from milmer_cli.weights.catalog import list_weights

    result = list_weights(context.settings, verify=True)
    context.print_result(result)
    if not result.complete:
        raise typer.Exit(1)
