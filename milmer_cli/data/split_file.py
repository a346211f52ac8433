"""Read and write ``splits.json``, which train and evaluate write and evaluate reads.

::

    {"format": 2, "segments": "1f0c...", "splits": [
        {"protocol": "trial", "seed": 0,
         "folds": [{"training": [0, 1, ...], "validation": [...], "test": [...]}]}]}

``segments`` is the digest of the participant, session, trial and onset of every segment; the
numbers of a fold are row numbers of that table. A file is refused for a store with other segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.split_checks import check_fold
from milmer_cli.data.splits import PROTOCOLS, Fold
from milmer_cli.errors import InputError
from milmer_cli.formats import FORMATS, write_document
from milmer_cli.json_files import read_json

if TYPE_CHECKING:
    from milmer_cli.settings.schema import Protocol

_SETS = ("training", "validation", "test")
_ADVICE = "Give a splits.json written by this version of `milmer train` or `milmer evaluate`."


@dataclass(frozen=True, eq=False)
class ProtocolFolds:
    """The folds of one protocol and seed.

    Attributes
    ----------
    protocol
        What the sets of each fold do not share.
    seed
        Seed of the assignment of groups to folds.
    folds
        The folds, as rows of the table of segments.
    """

    protocol: Protocol
    seed: int
    folds: tuple[Fold, ...]


def save_splits(path: Path, splits: Sequence[ProtocolFolds], labeled: LabeledSegments) -> None:
    """Write the folds of one or several protocols and seeds, atomically."""
    content = {
        "segments": labeled.fingerprint,
        "splits": [
            {
                "protocol": split.protocol,
                "seed": split.seed,
                "folds": [
                    {name: rows.tolist() for name, rows in fold.sets()} for fold in split.folds
                ],
            }
            for split in splits
        ],
    }
    write_document(path, "splits", content, indent=None)


def load_splits(path: Path, labeled: LabeledSegments) -> list[ProtocolFolds]:
    """Read a splits file, and check every fold against the segments.

    Parameters
    ----------
    path
        A file written by `save_splits`.
    labeled
        The segments that the folds index.

    Raises
    ------
    InputError
        If the file is invalid, or was made for other segments or other labels.
    MilmerError
        If a fold violates its protocol.
    """
    content = _read(path)
    if content["segments"] != labeled.fingerprint:
        raise InputError(
            f"{path} was made for other segments: expected fingerprint {labeled.fingerprint}, got "
            f"{content['segments']}.",
            "Use the store and the participants that the file was made from, or make the splits "
            "again.",
        )
    try:
        splits = [_parse(entry) for entry in content["splits"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a valid splits file: {error!r}.", _ADVICE) from error
    for split in splits:
        if split.protocol not in PROTOCOLS:
            raise InputError(
                f"{path}: expected one of the protocols {', '.join(PROTOCOLS)}, got "
                f"{split.protocol!r}.",
                _ADVICE,
            )
        for fold in split.folds:
            _check(fold, split.protocol, labeled, path)
    return splits


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path, _ADVICE)
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMATS["splits"].version:
        raise InputError(
            f"{path} is not a valid splits file: expected format {FORMATS['splits'].version}, got "
            f"{found}.",
            _ADVICE,
        )
    if missing := {"segments", "splits"} - set(content):
        raise InputError(
            f"{path} is not a valid splits file: {' and '.join(sorted(missing))} missing.", _ADVICE
        )
    if not content["splits"]:
        raise InputError(f"{path} contains no splits.", _ADVICE)
    return dict(content)


def _parse(entry: Mapping[str, Any]) -> ProtocolFolds:
    folds = tuple(
        Fold(*(np.asarray(fold[name], dtype=np.int64) for name in _SETS)) for fold in entry["folds"]
    )
    return ProtocolFolds(entry["protocol"], int(entry["seed"]), folds)


def _check(fold: Fold, protocol: Protocol, labeled: LabeledSegments, path: Path) -> None:
    checked = fold
    if protocol == "segment" and np.array_equal(fold.validation, fold.test):
        # evaluate.select_epoch_on=test: allowed, because this protocol leaks anyway
        checked = Fold(fold.train, fold.validation[:0], fold.test)
    check_fold(checked, labeled, protocol)
    for name, rows in fold.sets():
        if np.any(labeled.labels[rows] == EXCLUDED):
            raise InputError(
                f"{path}: the {name} set contains segments that have no class with these settings.",
                "Use the data settings that the splits were made with, or make the splits again.",
            )
