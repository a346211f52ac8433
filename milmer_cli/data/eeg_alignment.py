"""Align the EEG of participants (``model.eeg_alignment``), to make it comparable between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from milmer_cli.data.eeg_transform import EegAlignment, EegMoments
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.errors import MilmerError
from milmer_cli.settings.schema import ModelSettings

BATCH_SIZE = 256


def align_eeg(
    labeled: LabeledSegments, train: np.ndarray, settings: ModelSettings
) -> LabeledSegments:
    """Align the EEG that `LabeledSegments.read_eeg` returns.

    Parameters
    ----------
    labeled
        The segments.
    train
        (n,) rows of the training set. With ``eeg_alignment_scope=inductive``, no other row is read.
    settings
        ``eeg_alignment`` and ``eeg_alignment_scope`` are used.

    Raises
    ------
    MilmerError
        No segment of the training set has EEG.
    """
    if settings.eeg_alignment == "none" or settings.modalities == "face":
        return replace(labeled, eeg_alignment=None)
    segments = labeled.segments
    rows = train
    if settings.eeg_alignment_scope == "transductive":
        rows = np.arange(len(segments))
    rows = np.sort(rows[segments.eeg_found[rows]])
    moments = {
        str(name): _participant_moments(labeled, rows[segments.participant[rows] == name])
        for name in np.unique(segments.participant[rows])
    }
    if not moments:
        raise MilmerError(
            f"model.eeg_alignment={settings.eeg_alignment}: expected segments with EEG in the "
            "training set, got none.",
            "Prepare EEG, or use --set model.eeg_alignment=none.",
        )
    method = settings.eeg_alignment
    reference = EegMoments.average(list(moments.values())).transform(method)
    maps = {name: own.transform(method) for name, own in moments.items()}
    return replace(labeled, eeg_alignment=EegAlignment(method, reference, maps))


def _participant_moments(labeled: LabeledSegments, rows: np.ndarray) -> EegMoments:
    """Compute the moments of some segments of one participant, as stored."""
    segments = labeled.segments
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    with labeled.store.participant(str(segments.participant[rows[0]])) as participant:
        moments = [
            EegMoments.of(np.stack([participant.eeg[int(row)] for row in segments.row[batch]]))
            for batch in batches
        ]
    return EegMoments.average(moments, [len(batch) for batch in batches])
