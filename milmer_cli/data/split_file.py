"""Splits on disk: readable JSON that is refused by a store with other segments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from milmer_cli.data.grouping import segment_ids
from milmer_cli.data.labels import LEFT_OUT
from milmer_cli.data.splits import PROTOCOLS, Fold, check_fold
from milmer_cli.errors import InputError

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Protocol
    from milmer_cli.store.index import Segments

FORMAT = 1


def segments_fingerprint(segments: Segments) -> str:
    """Digest of participant, trial and onset of every segment of a table, in its order."""
    return hashlib.sha256("\n".join(segment_ids(segments)).encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Splits:
    """Folds of one protocol, with what is needed to use them again.

    Attributes
    ----------
    protocol
        What the parts of each fold never share.
    seed
        What the folds were drawn from.
    folds
        Row numbers of the Segments table that ``fingerprint`` names.
    fingerprint
        `segments_fingerprint` of that table.
    """

    protocol: Protocol
    seed: int
    folds: tuple[Fold, ...]
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, as written to ``splits.json``."""
        return {
            "format": FORMAT,
            "protocol": self.protocol,
            "seed": self.seed,
            "segments": self.fingerprint,
            "folds": [{name: rows.tolist() for name, rows in f.parts()} for f in self.folds],
        }

    def save(self, path: Path) -> None:
        """Write to ``path``, whole or not at all."""
        aside = path.with_name(path.name + ".part")
        aside.write_text(json.dumps(self.to_json()), encoding="utf-8")
        aside.replace(path)

    @classmethod
    def load(
        cls,
        path: Path,
        segments: Segments,
        labels: np.ndarray | None = None,
        segment_s: float | None = None,
    ) -> Splits:
        """Read a splits file for the store that it was made for, and check every fold.

        Parameters
        ----------
        path
            A file written by `save`.
        segments
            The table it will index.
        labels
            (n_segments,) classes; a split that uses a segment without a class is refused.
        segment_s
            As in `check_fold`.

        Raises
        ------
        InputError
            The file is no splits file, or was made for other segments or classes.
        MilmerError
            A fold breaks its protocol.
        """
        return _checked(_read(path), path, segments, labels, segment_s)


def save_splits(path: Path, splits: Sequence[Splits]) -> None:
    """Write the splits of several protocols or seeds to one file, whole or not at all."""
    aside = path.with_name(path.name + ".part")
    several = {"format": FORMAT, "splits": [split.to_json() for split in splits]}
    aside.write_text(json.dumps(several), encoding="utf-8")
    aside.replace(path)


def load_splits(
    path: Path,
    segments: Segments,
    labels: np.ndarray | None = None,
    segment_s: float | None = None,
) -> list[Splits]:
    """Read a file of `save_splits` or of `Splits.save`; arguments and errors as `Splits.load`."""
    stored = _read(path)
    several = stored["splits"] if isinstance(stored.get("splits"), list) else [stored]
    if not several or not all(isinstance(one, dict) for one in several):
        raise InputError(f"{path} holds no splits.", _MAKE_AGAIN)
    return [_checked(one, path, segments, labels, segment_s) for one in several]


def _checked(
    stored: Mapping[str, Any],
    path: Path,
    segments: Segments,
    labels: np.ndarray | None,
    segment_s: float | None,
) -> Splits:
    try:
        splits = Splits(
            stored["protocol"],
            int(stored["seed"]),
            tuple(
                Fold(*(np.asarray(fold[part], dtype=np.int64) for part in _PARTS))
                for fold in stored["folds"]
            ),
            stored["segments"],
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{path} is no splits file: {problem!r}.", _MAKE_AGAIN) from problem
    if splits.protocol not in PROTOCOLS:
        raise InputError(f"{path} names the unknown protocol {splits.protocol!r}.", _MAKE_AGAIN)
    if splits.fingerprint != segments_fingerprint(segments):
        raise InputError(
            f"{path} was made for other segments than this store holds "
            f"({splits.fingerprint} against {segments_fingerprint(segments)}).",
            "Give the store that it was made from, or make the split again.",
        )
    for fold in splits.folds:
        _check(fold, segments, splits.protocol, segment_s)
        for name, rows in fold.parts():
            if labels is not None and np.any(np.asarray(labels)[rows] == LEFT_OUT):
                raise InputError(
                    f"The {name} part in {path} uses segments that have no class now.",
                    "Use the data settings that the split was made with, or make it again.",
                )
    return splits


_PARTS = ("training", "validation", "test")
_MAKE_AGAIN = "Give a splits.json that train or evaluate wrote."


def _read(path: Path) -> Mapping[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}.", _MAKE_AGAIN) from problem
    except ValueError as problem:
        raise InputError(f"{path} is not JSON.", _MAKE_AGAIN) from problem
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise InputError(f"{path} is no splits file of format {FORMAT}.", _MAKE_AGAIN)
    return stored


def _check(fold: Fold, segments: Segments, protocol: Protocol, segment_s: float | None) -> None:
    """`check_fold`; where the protocol is leaky anyway, validation may be the test part."""
    if protocol == "segment" and np.array_equal(fold.validation, fold.test):
        fold = Fold(fold.train, fold.validation[:0], fold.test)
    check_fold(fold, segments, protocol, segment_s)
