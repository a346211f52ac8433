"""Which of EEG and video a model receives in a prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from milmer_cli.bundle.contents import Bundle
from milmer_cli.errors import InputError
from milmer_cli.prediction.request import Outputs, Request

Modalities = Literal["both", "eeg", "face"]
"""As ``model.modalities``."""


def select_modalities(bundle: Bundle, request: Request) -> tuple[Modalities, Request, list[str]]:
    """Determine the modalities that are both given and accepted by the model.

    Returns
    -------
    modalities
        What the model receives.
    request
        The request without a video that is not read.
    notes
        One sentence about a file that is ignored.

    Raises
    ------
    InputError
        The only modality of the model is not given.
    """
    accepted = bundle.settings.model.modalities if bundle.channels else "face"
    if accepted == "eeg":
        if request.eeg is None:
            raise InputError(
                f"The model of {bundle.name} uses EEG only, and no EEG recording is given.",
                "Give an EEG recording, or another --model.",
            )
        note = "The model uses EEG only: the video is ignored."
        return "eeg", replace(request, video=None), [note] if request.video else []
    if accepted == "face":
        if request.video is None:
            raise InputError(
                f"The model of {bundle.name} uses faces only, and no video is given.",
                "Give a video, or another --model.",
            )
        note = "The model uses faces only: the EEG is read only to locate the stimulus."
        return "face", request, [note] if request.eeg else []
    if request.video is None:
        return "eeg", request, []
    return "face" if request.eeg is None else "both", request, []


def require_modalities(modalities: Modalities, outputs: Outputs) -> None:
    """Check that the requested outputs can be made from the modalities.

    Raises
    ------
    InputError
        The synchronization check lacks EEG or video, or the annotated video has no video.
    """
    if outputs.align_check and modalities != "both":
        raise InputError(
            "--align-check compares blinks in the video with the EEG, and only one of the two is "
            "used.",
            "Remove --align-check.",
        )
    if outputs.video_out is not None and modalities == "eeg":
        raise InputError(
            "--video-out annotates the video, and no video is used.", "Remove --video-out."
        )
