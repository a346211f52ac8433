"""``milmer prepare``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milmer_cli.cli.command import Call, command, folder_option, out_option
from milmer_cli.errors import InputError, MilmerError

if TYPE_CHECKING:
    from milmer_cli.recordings.trial import Recordings
    from milmer_cli.stages.check import CheckResult


@command(
    flags={
        "--source": "data.source",
        "--participants": "data.participants",
        "--face-detector": "faces.detector",
        "--workers": "run.workers",
        "--scheduler": "run.scheduler",
    }
)
def prepare(
    call: Call,
    deap_root: Annotated[
        Path | None, folder_option("--deap-root", "DEAP, in whatever folders it was unpacked.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", metavar="FILE.csv", help="Any recordings, one row a trial."),
    ] = None,
    manifest_template: Annotated[
        bool, typer.Option("--manifest-template", help="Print a commented manifest, and no more.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say what is there and what is missing, and no more.")
    ] = False,
    out: Annotated[Path, out_option("The prepared store.")] = Path("prepared"),
) -> None:
    """Clean the EEG, find the faces and cut both into segments.

    Doing it again continues where it stopped and redoes only what has changed.

    Example:
      milmer prepare --deap-root DEAP --check
      milmer prepare --deap-root DEAP --out prepared --participants 1,3-5 --workers 4
      milmer prepare --manifest-template > recordings.csv

    Writes:
      prepared/index.json    participants, counts, settings
      prepared/s01.h5 ...    one file a participant
      prepared/faces.csv, coverage.csv    every face image, every trial
    """
    if manifest_template:
        from milmer_cli.recordings.manifest_table import manifest_template as template

        typer.echo(template(), nl=False)
        return
    look, read = _source(call, deap_root, manifest)
    found = look()
    if check:
        if call.console.as_json:
            call.show(found)
        else:
            _tell(found, on_stderr=False)
        if not found.usable:
            raise typer.Exit(InputError.exit_code)
        return
    if not call.console.quiet:
        _tell(found, on_stderr=True)
    if not found.usable:
        lacking = "".join(f" Missing: {m.what}. {m.why}" for m in found.missing[:1])
        hint = "".join(m.fix for m in found.missing[:1])
        raise InputError(f"{found.title}: nothing can be used.{lacking}", hint)
    from milmer_cli.stages.prepare import prepare as run

    result = run(read(), out, call.settings, progress=call.progress)
    call.show(result)
    if not result.complete:
        raise typer.Exit(MilmerError.exit_code)


def _source(
    call: Call, deap_root: Path | None, manifest: Path | None
) -> tuple[Callable[[], CheckResult], Callable[[], Recordings]]:
    """Give how to look at the data set that was named, and how to read it."""
    data, settings, progress = call.settings.data, call.settings, call.progress
    if deap_root is not None and manifest is None:
        from milmer_cli.recordings.deap import DeapRecordings
        from milmer_cli.stages.check import check_deap

        return (
            partial(check_deap, deap_root, settings, progress),
            partial(DeapRecordings, deap_root, data.source, data.participants),
        )
    if manifest is not None and deap_root is None:
        from milmer_cli.recordings.manifest import ManifestRecordings
        from milmer_cli.stages.check import check_manifest

        return (
            partial(check_manifest, manifest, settings, progress),
            partial(ManifestRecordings, manifest, data.participants),
        )
    raise InputError(
        "prepare needs one of --deap-root and --manifest"
        + (", not both." if deap_root else ": nothing says where the recordings are."),
        "--deap-root DIR reads DEAP, --manifest FILE.csv any other recordings; "
        "--manifest-template prints one to start from.",
    )


def _tell(found: CheckResult, *, on_stderr: bool) -> None:
    from milmer_cli.cli.tables import draw_table

    if found.rows:
        draw_table(found.title, found.columns, found.rows, on_stderr=on_stderr)
    for label, value in found.summary():
        typer.echo(f"{label}: {value}", err=on_stderr)
