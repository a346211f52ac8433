"""What every command shares: its options, its settings and its console, written once.

A command is a small function ``(call, ...)`` under `command`. Flags that stand for settings take
everything but their name (choices, help, default, check) from the settings schema.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from milmer_cli.cli.console import Console, Result, silence_libraries
from milmer_cli.errors import InputError
from milmer_cli.progress import Progress
from milmer_cli.settings.describe import default, doc, known_keys
from milmer_cli.settings.load import Asked, Preset, ask, resolve
from milmer_cli.settings.published import published_notes
from milmer_cli.settings.schema import Settings
from milmer_cli.training.launch import is_main

SETTINGS_PANEL = "Settings of this command"
SHARED_PANEL = "Every command"
SOURCES_OF_SETTINGS = ("preset", "settings_file", "overrides")
MODEL_FLAGS = {
    "--fusion": "model.fusion",
    "--selection": "model.selection",
    "--swin": "model.backbone",
    "--modalities": "model.modalities",
    "--participants": "data.participants",
}
"""Flags of every command that trains a model."""


@dataclass(frozen=True)
class Call:
    """One call of a command: the checked settings, where they came from, and the console."""

    settings: Settings
    asked: Mapping[str, Asked]
    console: Console

    @property
    def progress(self) -> Progress:
        """Where the stage tells how far it is."""
        return self.console.progress

    def show(self, result: Result) -> None:
        """Write the result to stdout; of several processes one does."""
        if is_main():
            self.console.show(result)


def command(
    flags: Mapping[str, str] | None = None, any_setting: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a function ``(call, ...)`` the options every command has, and flags for settings.

    Parameters
    ----------
    flags
        Name of the flag -> the setting it stands for, as in ``{"--source": "data.source"}``.
    any_setting
        Whether the command honours every setting; if not, it takes no preset, settings file,
        ``--set`` or ``--device``.
    """
    own_flags = dict(flags or {})
    keys = {**own_flags, **({"--device": "run.device"} if any_setting else {}), "--seed": "seed"}
    names = {flag: flag.removeprefix("--").replace("-", "_") for flag in keys}
    left_out = {"given"} if any_setting else {"given", *SOURCES_OF_SETTINGS}
    shared = [p for p in _parameters(start) if p.name not in left_out]

    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**values: Any) -> None:
            answers = {flag: (key, values.pop(names[flag])) for flag, key in keys.items()}
            given = {flag: answer for flag, answer in answers.items() if answer[1] is not None}
            with start(given, **{p.name: values.pop(p.name) for p in shared}) as call:
                function(call, **values)

        parameters = [
            *_parameters(function)[1:],
            *(_flag(names[flag], flag, key, own=flag in own_flags) for flag, key in keys.items()),
            *shared,
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return wrap


@contextlib.contextmanager
def start(
    given: Mapping[str, tuple[str, Any]],
    preset: Annotated[
        Preset, typer.Option(help="Settings to start from.", rich_help_panel=SHARED_PANEL)
    ] = "default",
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE.yaml",
            help="Settings file (see milmer settings init).",
            rich_help_panel=SHARED_PANEL,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="One setting, over the file; repeatable.",
            rich_help_panel=SHARED_PANEL,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=SHARED_PANEL),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Only warnings.", rich_help_panel=SHARED_PANEL)
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="Details, messages of libraries, and tracebacks.",
            rich_help_panel=SHARED_PANEL,
        ),
    ] = False,
) -> Iterator[Call]:
    """Check the shared options and open the console."""
    if quiet and verbose:
        raise InputError("--quiet and --verbose exclude each other.", "Leave one of them out.")
    if not verbose:
        silence_libraries()
    asked = ask(preset, settings_file, overrides or (), given)
    settings = resolve(asked)
    with Console(as_json, quiet or not is_main(), verbose) as console:
        for note in published_notes(settings):
            console.progress.note(note, "warning")
        yield Call(settings, asked, console)


def writable(out: Path) -> Path:
    """Refuse an output folder that cannot be written, before any work begins."""
    existing = out.absolute()
    while not existing.exists() and not existing.is_symlink():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(
            f"The output folder {out} cannot be made: {existing} is not a folder.",
            "Give another folder with --out.",
        )
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise InputError(
            f"The output folder {out} cannot be written: {error.strerror or error}.",
            "Give another folder with --out.",
        ) from error
    return out


def out_option(help_text: str) -> Any:
    """Declare ``--out``: a folder that can be written."""
    return typer.Option("--out", metavar="DIR", help=help_text, callback=writable)


def resume_option() -> Any:
    """Declare ``--resume``."""
    return typer.Option("--resume", help="Go on with what was interrupted in --out.")


def resumable(out: Path, resume: bool) -> None:
    """Refuse to resume what was never begun."""
    if resume and not out.is_dir():
        raise InputError(f"There is nothing to resume in {out}.", "Name its folder with --out.")


def folder_option(name: str, help_text: str) -> Any:
    """Declare an option for a folder that must be there."""
    return typer.Option(name, metavar="DIR", help=help_text, exists=True, file_okay=False)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]


def _flag(name: str, flag: str, key: str, own: bool) -> inspect.Parameter:
    """Make the flag of one setting: choices, help, default and check are the schema's."""
    schema = known_keys()[key]
    many = schema.get("type") == "array"
    item = schema["items"] if many else schema
    choices = item.get("enum", ())
    switch = item.get("type") == "boolean"
    usual = default(key)
    if many:
        usual = ", ".join(usual)
    origin = f"Setting {key}, default {usual}." if usual != "" else f"Setting {key}."
    again = " Repeatable." if many else ""
    option = typer.Option(
        flag,
        help=f"{doc(key)}{again} {origin}".replace("[", r"\["),  # typer reads markup in help
        metavar=None if switch else "|".join(choices) or item["type"].upper(),
        autocompletion=lambda: list(choices),
        rich_help_panel=SETTINGS_PANEL if own else SHARED_PANEL,
    )
    # The value goes to the schema as it was typed: one check, one wording of mistakes.
    typed: Any = list[str] | None if many else bool | None if switch else str | None
    kind: Any = Annotated[typed, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
