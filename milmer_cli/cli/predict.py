"""``milmer predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milmer_cli.cli.command import Call, command, folder_option, out_option


@command()
def predict(
    call: Call,
    video: Annotated[Path, typer.Argument(help="Video of the face.", exists=True, dir_okay=False)],
    eeg: Annotated[
        Path, typer.Argument(help="EEG recording that MNE reads.", exists=True, dir_okay=False)
    ],
    model: Annotated[Path, folder_option("--model", "The run folder of milmer train.")],
    out: Annotated[Path, out_option("The prediction.")] = Path("prediction"),
    trial: Annotated[
        int | None,
        typer.Option(min=1, help="DEAP: the trial of this video, found by the status codes."),
    ] = None,
    video_onset: Annotated[
        float | None, typer.Option(help="Start of the stimulus in the video, in seconds.")
    ] = None,
    eeg_onset: Annotated[
        float | None, typer.Option(help="Start of the stimulus in the EEG, in seconds.")
    ] = None,
) -> None:
    """Predict the emotion of every segment of a recording.

    Example:
      milmer predict s01_trial03.avi s01.bdf --model runs/first --trial 3 --out prediction

    Writes:
      prediction/report.html     one page to open
      prediction/timeline.csv    one row a segment: onset, class, probabilities; also as .json
    """
    from milmer_cli.stages.predict import predict as run

    result = run(
        video,
        eeg,
        model,
        out,
        call.settings,
        trial=trial,
        video_onset_s=video_onset,
        eeg_onset_s=eeg_onset,
        progress=call.progress,
    )
    call.show(result)
