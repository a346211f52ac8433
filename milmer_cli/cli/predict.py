"""``milmer predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from milmer_cli.cli.command import Call, command, folder_option, out_option
from milmer_cli.errors import InputError, MilmerError

_FILE: dict[str, Any] = {"exists": True, "dir_okay": False}


@command(flags={"--workers": "run.workers"})
def predict(
    call: Call,
    model: Annotated[Path, folder_option("--model", "The run folder of milmer train.")],
    video: Annotated[
        Path | None, typer.Argument(help="Video of the face.", show_default=False, **_FILE)
    ] = None,
    eeg: Annotated[
        Path | None,
        typer.Argument(help="EEG recording that MNE reads.", show_default=False, **_FILE),
    ] = None,
    no_video: Annotated[
        bool, typer.Option("--no-video", help="Predict from the EEG alone.")
    ] = False,
    no_eeg: Annotated[bool, typer.Option("--no-eeg", help="Predict from the video alone.")] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Many recordings, in place of VIDEO and EEG: a row each, columns video, eeg and "
            "any of name, trial, eeg_event, video_onset, eeg_onset, duration, eog.",
            **_FILE,
        ),
    ] = None,
    out: Annotated[Path, out_option("The prediction.")] = Path("prediction"),
    trial: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="DEAP: the trial of this video, found by the status codes. With --eeg-event: at "
            "which of these events the stimulus starts.",
        ),
    ] = None,
    eeg_event: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="The stimulus starts at this trigger code or annotation."
        ),
    ] = None,
    video_onset: Annotated[
        float | None, typer.Option(help="Start of the stimulus in the video, in seconds.")
    ] = None,
    eeg_onset: Annotated[
        float | None, typer.Option(help="Start of the stimulus in the EEG, in seconds.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="How much to predict, in seconds; all if not given.")
    ] = None,
    eog: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="EEG channels that show the eyes: EXG1-EXG2;EXG3-EXG4 for differences.",
            show_default=False,
        ),
    ] = "",
    align_check: Annotated[
        bool,
        typer.Option(
            "--align-check", help="Draw blinks in the video against the EEG: is the offset right?"
        ),
    ] = False,
    video_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.mp4",
            help="Write the video with face box, class, a running plot and its sound.",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Predict the emotion of every segment of a recording.

    Example:
      milmer predict s01_trial03.avi s01.bdf --model runs/first --trial 3 --out prediction

    Writes:
      prediction/report.html     one page to open
      prediction/timeline.csv    one row a segment, as soon as it is known; also as .json
    """
    times: dict[str, Any] = {
        "--trial": trial,
        "--eeg-event": eeg_event,
        "--video-onset": video_onset,
    }
    times |= {"--eeg-onset": eeg_onset, "--duration": duration, "--eog": eog or None}
    times |= {"--video-out": video_out, "--align-check": align_check or None}
    times |= {"--no-video": no_video or None, "--no-eeg": no_eeg or None}
    if manifest is not None:
        _refuse_beside_manifest({"VIDEO": video, "EEG": eeg, **times})
        from milmer_cli.stages.predict_many import predict_many

        many = predict_many(manifest, model, out, call.settings, progress=call.progress)
        call.show(many)
        if not many.complete:
            raise typer.Exit(MilmerError.exit_code)
        return
    video, eeg = _files(video, eeg, no_video, no_eeg)
    from milmer_cli.stages.predict import predict as run

    result = run(
        video,
        eeg,
        model,
        out,
        call.settings,
        trial=trial,
        eeg_event=eeg_event,
        video_onset_s=video_onset,
        eeg_onset_s=eeg_onset,
        duration_s=duration,
        eog=eog,
        align_check=align_check,
        video_out=video_out,
        progress=call.progress,
    )
    call.show(result)


def _files(
    video: Path | None, eeg: Path | None, no_video: bool, no_eeg: bool
) -> tuple[Path | None, Path | None]:
    """Tell which of the files is which: with --no-video the only one is the EEG."""
    if no_video and no_eeg:
        raise InputError("--no-video and --no-eeg leave nothing to predict from.", "Drop one.")
    if no_video:
        if video is None:
            raise InputError("--no-video needs an EEG recording.", "Name its file.")
        return None, eeg or video
    if video is None:
        raise InputError(
            "There is nothing to predict.",
            "Give VIDEO and EEG, one of them with --no-eeg or --no-video, or --manifest.",
        )
    if no_eeg:
        return video, None
    if eeg is None:
        raise InputError(
            f"Only {video} is given, and a prediction takes a video and an EEG recording.",
            "Give the other file too, or say what is absent: --no-eeg or --no-video.",
        )
    return video, eeg


def _refuse_beside_manifest(given: dict[str, Any]) -> None:
    beside = [name for name, value in given.items() if value is not None]
    if beside:
        raise InputError(
            f"{', '.join(beside)} cannot stand beside --manifest.",
            "Write it into the columns of the manifest.",
        )
