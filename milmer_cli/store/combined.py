"""Two prepared stores as one: participants with new names, and the EEG channels of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from milmer_cli.digests import digest
from milmer_cli.eeg.channels import canonical_name
from milmer_cli.eeg.quality import EegQuality
from milmer_cli.store.index import PreparedStore
from milmer_cli.store.reader import PreparedParticipant


class CombinedStore(PreparedStore):
    """Several stores with the same settings, as if they were one.

    A participant is named after the store, as in ``deap.s01``: participants of two stores with the
    same name are different people. The folder and the settings are those of the first store.

    Parameters
    ----------
    stores
        Name of each store -> the store.
    channels
        EEG channels to use, in order; all stores have them, or have no EEG.

    Attributes
    ----------
    channels
        EEG channels of all participants.
    """

    def __init__(self, stores: Mapping[str, PreparedStore], channels: Sequence[str]) -> None:
        first = next(iter(stores.values()))
        self._stores = dict(stores)
        self._origins = {
            f"{label}.{name}": (label, name)
            for label, store in stores.items()
            for name in store.participants
        }
        entries = {
            combined: stores[label].entries[name]
            for combined, (label, name) in self._origins.items()
        }
        index = {"settings": first.settings, "participants": entries}
        super().__init__(first.folder, index, first.verify)
        self.channels = tuple(channels)

    @property
    def fingerprint(self) -> str:
        """Digest of the fingerprints of all stores, and of the channels."""
        stores = {label: store.fingerprint for label, store in self._stores.items()}
        return digest(stores, list(self.channels))

    def participants_of(self, label: str) -> list[str]:
        """Return the names of the participants of one store, in this store."""
        return [name for name in self.participants if self._origins[name][0] == label]

    def participant(self, name: str) -> PreparedParticipant:
        """Open the file of a participant; it is opened once.

        Raises
        ------
        InputError
            No store has this participant, or the file is damaged.
        """
        if name in self._origins and name not in self._opened:
            label, own = self._origins[name]
            original = self._stores[label].participant(own)  # checks its checksum
            self._opened[name] = _CombinedParticipant(original.path, name, self.channels)
        return super().participant(name)


class _CombinedParticipant(PreparedParticipant):
    """A participant with another name, and with some of the EEG channels.

    If channels are left out, the average reference of the others is computed again, without those
    that are bad in the segment. The amplitudes of ``quality`` are those before.
    """

    def __init__(self, path: Path, name: str, channels: Sequence[str]) -> None:
        super().__init__(path)
        self.participant = name
        self._picks: np.ndarray | None = None
        if not self.channels or self.channels == tuple(channels):
            return
        own = [canonical_name(channel) for channel in self.channels]
        self._picks = np.array([own.index(canonical_name(channel)) for channel in channels])
        # a bipolar channel has a reference of its own
        self._rereferenced = len(channels) < len(own) and not any("-" in c for c in self.channels)
        self.channels = tuple(channels)
        # features of this EEG are cached under its fingerprint
        self.fingerprints = {
            **self.fingerprints,
            "eeg": digest(self.fingerprints["eeg"], list(channels)),
        }
        quality = self.quality
        self.quality = EegQuality(
            quality.bad[:, self._picks],
            quality.interpolated[:, self._picks],
            quality.ptp_uv[:, self._picks],
        )

    @property
    def eeg(self) -> Any:
        """EEG, read on indexing: ``p.eeg[5]`` is (n_channels, n_samples) float32 microvolts."""
        stored = super().eeg
        if self._picks is None:
            return stored
        bad = self.quality.bad if self._rereferenced else None
        return _SelectedEeg(stored, self._picks, bad)


class _SelectedEeg:
    """Some channels of the EEG of a file, with their average reference if ``bad`` is given."""

    def __init__(self, stored: h5py.Dataset, picks: np.ndarray, bad: np.ndarray | None) -> None:
        self._stored, self._picks, self._bad = stored, picks, bad
        n_segments, _, n_samples = stored.shape
        self.shape = (n_segments, len(picks), n_samples)

    def __getitem__(self, key: Any) -> np.ndarray:
        eeg = np.asarray(self._stored[key])[..., self._picks, :]
        if self._bad is None:
            return eeg
        good = ~self._bad[key][..., None]
        total = np.where(good, eeg, 0).sum(axis=-2, keepdims=True)
        n_good = np.maximum(good.sum(axis=-2, keepdims=True), 1)
        return np.asarray(eeg - total / n_good, dtype=eeg.dtype)
