"""The store as a whole: what is in the folder, and one table of all segments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.store.atomic import written_aside
from milmer_cli.store.layout import ENDING, FORMAT, INDEX
from milmer_cli.store.participant import PreparedParticipant

_AGAIN = "Run `milmer prepare` again; what is finished is kept."


@dataclass(frozen=True)
class Segments:
    """One row a segment, in equal-length arrays.

    Attributes
    ----------
    participant
        (n,) str.
    row
        (n,) row in that participant's file.
    trial, stimulus
        (n,) order of presentation; which clip.
    onset
        (n,) seconds from the start of the stimulus.
    ratings
        (n, 4) as given; NaN unknown.
    eeg_found
        (n,) bool.
    faces_found
        (n,) share of the instances with a face.
    label
        (n,) str, name of the class; empty where the data set gives none.
    """

    participant: np.ndarray
    row: np.ndarray
    trial: np.ndarray
    stimulus: np.ndarray
    onset: np.ndarray
    ratings: np.ndarray
    eeg_found: np.ndarray
    faces_found: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: np.ndarray) -> Segments:
        """Give the rows at ``index`` (positions or a mask)."""
        return Segments(*(getattr(self, field.name)[index] for field in fields(self)))

    @property
    def trial_id(self) -> np.ndarray:
        """(n,) str, one name a trial: ``s01/03``."""
        pairs = zip(self.participant, self.trial, strict=True)
        return np.array([f"{participant}/{trial:02d}" for participant, trial in pairs], dtype=str)


class PreparedStore:
    """A prepared folder.

    Attributes
    ----------
    folder
        Where it is.
    participants
        Names, sorted.
    settings
        The settings that made it, as plain values.
    entries
        What the index says of each participant.
    """

    def __init__(self, folder: Path, index: Mapping[str, Any]) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = dict(index["settings"])
        self.entries: dict[str, dict[str, Any]] = dict(index["participants"])
        self.participants = sorted(self.entries)
        self._open: dict[str, PreparedParticipant] = {}

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a prepared folder.

        Raises
        ------
        InputError
            When there is none, it is not finished, of another format, or a file is missing or has
            another size than the index says.
        """
        folder = Path(folder)
        store = cls(folder, read_index(folder))
        for name, entry in store.entries.items():
            path = folder / entry["file"]
            if not path.is_file():
                raise InputError(f"{path}, which {INDEX} names for {name}, is missing.", _AGAIN)
            if path.stat().st_size != entry["bytes"]:
                raise InputError(f"{path} is not the file that {INDEX} describes.", _AGAIN)
        return store

    @property
    def fingerprint(self) -> str:
        """One hash of what all participants were made from."""
        what = {name: entry["fingerprints"] for name, entry in self.entries.items()}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def participant(self, name: str) -> PreparedParticipant:
        """Give one participant's segments; opened once.

        Raises
        ------
        InputError
            When there is no such participant, or the file is damaged.
        """
        if name not in self.entries:
            there = ", ".join(self.participants)
            raise InputError(f"{self.folder} has no participant {name}.", f"It has: {there}.")
        if name not in self._open:
            path = self.folder / self.entries[name]["file"]
            self._open[name] = PreparedParticipant.open(path)
        return self._open[name]

    def segments(self, participants: Sequence[str] | None = None) -> Segments:
        """Give the table of all segments, or of some participants', in the order of their names."""
        names = self.participants if participants is None else list(participants)
        parts = [_rows(self.participant(name)) for name in names]
        if not parts:
            raise InputError("No participants were asked for.", "Name at least one.")
        columns = (field.name for field in fields(Segments))
        return Segments(*(np.concatenate([getattr(p, name) for p in parts]) for name in columns))


def read_index(folder: Path) -> dict[str, Any]:
    """Read the index of a store.

    Raises
    ------
    InputError
        When there is no store, it is unfinished, unreadable or of another format.
    """
    path = folder / INDEX
    if not folder.is_dir():
        raise InputError(
            f"There is no prepared folder {folder}.", "Run `milmer prepare` to make one."
        )
    if not path.is_file():
        begun = any(folder.glob(f"*{ENDING}"))
        raise InputError(
            f"{folder} is {'not finished' if begun else 'no prepared folder'}: it has no {INDEX}.",
            _AGAIN if begun else "Run `milmer prepare` to make one.",
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        version, whole = index["format"], {"settings", "participants"} <= set(index)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", _AGAIN) from error
    if version != FORMAT:
        raise InputError(
            f"{folder} has format {version}, and this Milmer reads format {FORMAT}.",
            "Update Milmer, or prepare into another folder.",
        )
    if not whole or not index["participants"]:
        raise InputError(f"{path} names no participants.", _AGAIN)
    return dict(index)


def write_index(folder: Path, settings: Mapping[str, Any], participants: Sequence[str]) -> None:
    """Describe the finished participants' files; the last step of preparing.

    A file that has not changed since the last index keeps its hash, so nothing is read twice.

    Parameters
    ----------
    folder
        The store.
    settings
        The settings that made it, as plain values.
    participants
        Names; each has its file in the folder.
    """
    try:
        before = read_index(folder)["participants"]
    except InputError:
        before = {}
    entries = {
        name: _entry(folder / f"{name}{ENDING}", before.get(name, {})) for name in participants
    }
    index = {"format": FORMAT, "settings": settings, "participants": entries}
    with written_aside(folder / INDEX) as aside:
        aside.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(path: Path, before: Mapping[str, Any]) -> dict[str, Any]:
    with PreparedParticipant.open(path) as p:
        facts = path.stat()
        stamp = {"bytes": facts.st_size, "modified_ns": facts.st_mtime_ns}
        same = all(before.get(key) == value for key, value in stamp.items())
        return {
            "file": path.name,
            **stamp,
            "sha256": before["sha256"] if same and "sha256" in before else file_hash(path),
            "segments": len(p),
            "trials": len(np.unique(p.trial)),
            "eeg_coverage": _share(p.eeg_found),
            "face_coverage": _share(p.found),
            "detector": p.detector,
            "fingerprints": p.fingerprints,
        }


def _share(found: np.ndarray) -> float:
    return round(float(found.mean()), 6) if found.size else 0.0


def _rows(p: PreparedParticipant) -> Segments:
    n = len(p)
    return Segments(
        np.full(n, p.participant),
        np.arange(n),
        p.trial.astype(np.int64),
        p.stimulus.astype(np.int64),
        p.onset,
        p.ratings,
        p.eeg_found,
        p.found.mean(axis=1) if p.instances else np.zeros(n),
        p.label,
    )
