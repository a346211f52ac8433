"""Splits of DEAP that ship with the package, so that publications can refer to the same folds.

A file in ``deap_splits`` contains, for each fold, one text for each participant with one letter for
each stimulus: T for training, V for validation, E for test, ``-`` for not used. Participants saw
the stimuli in different orders, so the splits refer to stimuli and not to the numbers of trials.
The folds do not depend on ratings, and never change: a changed split gets a new name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.split_checks import check_fold
from milmer_cli.data.split_file import ProtocolFolds, load_splits
from milmer_cli.data.splits import Fold
from milmer_cli.digests import file_digest
from milmer_cli.errors import InputError, MilmerError, shorten
from milmer_cli.json_files import read_json_object

if TYPE_CHECKING:
    from milmer_cli.data.labeled_segments import LabeledSegments

FOLDER = Path(__file__).parent / "deap_splits"
SHA256: Mapping[str, str] = {
    "deap-trial-5fold": "a8b545dbe8f44b93dc4e7332822d5a363c90a491315129f04079b8a81304adce",
    "deap-participant-loo": "40d920865f56f2edb91045b323cc81719b232b14cb86d64e62ef0c6fdbd7a938",
    "deap-stimulus-5fold": "df4b9045bdb2090e85e5d3c6a1c7907b4eaa4db7fc97386fa5250baf7dc0586f",
    "deap-participant-stimulus-5fold": (
        "1a72c6e6998d6c0be2ce360fd7e474858543b321848ea5d93344bba64deb6947"
    ),
}
"""SHA-256 of the file of each split, by name."""
_KEYS = ("protocol", "description", "participants", "stimuli", "folds")
_CODES = ("T", "V", "E")


@dataclass(frozen=True, eq=False)
class NamedSplit:
    """One of the splits in `SHA256`.

    Attributes
    ----------
    name, sha256
        Name, and SHA-256 of the file.
    protocol
        What the sets of each fold do not share.
    description
        One phrase.
    participants, stimuli
        Rows and columns of the folds.
    folds
        (n_folds, n_participants, n_stimuli) codes.
    """

    name: str
    sha256: str
    protocol: str
    description: str
    participants: tuple[str, ...]
    stimuli: tuple[int, ...]
    folds: np.ndarray

    @classmethod
    def open(cls, name: str) -> NamedSplit:
        """Read a split, and verify its checksum.

        Raises
        ------
        MilmerError
            The file was changed.
        """
        path = FOLDER / f"{name}.json"
        if (found := file_digest(path)) != SHA256[name]:
            raise MilmerError(
                f"{path} was changed: expected SHA-256 {SHA256[name]}, got {found}.",
                "Install Milmer again.",
            )
        content = read_json_object(path, _KEYS)
        return cls(
            name,
            found,
            content["protocol"],
            content["description"],
            tuple(content["participants"]),
            tuple(content["stimuli"]),
            np.array([[list(row) for row in fold] for fold in content["folds"]]),
        )

    @property
    def line(self) -> str:
        """Name, protocol, description and checksum in one line."""
        return f"{self.name}: {self.protocol} protocol; {self.description}; SHA-256 {self.sha256}"

    def split(self, labeled: LabeledSegments, seed: int) -> ProtocolFolds:
        """Apply the split to the segments of a store, and check every fold.

        Folds that test only participants or stimuli that the store lacks are left out.

        Parameters
        ----------
        labeled
            The segments; those without a class are in no set.
        seed
            Seed of the trainings; the folds do not depend on it.

        Raises
        ------
        InputError
            The store has other participants or stimuli than DEAP, or too few of them.
        """
        rows = np.flatnonzero(labeled.labels != EXCLUDED)
        codes = self.folds[:, *self._cells(labeled, rows)]
        folds = []
        for fold_codes in codes:
            fold = Fold(*(rows[fold_codes == code] for code in _CODES))
            if not len(fold.test):
                continue
            for name, own in fold.sets():
                if not len(own):
                    raise InputError(
                        f"{self.name}: the {name} set of a fold has no segment in this store.",
                        "Use more participants, or --protocol and --folds.",
                    )
            check_fold(fold, labeled, self.protocol)  # type: ignore[arg-type]
            folds.append(fold)
        return ProtocolFolds(self.protocol, seed, tuple(folds))  # type: ignore[arg-type]

    def _cells(self, labeled: LabeledSegments, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the participant and the stimulus of some segments as indices of the grid."""
        segments = labeled.segments
        indices = []
        for unit, known in (("participant", self.participants), ("stimulus", self.stimuli)):
            values, inverse = np.unique(getattr(segments, unit)[rows], return_inverse=True)
            if unknown := [str(value) for value in values if value not in known]:
                raise InputError(
                    f"{self.name}: expected a store of DEAP with {unit} {known[0]} to {known[-1]}, "
                    f"got {shorten(unknown)}.",
                    "Use --protocol and --folds for other data sets.",
                )
            indices.append(np.array([known.index(value) for value in values])[inverse])
        return indices[0], indices[1]


def named_splits() -> Iterator[NamedSplit]:
    """Yield all splits that ship with the package."""
    return map(NamedSplit.open, SHA256)


def open_splits(
    given: Path | str, labeled: LabeledSegments, seed: int
) -> tuple[list[ProtocolFolds], dict[str, str]]:
    """Return the folds of a named split or of a file, with its ``name`` and ``sha256``.

    Parameters
    ----------
    given
        A name in `SHA256`, or a splits.json.
    labeled
        The segments.
    seed
        Seed of the trainings with a named split; a file states its own.

    Raises
    ------
    InputError
        There is no such split, or it does not fit the segments.
    """
    if str(given) in SHA256:
        named = NamedSplit.open(str(given))
        return [named.split(labeled, seed)], {"name": named.name, "sha256": named.sha256}
    path = Path(given)
    if not path.is_file():
        raise InputError(
            f"--splits {given}: expected a splits.json or one of {', '.join(SHA256)}.",
            "milmer evaluate --list-splits describes them.",
        )
    return load_splits(path, labeled), {"name": path.name, "sha256": file_digest(path)}
