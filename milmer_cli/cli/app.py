"""The list of commands, and what becomes of errors.

Exit codes: 0 done, 1 the work failed, 2 the call or the input is wrong, 130 interrupted. An error
is one sentence on stderr and, where there is something to do, a hint; --verbose adds the traceback.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from milmer_cli import __version__
from milmer_cli.cli import settings
from milmer_cli.cli.console import tell_error
from milmer_cli.cli.demo import demo
from milmer_cli.cli.evaluate import evaluate
from milmer_cli.cli.finetune_swin import finetune_swin
from milmer_cli.cli.info import info
from milmer_cli.cli.inspect import inspect
from milmer_cli.cli.predict import predict
from milmer_cli.cli.prepare import prepare
from milmer_cli.cli.train import train
from milmer_cli.errors import MilmerError

INTERRUPTED = 130

app = typer.Typer(
    name="milmer", rich_markup_mode="rich", pretty_exceptions_enable=False, no_args_is_help=False
)
for function in (demo, prepare, inspect, finetune_swin, train, evaluate, predict):
    app.command()(function)
app.add_typer(settings.app, name="settings")
app.command()(info)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"milmer {__version__}")
        raise typer.Exit


@app.callback()
def milmer(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """From EEG recordings and face videos to an emotion model people can trust.

    Start with:
      milmer demo

    On your own data:
      milmer prepare --deap-root DEAP --out prepared
      milmer train --prepared prepared --out runs/first
      milmer evaluate --prepared prepared --folds 5 --protocol trial
      milmer predict VIDEO EEG --model runs/first
    """


def main() -> None:
    """Entry point of the ``milmer`` script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; no exception leaves."""
    as_json = "--json" in arguments
    verbose = "--verbose" in arguments
    try:
        code = typer.main.get_command(app).main(
            list(arguments) or ["--help"], prog_name="milmer", standalone_mode=False
        )
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough (``| head``); what is left to flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # the last stop before the user
        if verbose:
            traceback.print_exc()
        return tell_error(*_explain(error), as_json=as_json)
    if code == INTERRUPTED:
        return tell_error("Interrupted.", "", "Interrupted", INTERRUPTED, as_json)
    return code or 0


def _explain(error: Exception) -> tuple[str, str, str, int]:
    """Message, hint, kind and exit code of whatever went wrong."""
    kind = type(error).__name__
    if isinstance(error, MilmerError):
        return error.message, error.hint, kind, error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        hint = "Make room on the disk, then run the same command again."
        return f"{error.strerror}{where}.", hint if error.errno == errno.ENOSPC else "", kind, 1
    if hasattr(error, "format_message"):  # typer's own: the call is wrong
        context = getattr(error, "ctx", None)
        hint = f"See {context.command_path} --help." if context else "See milmer --help."
        message = error.format_message().replace("Value error, ", "")
        return message, hint, "UsageError", 2
    hint = "Run again with --verbose for the traceback; if it persists, report it as a fault."
    return f"Something unexpected went wrong: {kind}: {error}", hint, kind, 1
