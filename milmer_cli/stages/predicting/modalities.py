"""Which of EEG and video a model is shown."""

from __future__ import annotations

from dataclasses import replace

from milmer_cli.errors import InputError
from milmer_cli.stages.predicting.request import Request
from milmer_cli.training.runfolder import Run

BOTH, EEG, FACE = "both", "eeg", "face"


def shown_to(run: Run, request: Request) -> tuple[str, Request, list[str]]:
    """Leave out what the model does not take.

    Returns
    -------
    seen, request, notes
        ``both``, ``eeg`` or ``face``; the request without a video that is not read; what was left
        out, in words.

    Raises
    ------
    InputError
        What the model takes is absent.
    """
    taken = run.settings.model.modalities if run.channels else FACE
    if taken == EEG:
        if request.eeg is None:
            raise InputError(
                f"The model of {run.path} sees EEG only, and there is none.",
                "Give an EEG recording, or another --model.",
            )
        note = "The model sees EEG only: the video is not read."
        return EEG, replace(request, video=None), [note] if request.video else []
    if taken == FACE:
        if request.video is None:
            raise InputError(
                f"The model of {run.path} sees faces only, and there is no video.",
                "Give a video, or another --model.",
            )
        note = "The model sees faces only: of the EEG only the times are read."
        return FACE, request, [note] if request.eeg else []
    return EEG if request.video is None else FACE if request.eeg is None else BOTH, request, []


def refuse_useless(seen: str, align_check: bool, annotated: bool) -> None:
    """Refuse to be asked for what cannot be made of the modalities that are seen.

    Raises
    ------
    InputError
        Clocks are to be compared without EEG or video, or a video annotated that is not read.
    """
    if align_check and seen != BOTH:
        raise InputError(
            "--align-check compares blinks in the video with the EEG, and only one of them is "
            "read.",
            "Leave it out.",
        )
    if annotated and seen == EEG:
        raise InputError("--video-out draws on the video, and none is read.", "Leave it out.")
