"""``milmer prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from milmer_cli.cli.command import Call, command, folder_option, out_option


@command(
    flags={
        "--source": "data.source",
        "--participants": "data.participants",
        "--face-detector": "faces.detector",
        "--workers": "run.workers",
    }
)
def prepare(
    call: Call,
    deap_root: Annotated[Path, folder_option("--deap-root", "DEAP as downloaded.")],
    out: Annotated[Path, out_option("The prepared store.")] = Path("prepared"),
) -> None:
    """Clean the EEG, find the faces and cut both into segments.

    Doing it again continues where it stopped and redoes only what has changed.

    Example:
      milmer prepare --deap-root DEAP --out prepared --participants 1,3-5 --workers 4

    Writes:
      prepared/index.json    participants, counts, settings
      prepared/s01.h5 ...    one file a participant
    """
    from milmer_cli.recordings.deap import DeapRecordings
    from milmer_cli.stages.prepare import prepare as run

    data = call.settings.data
    recordings = DeapRecordings(deap_root, source=data.source, participants=data.participants)
    call.show(run(recordings, out, call.settings, progress=call.progress))
