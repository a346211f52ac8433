"""Standardize the amplitude features of the EEG (``model.eeg_amplitude``) on the training set."""

from __future__ import annotations

import numpy as np
import torch

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.models import MilmerModel
from milmer_cli.models.eeg_amplitude import AmplitudeToken

BATCH_SIZE = 256


def standardize_amplitude(model: MilmerModel, labeled: LabeledSegments, rows: np.ndarray) -> None:
    """Set the mean and standard deviation of the amplitude features from the training set.

    Segments without EEG and channels that the model does not read are left out. The model is not
    changed if it has no amplitude features, or if no segment has EEG.

    Parameters
    ----------
    model
        Changed in place.
    labeled
        The segments.
    rows
        (n,) rows of ``labeled`` in the training set; no other row is read.
    """
    amplitude = getattr(model, "amplitude", None)
    if not isinstance(amplitude, AmplitudeToken):
        return
    segments = labeled.segments
    rows = np.sort(rows[labeled.segments.eeg_found[rows]])
    if not len(rows):
        return
    features, order = [], []
    for name in np.unique(segments.participant[rows]):
        participant = labeled.store.participant(str(name))
        own = rows[segments.participant[rows] == name]
        for start in range(0, len(own), BATCH_SIZE):
            batch = own[start : start + BATCH_SIZE]
            eeg = np.stack([labeled.read_eeg(participant, int(row)) for row in segments.row[batch]])
            with torch.no_grad():
                features.append(amplitude.features(torch.from_numpy(eeg)))
            order.append(batch)
    found = labeled.channels_found
    amplitude.standardize(
        torch.cat(features),
        None if found is None else torch.from_numpy(found[np.concatenate(order)]),
    )
