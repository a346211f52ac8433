"""The list of commands, and how errors are reported.

The module of a command is imported when the command is called, not for ``milmer --help``.

Exit codes: 0 success, 1 the work failed, 2 the call or the input is invalid, 130 interrupted by
Ctrl-C or SIGTERM. An
error is one sentence on stderr, followed by a hint if there is something to do; ``--verbose`` adds
the traceback.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from milmer_cli import __version__
from milmer_cli.cli.completion import complete_in_bash, is_bash_completion
from milmer_cli.cli.console import print_error
from milmer_cli.cli.last_error import record_error
from milmer_cli.cli.setting_names import setting_hint
from milmer_cli.errors import MilmerError
from milmer_cli.process_end import (
    ignore_stop_signals,
    interrupted_by_sigterm,
    watch_given_parent,
)
from milmer_cli.run_log import recorded_command_line

INTERRUPTED = 130
_INTERRUPTED = (
    "Interrupted. Finished parts are kept; run the same command again to resume.",
    "",
    "Interrupted",
    INTERRUPTED,
)
_OUT_OF_MEMORY = "out of memory|can't allocate memory"
"""In the messages of torch for a GPU and for a CPU."""
_MORE_MEMORY = (
    "Run the same command again with fewer --workers, a smaller run.micro_batch_size or fewer "
    "run.dataloader_num_workers; finished parts are kept."
)

COMMANDS = {
    "demo": "Run all stages on a small synthetic data set with known truth.",
    "prepare": "Preprocess the EEG, detect the faces and cut both into segments.",
    "manifest": "Write the table of recordings that prepare and predict read.",
    "inspect": "Write a page about a prepared store: counts, classes, coverage, faces and EEG.",
    "finetune-swin": "Fine-tune the face backbone on images of facial expressions.",
    "train": "Train a Milmer model and score it once on the test set.",
    "evaluate": "Cross-validate under one or several protocols, with chance level and baselines.",
    "audit": "Check predictions of a model trained anywhere: leaks, chance, shortcuts.",
    "predict": "Predict the emotion of every segment of a recording.",
    "export": "Write the model of a run as a folder or zip file from which anybody can predict.",
    "weights": "List, download and verify the weights of face detectors and backbones.",
    "settings": "Show, describe and write settings.",
    "formats": "List the JSON documents with their versions, or print the schema of one.",
    "cite": "Show what to cite: the paper, the data set, MNE, Swin and Milmer.",
    "info": "Show versions, device, available weights and free disk space.",
    "docs": "Open the documentation of this version in the browser; it needs no network.",
    "version": "Show the version.",
    "help": "Show the help of a command.",
}
"""Name -> first line of the docstring of ``milmer_cli.cli.NAME.NAME``, "-" being "_" there."""


class _PassedTyper(Exception):  # noqa: N818 - never shown
    """Carries an error, its cause, past typer, which would replace it."""


class _LazyGroup(TyperGroup):
    """Lists `COMMANDS` without importing them, and imports the one that is called.

    Placeholders are enough for the list of commands, completion and spelling suggestions.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=text) for name, text in COMMANDS.items()}

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (EOFError, KeyboardInterrupt) as error:
            raise _PassedTyper from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else _load_command(name), rest


def _load_command(name: str) -> Any:
    identifier = name.replace("-", "_")
    loaded = getattr(import_module(f"milmer_cli.cli.{identifier}"), identifier)
    if isinstance(loaded, typer.Typer):
        return typer.main.get_group(loaded)
    app = _typer(add_completion=False)
    app.command(name)(loaded)
    return typer.main.get_command(app)


def _typer(**options: Any) -> typer.Typer:
    return typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, **options)


app = _typer(
    name="milmer", cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"milmer {__version__}")
        raise typer.Exit


@app.callback()
def milmer(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """From EEG recordings and face videos to an emotion model that can be trusted.

    Start with:
      milmer demo

    With your own data:
      milmer prepare --deap-root DEAP --out prepared
      milmer train --prepared prepared --out runs/first
      milmer evaluate --prepared prepared --folds 5 --protocol trial
      milmer predict VIDEO EEG --model runs/first
    """


def main() -> None:
    """Entry point of the ``milmer`` script."""
    if is_bash_completion():
        typer.echo(complete_in_bash(lambda: run(())), nl=False)
        return
    watch_given_parent()
    code = run(sys.argv[1:])
    if code == INTERRUPTED:
        ignore_stop_signals()  # some clusters send them again
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # Python would try again at exit, and fail with a traceback
        _discard_stdout()
        code = code or MilmerError.exit_code
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; no exception is raised."""
    with recorded_command_line(arguments), interrupted_by_sigterm():
        try:
            return _run(arguments)
        except BrokenPipeError:
            # The reader has closed the pipe, as `| head` does.
            _discard_stdout()
            return MilmerError.exit_code


def _run(arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    verbose = "--verbose" in arguments
    try:
        code = typer.main.get_command(app).main(
            [_expand_home(argument) for argument in arguments] or ["--help"],
            prog_name="milmer",
            standalone_mode=False,
        )
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as caught:
        error = (caught.__cause__ or caught) if isinstance(caught, _PassedTyper) else caught
        if isinstance(error, KeyboardInterrupt):
            return print_error(_INTERRUPTED, as_json, _notes(error))
        if verbose:
            traceback.print_exc()
        record_error(error, arguments, list(COMMANDS))
        return print_error(_describe(error, arguments), as_json, _notes(error))
    if code == INTERRUPTED:  # by the processes of a distributed training
        return print_error(_INTERRUPTED, as_json)
    return code or 0


def _expand_home(argument: str) -> str:
    """Expand ``~`` at the start of the value in ``--option=~/value``, which shells do not do."""
    option, equals, value = argument.partition("=")
    if option.startswith("--") and equals and value.startswith("~"):
        with contextlib.suppress(RuntimeError):  # there is no such user
            return f"{option}={Path(value).expanduser()}"
    return argument


def _notes(error: BaseException) -> Sequence[str]:
    """Return the messages of the command before the error, which `Console` adds to it."""
    return getattr(error, "__notes__", ())


def _discard_stdout() -> None:
    """Redirect stdout to the null device: Python flushes it at exit, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _describe(error: BaseException, arguments: Sequence[str]) -> tuple[str, str, str, int]:
    """Return message, hint, kind and exit code of an exception."""
    kind = type(error).__name__
    if isinstance(error, MilmerError):
        return error.message, error.hint, kind, error.exit_code
    if isinstance(error, MemoryError) or re.search(_OUT_OF_MEMORY, str(error)):
        return "Memory ran out.", _MORE_MEMORY, kind, MilmerError.exit_code
    if isinstance(error, RuntimeError) and "DataLoader worker" in str(error):
        message = (
            "The system ended a process that loads samples, most likely because memory ran out."
        )
        return message, _MORE_MEMORY, kind, MilmerError.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        hint = "Free some space on the disk, then run the same command again."
        return f"{error.strerror}{where}.", hint if error.errno == errno.ENOSPC else "", kind, 1
    if hasattr(error, "format_message"):  # a usage error of typer
        return _describe_usage_error(error, arguments)
    hint = "Run again with --verbose for the traceback; please report it if it persists."
    return f"Unexpected error: {kind}: {error}", hint, kind, 1


def _describe_usage_error(error: Any, arguments: Sequence[str]) -> tuple[str, str, str, int]:
    path = error.ctx.command_path if getattr(error, "ctx", None) else "milmer"
    message, hint = error.format_message().replace("Value error, ", ""), f"See {path} --help."
    if flag := getattr(error, "option_name", ""):
        command = path.rpartition(" ")[2]
        if setting := setting_hint(flag, command, arguments):
            return f"No such option: {flag}.", setting, "UsageError", 2
    return message, hint, "UsageError", 2
