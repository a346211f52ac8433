"""``milmer prepare``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milmer_cli.cli.options import (
    STORE,
    CommandContext,
    command,
    dry_run_option,
    folder_option,
    out_option,
)
from milmer_cli.errors import InputError, MilmerError

if TYPE_CHECKING:
    from milmer_cli.datasets.base import Recordings
    from milmer_cli.preparation.input_check import InputCheck
    from milmer_cli.preparation.result import PrepareDryRunResult, PrepareResult


BIDS_FLAGS = {"--trial-type": "data.trial_type", "--label-column": "data.label_column"}
"""Flags of the commands that read a BIDS data set."""


@command(
    flags={
        "--source": "data.source",
        "--participants": "data.participants",
        "--eeg-channels": "data.eeg_channels",
        "--channels": "data.channels_file",
        "--eeg-unit": "data.eeg_unit",
        "--face-detector": "faces.detector",
        "--workers": "run.workers",
        "--scheduler": "run.scheduler",
        **BIDS_FLAGS,
    }
)
def prepare(
    context: CommandContext,
    deap_root: Annotated[
        Path | None, folder_option("--deap-root", "Folder with DEAP's files, in any layout.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", metavar="FILE.csv", help="Table of other recordings, one row per trial."
        ),
    ] = None,
    eav_root: Annotated[Path | None, folder_option("--eav-root", "Folder of EAV.")] = None,
    mahnob_root: Annotated[
        Path | None, folder_option("--mahnob-root", "Folder of MAHNOB-HCI's sessions.")
    ] = None,
    amigos_root: Annotated[Path | None, folder_option("--amigos-root", "Folder of AMIGOS.")] = None,
    bids_root: Annotated[
        Path | None, folder_option("--bids-root", "Folder of a BIDS data set.")
    ] = None,
    manifest_template: Annotated[
        bool, typer.Option("--manifest-template", help="Print a commented manifest and exit.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Report available and missing recordings, then exit."),
    ] = False,
    out: Annotated[Path, out_option("Folder for the prepared store.")] = STORE,
    dry_run: Annotated[
        bool, dry_run_option("As --check, then check everything else and list the work.")
    ] = False,
) -> None:
    """Preprocess the EEG, detect the faces and cut both into segments.

    A repeated run continues an interrupted one and redoes only what has changed.

    Example:
      milmer prepare --deap-root DEAP --check
      milmer prepare --deap-root DEAP --dry-run
      milmer prepare --deap-root DEAP --out prepared --participants 1,3-5 --workers 4
      milmer prepare --manifest-template > recordings.csv

    Writes:
      prepared/index.json                 participants, counts, settings
      prepared/s01.h5 ...                 one file per participant
      prepared/coverage.csv               one row per trial: EEG, faces, why faces are missing
    """
    if manifest_template:
        from milmer_cli.datasets.manifest_template import manifest_template as template

        typer.echo(template(), nl=False)
        return
    paths = {
        "--deap-root": deap_root,
        "--manifest": manifest,
        "--eav-root": eav_root,
        "--mahnob-root": mahnob_root,
        "--amigos-root": amigos_root,
        "--bids-root": bids_root,
    }
    check_recordings, open_recordings = _data_set(context, paths)
    inventory = check_recordings()
    if check:
        print_check(context, inventory)
        if not inventory.usable:
            raise typer.Exit(InputError.exit_code)
        return
    if not context.console.quiet:
        _print_table(inventory, on_stderr=True)
    if not inventory.usable:
        missing = "".join(f" Missing: {m.what}. {m.why}" for m in inventory.missing[:1])
        hint = "".join(m.fix for m in inventory.missing[:1])
        raise InputError(f"{inventory.title}: no recording can be used.{missing}", hint)

    from milmer_cli.stages.prepare import prepare as prepare_stage
    from milmer_cli.stages.prepare import prepare_dry_run

    stage: Callable[..., PrepareResult | PrepareDryRunResult]
    stage = prepare_dry_run if dry_run else prepare_stage
    result = stage(open_recordings(), out, context.settings, progress=context.progress)
    context.print_result(result)
    if not result.complete:
        raise typer.Exit(MilmerError.exit_code)


def _data_set(
    context: CommandContext, paths: Mapping[str, Path | None]
) -> tuple[Callable[[], InputCheck], Callable[[], Recordings]]:
    """Return a function that checks the given data set, and one that opens it.

    Parameters
    ----------
    context
    paths
        Flag -> path, of which exactly one must be given.
    """
    given = [(flag, path) for flag, path in paths.items() if path is not None]
    if len(given) != 1:
        flags = list(paths)
        got = " and ".join(flag for flag, _ in given) or "none"
        raise InputError(
            f"Expected one of {', '.join(flags[:-1])} and {flags[-1]}, got {got}.",
            "--deap-root DIR reads DEAP, --manifest FILE.csv any other recordings; "
            "--manifest-template prints a manifest to start from.",
        )
    (flag, path), settings, progress = given[0], context.settings, context.progress

    from milmer_cli.datasets.open_recordings import list_dataset, open_listing, open_recordings
    from milmer_cli.preparation.deap_check import check_deap
    from milmer_cli.preparation.input_check import check_listing, check_manifest

    if flag in ("--deap-root", "--manifest"):
        check = check_deap if flag == "--deap-root" else check_manifest
        return (
            partial(check, path, settings, progress),
            partial(open_recordings, path, settings.data),
        )
    listing = list_dataset(flag.removeprefix("--").removesuffix("-root"), path, settings.data)
    return (
        partial(check_listing, listing, settings, progress),
        partial(open_listing, listing, settings.data),
    )


def print_check(context: CommandContext, inventory: InputCheck) -> None:
    """Print the result of ``--check``."""
    if context.console.as_json:
        context.print_result(inventory)
    else:
        _print_table(inventory, on_stderr=False)


def _print_table(inventory: InputCheck, *, on_stderr: bool) -> None:
    from milmer_cli.cli.tables import print_table

    if inventory.rows:
        print_table(inventory.title, inventory.columns, inventory.rows, on_stderr=on_stderr)
    for label, value in inventory.summary():
        typer.echo(f"{label}: {value}", err=on_stderr)
