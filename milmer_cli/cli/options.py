"""What all commands share: options, settings, console and checks of the output folder.

A command is a function ``(context, ...)`` decorated with `command`. Flags that stand for settings
take their choices, help, default and validation from the settings schema.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from milmer_cli.cli.console import Console, silence_libraries
from milmer_cli.cli.setting_names import complete_setting
from milmer_cli.errors import InputError
from milmer_cli.io import require_writable
from milmer_cli.progress import Progress
from milmer_cli.settings.docs import default, property_schemas, setting_doc
from milmer_cli.settings.load import GivenValue, Preset, collect, validate
from milmer_cli.settings.published_defects import published_defects
from milmer_cli.settings.schema import STORE_SECTIONS, ModelSettings, Settings
from milmer_cli.stage_result import StageResult
from milmer_cli.training.distributed import is_main_process

SETTINGS_PANEL = "Settings of this command"
SHARED_PANEL = "Options of every command"
SETTINGS_SOURCES = ("preset", "settings_file", "overrides")
STORE = Path("prepared")
"""Default folder of the prepared store in every command."""
MODEL_FLAGS = {
    "--fusion": "model.fusion",
    "--selection": "model.selection",
    "--swin": "model.backbone",
    "--modalities": "model.modalities",
    "--participants": "data.participants",
}
"""Flags of all commands that train a model."""


@dataclass(frozen=True)
class CommandContext:
    """One call of a command.

    Parameters
    ----------
    settings
        Settings of the call, validated.
    given
        The values that the user gave, with their origin, by ``section.key``.
    console
        Output for the user.
    """

    settings: Settings
    given: Mapping[str, GivenValue]
    console: Console

    @property
    def progress(self) -> Progress:
        """Progress sink for the stage."""
        return self.console.progress

    def settings_for_store(self) -> Settings:
        """Return the settings for a prepared store, whose values replace those of the preset."""
        kept = {
            key: entry
            for key, entry in self.given.items()
            if not (entry.is_preset and key.partition(".")[0] in STORE_SECTIONS)
        }
        if len(kept) < len(self.given):
            self.progress.note(
                "The preset's values of eeg and faces are not used: the store has its own."
            )
        return validate(kept)

    def print_result(self, result: StageResult) -> None:
        """Print the result to stdout; in distributed training only the main process does."""
        if is_main_process():
            self.console.print_result(result)


def command(
    flags: Mapping[str, str] | None = None, any_setting: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the shared options and flags for settings to a function ``(context, ...)``.

    Parameters
    ----------
    flags
        Name of a flag -> key of its setting, as in ``{"--source": "data.source"}``.
    any_setting
        Whether the command uses all settings. If not, it has no ``--preset``, ``--settings``,
        ``--set`` and ``--device``.
    """
    own_flags = dict(flags or {})
    keys = {**own_flags, **({"--device": "run.device"} if any_setting else {}), "--seed": "seed"}
    names = {flag: flag.removeprefix("--").replace("-", "_") for flag in keys}
    left_out = {"given"} if any_setting else {"given", *SETTINGS_SOURCES}
    shared = [p for p in _parameters(_open_context) if p.name not in left_out]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**values: Any) -> None:
            flag_values = {flag: (key, values.pop(names[flag])) for flag, key in keys.items()}
            given = {flag: entry for flag, entry in flag_values.items() if entry[1] is not None}
            with _open_context(given, **{p.name: values.pop(p.name) for p in shared}) as context:
                function(context, **values)

        parameters = [
            *_parameters(function)[1:],
            *(
                _setting_flag(names[flag], flag, key, own=flag in own_flags)
                for flag, key in keys.items()
            ),
            *shared,
        ]
        # typer builds the options from the signature and the annotations.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


@contextlib.contextmanager
def _open_context(
    given: Mapping[str, tuple[str, Any]],
    preset: Annotated[
        Preset,
        typer.Option(help="Preset on which the settings are based.", rich_help_panel=SHARED_PANEL),
    ] = "default",
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE.yaml",
            help="Settings file; see milmer settings init.",
            rich_help_panel=SHARED_PANEL,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Value of one setting; takes precedence over the file. Repeatable.",
            autocompletion=complete_setting,
            rich_help_panel=SHARED_PANEL,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON document to stdout.", rich_help_panel=SHARED_PANEL
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show only warnings.", rich_help_panel=SHARED_PANEL)
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="Show details, messages of the libraries, and tracebacks.",
            rich_help_panel=SHARED_PANEL,
        ),
    ] = False,
) -> Iterator[CommandContext]:
    """Validate the settings and open the console; the parameters are the shared options."""
    if quiet and verbose:
        raise InputError("--quiet and --verbose cannot be combined.", "Leave one of them out.")
    if not verbose:
        silence_libraries()
    values = collect(preset, settings_file, overrides or (), given)
    settings = validate(values)
    with Console(as_json, quiet or not is_main_process(), verbose) as console:
        for sentence in published_defects(settings):
            console.progress.note(sentence, "warning")
        yield CommandContext(settings, values, console)


def out_option(help_text: str) -> Any:
    """Declare ``--out``: a folder, which must be writable."""
    return typer.Option("--out", metavar="DIR", help=help_text, callback=require_writable)


def resume_option() -> Any:
    """Declare ``--resume``."""
    return typer.Option(
        "--resume", help="Require a run in --out. The same command resumes also without this flag."
    )


def restart_option() -> Any:
    """Declare ``--restart``."""
    return typer.Option(
        "--restart", help="Remove the run in --out, finished or not, and start again."
    )


def dry_run_option(help_text: str) -> Any:
    """Declare ``--dry-run``."""
    return typer.Option("--dry-run", help=f"{help_text} Write nothing.")


def check_resume(out: Path, resume: bool, restart: bool) -> None:
    """Reject ``--resume`` if there is no run folder, and together with ``--restart``.

    Raises
    ------
    InputError
        ``resume`` is set, and ``out`` does not exist or ``restart`` is set as well.
    """
    if resume and restart:
        raise InputError("--resume and --restart cannot be combined.", "Leave one of them out.")
    if resume and not out.is_dir():
        raise InputError(f"--resume: {out} does not exist.", "Give the run folder with --out.")


def check_backbone(settings: ModelSettings, image_size: int = 0) -> None:
    """Check the face backbone of a training before the slow imports of its stage.

    Parameters
    ----------
    settings
        The backbone is not checked if the model uses only the EEG.
    image_size
        Side of its images, in pixels; 0 for that of the checkpoint.
    """
    from milmer_cli.weights.local_backbones import require_backbone

    if settings.modalities != "eeg":
        require_backbone(settings.backbone, image_size)


def prepared_option(show_default: bool | str = True) -> Any:
    """Declare ``--prepared``, whose default is that of ``prepare --out``."""
    return folder_option("--prepared", "Prepared store.", show_default)


def folder_option(name: str, help_text: str, show_default: bool | str = True) -> Any:
    """Declare an option for an existing folder."""
    return typer.Option(
        name,
        metavar="DIR",
        help=help_text,
        exists=True,
        file_okay=False,
        show_default=show_default,
    )


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]


def _setting_flag(name: str, flag: str, key: str, own: bool) -> inspect.Parameter:
    """Build the flag of a setting from its schema.

    The flag accepts any text: validation and messages are those of the schema.
    """
    schema = property_schemas()[key]
    repeatable = schema.get("type") == "array"
    item = schema["items"] if repeatable else schema
    choices = item.get("enum", ())
    boolean = item.get("type") == "boolean"
    value = default(key)
    if repeatable:
        value = ", ".join(value)
    origin = f"Setting {key}, default {value}." if value != "" else f"Setting {key}."
    text = f"{setting_doc(key)}{' Repeatable.' if repeatable else ''} {origin}"
    option = typer.Option(
        flag,
        help=text.replace("[", r"\["),  # rich would read [...] as markup
        metavar=None if boolean else "|".join(choices) or item["type"].upper(),
        autocompletion=lambda: list(choices),
        rich_help_panel=SETTINGS_PANEL if own else SHARED_PANEL,
    )
    given: Any = list[str] | None if repeatable else bool | None if boolean else str | None
    annotation: Any = Annotated[given, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )
