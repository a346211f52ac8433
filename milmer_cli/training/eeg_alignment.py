"""Save the map of the EEG channels of new participants with the model (``model.eeg_alignment``)."""

from __future__ import annotations

import torch

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.models import MilmerModel
from milmer_cli.models.eeg_alignment import AlignmentReference


def save_alignment(model: MilmerModel, labeled: LabeledSegments) -> None:
    """Copy the reference of `LabeledSegments.eeg_alignment` into a model that has a place for it.

    Parameters
    ----------
    model
        Changed in place, unless its alignment is transductive or none.
    labeled
        Segments aligned on the training set; see `data.eeg_alignment.align_eeg`.
    """
    reference = getattr(model, "eeg_reference", None)
    if isinstance(reference, AlignmentReference) and labeled.eeg_alignment is not None:
        transform = labeled.eeg_alignment.reference
        reference.set_map(torch.from_numpy(transform.matrix), torch.from_numpy(transform.offset))
