"""Bags: what the model sees of a segment, from the store to a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.errors import MilmerError

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Modalities
    from milmer_cli.store import PreparedParticipant, PreparedStore, Segments

Bag = dict[str, torch.Tensor]
"""One item or batch: the arguments of ``MilmerModel.forward``, and ``index``."""


class Bags(Dataset[Bag]):
    """Segments of a prepared store as bags of face images beside their EEG.

    An item, without the batch axis:

    ===============  ==============================  ============================================
    ``eeg``          (channels, samples) float32     microvolts; zeros where there is no EEG
    ``eeg_found``    () bool                         whether there is
    ``faces``        (instances, h, w, 3) uint8      zeros where no face was found
    ``faces_found``  (instances,) bool               where one was: zeros elsewhere mean nothing
    ``labels``       () int64                        class
    ``index``        () int64                        row of the Segments table
    ===============  ==============================  ============================================

    Parameters
    ----------
    store
        Where EEG and faces are read from, when an item is asked for. Picklable, so that loader
        workers open files of their own.
    segments
        The table that indexes it.
    labels
        (n_segments,) classes of the whole table.
    indices
        Rows that this data set holds, in its order (a part of a `Fold`).
    modalities
        ``eeg`` leaves out both face keys and reads no image, ``face`` leaves out both EEG keys.

    Raises
    ------
    MilmerError
        A row has no class.
    """

    def __init__(
        self,
        store: PreparedStore,
        segments: Segments,
        labels: np.ndarray,
        indices: np.ndarray,
        modalities: Modalities = "both",
    ) -> None:
        self.indices = np.asarray(indices, dtype=np.int64)
        self.labels = np.asarray(labels, dtype=np.int64)
        if np.any(self.labels[self.indices] < 0):
            raise MilmerError("A segment without a class was given to a data set.")
        self._store = store
        self._segments = segments
        self._modalities = modalities
        self._open: dict[str, PreparedParticipant] = {}
        # a participant without any EEG has no channels in the store; all bags have as many
        names = np.unique(segments.participant)
        self._channels = max(len(store.participant(str(name)).channels) for name in names)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> Bag:
        index = int(self.indices[item])
        participant = self._participant(str(self._segments.participant[index]))
        row = int(self._segments.row[index])
        bag: Bag = {}
        if self._modalities != "face":
            found = bool(participant.eeg_found[row])
            # rows without EEG are NaN in the store, and NaN survives a mask that multiplies
            missing = torch.zeros(self._channels, participant.n_samples)
            bag["eeg"] = torch.from_numpy(participant.eeg[row]) if found else missing
            bag["eeg_found"] = torch.tensor(found)
        if self._modalities != "eeg":
            bag["faces"] = torch.from_numpy(participant.faces(row))
            bag["faces_found"] = torch.from_numpy(np.array(participant.found[row], dtype=bool))
        bag["labels"] = torch.tensor(self.labels[index])
        bag["index"] = torch.tensor(index)
        return bag

    def _participant(self, name: str) -> PreparedParticipant:
        if name not in self._open:
            self._open[name] = self._store.participant(name)
        return self._open[name]


def collate(bags: Sequence[Bag]) -> Bag:
    """Stack bags of one shape into a batch: every value of the result has the batch axis first."""
    return {key: torch.stack([bag[key] for bag in bags]) for key in bags[0]}
