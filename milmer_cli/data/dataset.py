"""Read segments of a prepared store as bags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from milmer_cli.data.labels import EXCLUDED
from milmer_cli.errors import MilmerError

if TYPE_CHECKING:
    from milmer_cli.data.labeled_segments import LabeledSegments
    from milmer_cli.settings.schema import Modalities
    from milmer_cli.store import PreparedParticipant

EEG_KEYS = ("eeg", "eeg_found", "channels_found")
"""Keys of a bag that are missing if the model has no EEG."""
Bag = dict[str, torch.Tensor]
"""An item or a batch: the arguments of ``MilmerModel.forward``, and ``index``."""


class BagDataset(Dataset[Bag]):
    """Segments of a prepared store as bags of face images with the EEG of the segment.

    An item is a dictionary, without the batch axis:

    ==================  ==============================  ==========================================
    ``eeg``             (n_channels, n_samples) float32 microvolts; zeros if the EEG is not found
    ``eeg_found``       () bool                         whether the segment has usable EEG
    ``channels_found``  (n_channels,) bool              whether an EEG channel is used; only if
                                                        `LabeledSegments.channels_found` is set
    ``faces``           (n_instances, h, w, 3) uint8    RGB; zeros if no face was found
    ``faces_found``     (n_instances,) bool             whether a face was found and is usable
    ``labels``          () int64                        class
    ``index``           () int64                        row of the table of segments
    ==================  ==============================  ==========================================

    Parameters
    ----------
    labeled
        The store is opened when the first item is read. The data set can be pickled, so that each
        worker of a DataLoader opens its own files.
    indices
        (n,) the rows of the table of segments that the data set contains, in order.
    modalities
        ``eeg`` omits the face keys and reads no image; ``face`` omits the EEG keys.

    Raises
    ------
    MilmerError
        If a row has no class.
    """

    def __init__(
        self, labeled: LabeledSegments, indices: np.ndarray, modalities: Modalities = "both"
    ) -> None:
        self.indices = np.asarray(indices, dtype=np.int64)
        if np.any(labeled.labels[self.indices] == EXCLUDED):
            raise MilmerError("A data set was given a segment without a class.")
        self._labeled = labeled
        self._modalities = modalities
        self._participants: dict[str, PreparedParticipant] = {}
        # a participant without EEG has no channels in the store, but all bags need equal shapes
        names = np.unique(labeled.segments.participant)
        self._n_channels = max(len(labeled.store.participant(str(n)).channels) for n in names)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> Bag:
        index = int(self.indices[item])
        segments = self._labeled.segments
        participant = self._participant(str(segments.participant[index]))
        row = int(segments.row[index])
        bag: Bag = {}
        if self._modalities != "face":
            found = bool(segments.eeg_found[index])
            # the store has NaN where EEG is missing, and NaN * 0 is NaN in a masked model
            missing = torch.zeros(self._n_channels, participant.n_samples)
            bag["eeg"] = missing
            if found:
                bag["eeg"] = torch.from_numpy(self._labeled.read_eeg(participant, row))
            bag["eeg_found"] = torch.tensor(found)
            if self._labeled.channels_found is not None:
                bag["channels_found"] = torch.from_numpy(self._labeled.channels_found[index].copy())
        if self._modalities != "eeg":
            bag["faces"] = torch.from_numpy(participant.faces(row))
            usable = segments.faces_found[index] > 0
            bag["faces_found"] = torch.from_numpy(participant.found[row].astype(bool) & usable)
        bag["labels"] = torch.tensor(int(self._labeled.labels[index]))
        bag["index"] = torch.tensor(index)
        return bag

    def _participant(self, name: str) -> PreparedParticipant:
        if name not in self._participants:
            self._participants[name] = self._labeled.store.participant(name)
        return self._participants[name]
