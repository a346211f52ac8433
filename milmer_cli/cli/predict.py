"""``milmer predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from milmer_cli.bundle.model_names import require_model
from milmer_cli.cli.options import CommandContext, command, out_option
from milmer_cli.errors import InputError, MilmerError

if TYPE_CHECKING:
    from milmer_cli.prediction.request import Request

_EXISTING_FILE: dict[str, Any] = {"exists": True, "dir_okay": False}


@command(
    flags={
        "--workers": "run.workers",
        "--channels": "data.channels_file",
        "--eeg-unit": "data.eeg_unit",
    }
)
def predict(
    context: CommandContext,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Run folder of milmer train, bundle of milmer export (folder or .zip), "
            "hf:USER/NAME\\[@REVISION] of the Hugging Face Hub, or demo.",
            show_default=False,
        ),
    ],
    video: Annotated[
        Path | None, typer.Argument(help="Video of the face.", show_default=False, **_EXISTING_FILE)
    ] = None,
    eeg: Annotated[
        Path | None,
        typer.Argument(
            help="EEG recording in a format that MNE reads.", show_default=False, **_EXISTING_FILE
        ),
    ] = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Predict from EEG only.")] = False,
    no_eeg: Annotated[bool, typer.Option("--no-eeg", help="Predict from video only.")] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Table of several recordings, one row each, instead of VIDEO and EEG. Columns: "
            "those of `milmer prepare --manifest-template`; only video or eeg is needed.",
            **_EXISTING_FILE,
        ),
    ] = None,
    out: Annotated[Path, out_option("Folder for the prediction.")] = Path("prediction"),
    trial: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            help="DEAP: number of the trial that VIDEO shows; its onset is read from the status "
            "codes. With --eeg-event: number of the event at which the stimulus starts.",
        ),
    ] = None,
    eeg_event: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="Trigger code or annotation at which the stimulus starts."
        ),
    ] = None,
    all_events: Annotated[
        bool,
        typer.Option(
            "--all-events",
            help="Predict each occurrence of --eeg-event, with one page and one table of all. "
            "--video-onset is the start of the first one in the video.",
        ),
    ] = False,
    video_onset: Annotated[
        float | None,
        typer.Option(
            help="Stimulus onset in the video, in seconds; negative if the video starts later."
        ),
    ] = None,
    eeg_onset: Annotated[
        float | None, typer.Option(help="Stimulus onset in the EEG, in seconds.")
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(help="Duration to predict, in seconds; default: the whole recording."),
    ] = None,
    video_stream: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Number of the video stream, if VIDEO has several; default: the first one with a "
            "face.",
        ),
    ] = None,
    video_fps: Annotated[
        float | None,
        typer.Option(help="Frame rate of a VIDEO without time stamps, such as .h264 and .mjpeg."),
    ] = None,
    eog: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="EOG channels, as in EXG1-EXG2;EXG3-EXG4 for bipolar pairs.",
            show_default=False,
        ),
    ] = "",
    align_check: Annotated[
        bool,
        typer.Option(
            "--align-check", help="Compare blinks in the video and in the EEG to check the offset."
        ),
    ] = False,
    video_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.mp4",
            help="Write the video with face box, predicted class, a running plot and its sound.",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Predict the emotion of every segment of a recording.

    Example:
      milmer predict s01_trial03.avi s01.bdf --model runs/first --trial 3 --out prediction
      milmer predict face.mp4 eeg.edf --model runs/first --video-onset 2.5 --eeg-onset 10
      milmer predict session.edf --no-video --eeg-event stim --all-events --model runs/first
      milmer predict --manifest recordings.csv --model runs/first --out predictions

    Writes:
      prediction/report.html     one page to open
      prediction/timeline.csv    one row per segment, written as the prediction proceeds
      prediction/timeline.json   the same, complete
      With --manifest and --all-events, these files are in one folder per recording, beside
      summary.csv and report.html of all recordings.
    """
    require_model(model)
    if manifest is not None:
        _check_flags(
            "--manifest",
            {
                "VIDEO": video,
                "EEG": eeg,
                "--trial": trial,
                "--eeg-event": eeg_event,
                "--all-events": all_events or None,
                "--video-onset": video_onset,
                "--eeg-onset": eeg_onset,
                "--duration": duration,
                "--video-stream": video_stream,
                "--video-fps": video_fps,
                "--eog": eog or None,
                "--video-out": video_out,
                "--align-check": align_check or None,
                "--no-video": no_video or None,
                "--no-eeg": no_eeg or None,
            },
            "Use the columns of the manifest instead.",
        )
        _predict_manifest(context, manifest, model, out)
        return
    video, eeg = _assign_files(video, eeg, no_video, no_eeg)

    from milmer_cli.prediction.request import Outputs, Request
    from milmer_cli.stages.predict import predict as predict_stage

    request = Request(
        video, eeg, trial, eeg_event, video_onset, eeg_onset, duration, eog, video_stream, video_fps
    )
    if all_events:
        _check_flags(
            "--all-events",
            {
                "--trial": trial,
                "--eeg-onset": eeg_onset,
                "--video-out": video_out,
                "--align-check": align_check or None,
            },
            "They concern a single stimulus: remove them.",
        )
        _predict_events(context, request, model, out)
        return
    outputs = Outputs(out, align_check, video_out)
    result = predict_stage(request, model, outputs, context.settings, progress=context.progress)
    context.print_result(result)


def _predict_manifest(context: CommandContext, manifest: Path, model: str, out: Path) -> None:
    from milmer_cli.stages.predict_batch import predict_batch

    result = predict_batch(manifest, model, out, context.settings, progress=context.progress)
    context.print_result(result)
    if not result.complete:
        raise typer.Exit(MilmerError.exit_code)


def _predict_events(context: CommandContext, request: Request, model: str, out: Path) -> None:
    from milmer_cli.stages.predict_batch import predict_events

    result = predict_events(request, model, out, context.settings, progress=context.progress)
    context.print_result(result)
    if not result.complete:
        raise typer.Exit(MilmerError.exit_code)


def _assign_files(
    video: Path | None, eeg: Path | None, no_video: bool, no_eeg: bool
) -> tuple[Path | None, Path | None]:
    """Return video and EEG. With ``--no-video`` a single file is the EEG, though it comes first.

    Raises
    ------
    InputError
        A file is missing, or no file is left.
    """
    if no_video and no_eeg:
        raise InputError(
            "--no-video and --no-eeg cannot be combined: nothing would be left to predict from.",
            "Leave one of them out.",
        )
    if no_video:
        if video is None:
            raise InputError("--no-video: expected an EEG recording, got no file.", "Give EEG.")
        return None, eeg or video
    if video is None:
        raise InputError(
            "Expected VIDEO and EEG, got no file.",
            "Give both files, one of them with --no-eeg or --no-video, or --manifest.",
        )
    if no_eeg:
        return video, None
    if eeg is None:
        raise InputError(
            f"Expected VIDEO and EEG, got only {video}.",
            "Give the other file too, or --no-eeg or --no-video to predict without it.",
        )
    return video, eeg


def _check_flags(flag: str, values: dict[str, Any], hint: str) -> None:
    """Reject what describes a single recording next to a flag for several."""
    conflicts = [name for name, value in values.items() if value is not None]
    if conflicts:
        raise InputError(
            f"{', '.join(conflicts)} cannot be combined with {flag}.",
            hint,
        )
