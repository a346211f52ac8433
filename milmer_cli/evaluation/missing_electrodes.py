"""Predict segments of which some EEG electrodes are removed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from milmer_cli.data.dataset import Bag
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.eeg.montage import interpolation_matrix
from milmer_cli.models import MilmerModel

MASKED, INTERPOLATED = "electrodes masked", "electrodes interpolated"
"""Treatments of the removed electrodes."""
N_DRAWS = 4
"""Number of random sets of electrodes that are removed from each participant."""
MAX_FRACTION = 0.5
"""Largest fraction of the electrodes that are removed."""


@dataclass(frozen=True)
class MissingElectrodes:
    """Electrodes that are removed from the EEG of each participant.

    A participant lacks the same electrodes in all segments. The electrodes of a draw are removed in
    a random order, so that those of a smaller number are among those of a larger one.

    Attributes
    ----------
    channels
        EEG channels of the model.
    participants
        Participant of each row of the table of segments.
    seed
        Seed of the random orders.
    """

    channels: tuple[str, ...]
    participants: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, labeled: LabeledSegments, seed: int) -> MissingElectrodes | None:
        """Remove electrodes of a store; None if its rows of EEG are not electrodes."""
        names = labeled.segments.participant
        participants = [labeled.store.participant(str(name)) for name in np.unique(names)]
        largest = max(participants, key=lambda participant: len(participant.channels))
        channels = tuple(largest.channels)
        mixed = labeled.eeg_alignment is not None and labeled.eeg_alignment.method == "euclidean"
        if mixed or len(channels) < 2 or labeled.store.settings["eeg"].get("layout") == "published":
            return None
        return cls(channels, tuple(str(name) for name in names), seed)

    @property
    def n_missing(self) -> np.ndarray:
        """(n_levels,) numbers of removed electrodes: 0, 1, 2, 4, ... up to half of them."""
        return missing_levels(len(self.channels))

    def predict(self, model: MilmerModel, bags: Bag, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Predict the classes of a batch without the removed electrodes.

        Parameters
        ----------
        model
            In evaluation mode.
        bags
            Inputs of the model, with ``eeg``.
        rows
            (n,) rows of the table of segments.

        Returns
        -------
        dict
            `MASKED` and, if the electrodes have known positions, `INTERPOLATED`: (n, `N_DRAWS`,
            n_levels) int8 classes.
        """
        treatments = (MASKED, INTERPOLATED) if self._interpolates else (MASKED,)
        shape = (len(rows), N_DRAWS, len(self.n_missing))
        classes = {name: np.empty(shape, np.int8) for name in treatments}
        for values in classes.values():
            values[:, :, 0] = _predict_classes(model, bags)[:, None]
        for draw, level in np.ndindex(N_DRAWS, shape[2] - 1):
            removed, found = self._remove(bags, rows, draw, int(self.n_missing[level + 1]))
            classes[MASKED][:, draw, level + 1] = _predict_classes(
                model, {**removed, "channels_found": found}
            )
            if self._interpolates:
                classes[INTERPOLATED][:, draw, level + 1] = _predict_classes(model, removed)
        return classes

    @property
    def _interpolates(self) -> bool:
        return _matrix(self.channels, self.channels[:1]) is not None

    def _remove(
        self, bags: Bag, rows: np.ndarray, draw: int, n_missing: int
    ) -> tuple[Bag, torch.Tensor]:
        """Return the bags with interpolated electrodes, and the electrodes that remain, (n, C)."""
        missing = [
            missing_electrodes(self.channels, self.participants[row], n_missing, self.seed, draw)
            for row in rows
        ]
        eeg = bags["eeg"]
        present = torch.tensor(
            [[name not in names for name in self.channels] for names in missing], device=eeg.device
        )
        found = present & bags.get("channels_found", torch.ones_like(present))
        if not self._interpolates:
            return bags, found
        matrices = [_matrix(self.channels, names) for names in missing]
        stacked = torch.from_numpy(np.stack([matrix for matrix in matrices if matrix is not None]))
        with torch.autocast(eeg.device.type, enabled=False):
            eeg = stacked.to(eeg) @ eeg
        return {**bags, "eeg": eeg}, found


def missing_levels(n_channels: int) -> np.ndarray:
    """Return the numbers of electrodes to remove: 0 and powers of 2, up to half of them."""
    powers = 2 ** np.arange(16)
    return np.concatenate([[0], powers[powers <= MAX_FRACTION * n_channels]])


@cache
def missing_electrodes(
    channels: tuple[str, ...], participant: str, n_missing: int, seed: int, draw: int
) -> tuple[str, ...]:
    """Draw the electrodes that a participant lacks, sorted as ``channels``."""
    keys = [seed, draw, *participant.encode()]
    order = np.random.default_rng(keys).permutation(len(channels))
    return tuple(channels[index] for index in sorted(order[:n_missing]))


@cache
def _matrix(channels: tuple[str, ...], missing: tuple[str, ...]) -> np.ndarray | None:
    matrix = interpolation_matrix(channels, missing)
    return None if matrix is None else matrix.astype(np.float32)


def _predict_classes(model: MilmerModel, bags: Bag) -> np.ndarray:
    return model(**bags).logits.float().argmax(-1).cpu().numpy()
