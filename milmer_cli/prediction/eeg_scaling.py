"""Scale or align the EEG of a new recording as the model was trained."""

from __future__ import annotations

import numpy as np

from milmer_cli.data.eeg_transform import EegMoments, EegTransform
from milmer_cli.eeg.amplitude import recording_gain
from milmer_cli.models import MilmerModel
from milmer_cli.models.eeg_alignment import AlignmentReference
from milmer_cli.prediction.eeg_segments import EegScaling
from milmer_cli.settings.schema import ModelSettings


def eeg_scaling(settings: ModelSettings, model: MilmerModel) -> tuple[EegScaling | None, str]:
    """Return what is applied to the EEG before the model, and a sentence about it.

    Parameters
    ----------
    settings
        Section ``model`` of the run.
    model
        Contains the map of an inductive alignment.

    Returns
    -------
    tuple
        None and an empty sentence if the model reads the EEG as it is preprocessed.
    """
    method = settings.eeg_alignment
    if method == "none":
        relative = settings.eeg_amplitude != "none" and settings.eeg_amplitude_scale == "recording"
        return (_relative if relative else None), ""
    reference = getattr(model, "eeg_reference", None)
    if isinstance(reference, AlignmentReference):
        transform = EegTransform(reference.matrix.cpu().numpy(), reference.offset.cpu().numpy())
        return (lambda data, _: transform(data)), (
            f"The EEG is aligned (model.eeg_alignment={method}) with the average of the training "
            "participants."
        )
    return (lambda data, usable: EegMoments.of(data[usable]).transform(method)(data)), (
        f"The EEG is aligned (model.eeg_alignment={method}, TRANSDUCTIVE) with this recording: "
        "each prediction depends on the EEG of the whole recording."
    )


def _relative(data: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Bring a recording to a common amplitude."""
    scaled: np.ndarray = data * np.float32(recording_gain(data[usable]))
    return scaled
