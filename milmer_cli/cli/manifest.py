"""``milmer manifest events|eav|mahnob|amigos|bids|to-bids``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from milmer_cli.cli.options import CommandContext, command
from milmer_cli.cli.prepare import BIDS_FLAGS, print_check
from milmer_cli.errors import InputError
from milmer_cli.io import require_writable

_EXISTING_FILE: dict[str, Any] = {"exists": True, "dir_okay": False}

manifest = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)


@manifest.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """Write the table of recordings that prepare and predict read.

    Example:
      milmer manifest events P01.edf P01.mp4 --video-onset 12.4
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@manifest.command()
@command()
def events(
    context: CommandContext,
    eeg: Annotated[
        Path,
        typer.Argument(
            help="EEG recording of a whole session, with an event at each stimulus.",
            **_EXISTING_FILE,
        ),
    ],
    video: Annotated[
        Path | None,
        typer.Argument(help="Video of the session.", show_default=False, **_EXISTING_FILE),
    ] = None,
    event: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Annotation or trigger code at which each stimulus starts; default: the only one "
            "that repeats.",
            show_default=False,
        ),
    ] = "",
    participant: Annotated[
        str,
        typer.Option(help="Name of the participant; default: that of EEG.", show_default=False),
    ] = "",
    session: Annotated[
        str, typer.Option(help="Name of the session, if there are several.", show_default=False)
    ] = "",
    video_onset: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Start of the first of these events in VIDEO, in seconds. The others follow from "
            "the EEG.",
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=86400,
            help="Duration of every stimulus, in seconds; default: those that the annotations "
            "state.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE.csv", help="Manifest to write, or to add to.", dir_okay=False
        ),
    ] = Path("recordings.csv"),
) -> None:
    """Write one manifest row per event of an EEG recording.

    Ratings, and what else no file states, are left empty; the command lists these columns. Another
    session is added to the same manifest.

    Example:
      milmer manifest events P01.edf P01.mp4 --event stim --video-onset 12.4
      milmer manifest events P02.edf P02.mp4 --event stim --video-onset 9.8

    Writes:
      recordings.csv    one row per stimulus
    """
    if video_onset is not None and video is None:
        raise InputError(
            "--video-onset requires a video, and none is given.", "Remove --video-onset."
        )
    require_writable(out.parent)

    from milmer_cli.datasets.event_manifest import EventSession, write_event_manifest
    from milmer_cli.datasets.read_options import read_options

    recorded = EventSession(eeg, video, event, participant, session, video_onset, duration)
    context.print_result(write_event_manifest(recorded, out, read_options(context.settings.data)))


_DATA_FLAGS = {
    "--participants": "data.participants",
    "--eeg-channels": "data.eeg_channels",
    "--channels": "data.channels_file",
    "--eeg-unit": "data.eeg_unit",
}
Root = Annotated[Path, typer.Argument(help="Folder of the data set.", exists=True, file_okay=False)]
Out = Annotated[
    Path, typer.Option("--out", metavar="FILE.csv", help="Manifest to write.", dir_okay=False)
]
Check = Annotated[
    bool,
    typer.Option("--check", help="Report what is present, missing and unusual; write nothing."),
]


@manifest.command()
@command(flags=_DATA_FLAGS)
def eav(
    context: CommandContext, root: Root, out: Out = Path("recordings.csv"), check: Check = False
) -> None:
    """Write the manifest of EAV.

    Example:
      milmer manifest eav EAV --check

    Writes:
      recordings.csv    one row per trial
    """
    _write_listed("eav", context, root, out, check)


@manifest.command()
@command(flags=_DATA_FLAGS)
def mahnob(
    context: CommandContext, root: Root, out: Out = Path("recordings.csv"), check: Check = False
) -> None:
    """Write the manifest of MAHNOB-HCI's emotion experiment.

    ROOT is the folder Sessions, or the folder that contains it. Files, ratings and onsets are those
    of session.xml, of the Status channel and of the gaze file.

    Example:
      milmer manifest mahnob Sessions --check

    Writes:
      recordings.csv    one row per trial
    """
    _write_listed("mahnob", context, root, out, check)


@manifest.command()
@command(flags=_DATA_FLAGS)
def amigos(
    context: CommandContext, root: Root, out: Out = Path("recordings.csv"), check: Check = False
) -> None:
    """Write the manifest of AMIGOS.

    Example:
      milmer manifest amigos AMIGOS --check

    Writes:
      recordings.csv    one row per trial
    """
    _write_listed("amigos", context, root, out, check)


@manifest.command()
@command(flags={**_DATA_FLAGS, **BIDS_FLAGS})
def bids(
    context: CommandContext, root: Root, out: Out = Path("recordings.csv"), check: Check = False
) -> None:
    """Write the manifest of an EEG-BIDS data set, with videos as in the draft BEP047.

    Example:
      milmer manifest bids ds001 --check
      milmer manifest bids ds001 --trial-type joy,fear,neutral
      milmer manifest bids ds001 --trial-type stimulus --label-column emotion

    Writes:
      recordings.csv    one row per trial
    """
    _write_listed("bids", context, root, out, check)


@manifest.command("to-bids")
@command(flags={"--participants": "data.participants"})
def to_bids(
    context: CommandContext,
    table: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Manifest.", **_EXISTING_FILE)],
    out: Annotated[Path, typer.Argument(help="Folder of the data set; must not exist.")],
    task: Annotated[
        str, typer.Option(metavar="LABEL", help="Label of the task: letters and digits.")
    ] = "emotion",
) -> None:
    """Write the data of a manifest as an EEG-BIDS data set, with videos as in the draft BEP047.

    Names and dates are kept, not anonymized. Needs the package mne-bids.

    Example:
      milmer manifest to-bids recordings.csv ds001
      milmer manifest bids ds001 --out same.csv
    """
    require_writable(out.parent)

    from milmer_cli.datasets.bids.writer import write_bids

    settings = context.settings.data
    context.print_result(write_bids(table, out, settings, task, context.progress))


def _write_listed(name: str, context: CommandContext, root: Path, out: Path, check: bool) -> None:
    """Write the manifest of a data set, or check it."""
    from milmer_cli.datasets.listing import write_listing
    from milmer_cli.datasets.open_recordings import list_dataset

    if not check:
        require_writable(out.parent)
    listing = list_dataset(name, root, context.settings.data)
    if not check:
        context.print_result(write_listing(listing, out))
        return

    from milmer_cli.preparation.input_check import check_listing

    print_check(context, check_listing(listing, context.settings, context.progress))
