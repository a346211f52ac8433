"""The store as a whole: its index and the table of all segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from milmer_cli.digests import digest, file_digest
from milmer_cli.errors import InputError, shorten
from milmer_cli.formats import write_document
from milmer_cli.integrity import file_checksum
from milmer_cli.json_files import read_json
from milmer_cli.store.checksums import (
    CHECKSUM,
    forget_checksums,
    is_readable,
    written_checksums,
)
from milmer_cli.store.reader import PreparedParticipant
from milmer_cli.store.schema import (
    FORMAT_VERSION,
    INDEX_FILE,
    PARTICIPANT_SUFFIX,
    READABLE_VERSIONS,
)
from milmer_cli.store.segments import Segments

if TYPE_CHECKING:
    from pandas import DataFrame

_PREPARE_AGAIN = "Run `milmer prepare` again; finished parts are kept."


class PreparedStore:
    """A prepared store.

    Attributes
    ----------
    folder
        Folder of the store.
    participants
        Names of the participants, sorted.
    settings
        Sections ``eeg`` and ``faces`` of the settings that it was prepared with, as JSON values.
    data_set
        Name of the published data set; empty if it is another one or unknown.
    entries
        Participant -> its entry in the index.
    verify
        Whether files are compared with their checksums.
    """

    def __init__(self, folder: Path, index: Mapping[str, Any], verify: bool = True) -> None:
        self.folder = folder
        self.verify = verify
        self.settings: dict[str, Any] = dict(index["settings"])
        self.data_set = str(index.get("data_set", ""))
        self.entries: dict[str, dict[str, Any]] = dict(index["participants"])
        self.participants = sorted(self.entries)
        self._opened: dict[str, PreparedParticipant] = {}

    def __repr__(self) -> str:
        return f"<PreparedStore | {self.folder}: {shorten(self.participants)}>"

    @classmethod
    def open(cls, folder: Path | str, verify: bool = True) -> Self:
        """Open a store.

        Parameters
        ----------
        folder
            The store.
        verify
            Whether the file of a participant is compared with its checksum when it is opened.

        Raises
        ------
        InputError
            There is no finished store of this format, or a file is missing or has another size
            than in the index.
        """
        folder = Path(folder)
        store = cls(folder, read_index(folder), verify)
        for name, entry in store.entries.items():
            path = folder / entry["file"]
            if not path.is_file():
                raise InputError(
                    f"{path} of participant {name} is missing; {INDEX_FILE} lists it.",
                    _PREPARE_AGAIN,
                )
            if path.stat().st_size != entry["bytes"]:
                raise InputError(
                    f"{path} has {path.stat().st_size} bytes, expected {entry['bytes']} according "
                    f"to {INDEX_FILE}.",
                    _PREPARE_AGAIN,
                )
        return store

    @property
    def fingerprint(self) -> str:
        """Digest of the fingerprints of all participants."""
        return digest({name: entry["fingerprints"] for name, entry in self.entries.items()})

    def participant(self, name: str) -> PreparedParticipant:
        """Open the file of a participant; it is opened once.

        Raises
        ------
        InputError
            The store does not have this participant, or the file is damaged.
        """
        if name not in self.entries:
            raise InputError(
                f"The store {self.folder} has no participant {name}.",
                f"Its participants are {shorten(self.participants)}.",
            )
        if name not in self._opened:
            path = self.folder / self.entries[name]["file"]
            if self.verify and not is_readable(self.folder, name):
                raise InputError(
                    f"{path} is damaged or has changed since it was prepared.",
                    "Run `milmer prepare` again; it replaces the file.",
                )
            self._opened[name] = PreparedParticipant.open(path)
        return self._opened[name]

    def segments(self, participants: Sequence[str] | None = None) -> Segments:
        """Return the table of all segments, in the order of the names.

        Parameters
        ----------
        participants
            Only these participants, in this order; at least one.
        """
        names = self.participants if participants is None else list(participants)
        if not names:
            raise InputError("The list of participants is empty.", "Name at least one participant.")
        return Segments.concatenate([self.participant(name).segments() for name in names])

    def to_dataframe(self) -> DataFrame:
        """Return the table of all segments; see `Segments.to_dataframe`."""
        return self.segments().to_dataframe()


def read_index(folder: Path) -> dict[str, Any]:
    """Read the index of a store.

    Raises
    ------
    InputError
        There is no store, it is not finished, or its index is damaged or of another format.
    """
    path = folder / INDEX_FILE
    if not folder.is_dir():
        raise InputError(
            f"The prepared store {folder} does not exist.", "Run `milmer prepare` to create it."
        )
    if not path.is_file():
        unfinished = any(folder.glob(f"*{PARTICIPANT_SUFFIX}"))
        raise InputError(
            f"{folder} is {'not finished' if unfinished else 'not a prepared store'}: it has no "
            f"{INDEX_FILE}.",
            _PREPARE_AGAIN if unfinished else "Run `milmer prepare` to create a store.",
        )
    index = read_json(path, _PREPARE_AGAIN)
    if not isinstance(index, dict) or "format" not in index:
        raise InputError(f"{path} is not the index of a prepared store.", _PREPARE_AGAIN)
    if index["format"] not in READABLE_VERSIONS:
        raise InputError(
            f"The store {folder} has format {index['format']}, expected format {FORMAT_VERSION}.",
            "Update Milmer, or prepare into another folder.",
        )
    if not {"settings", "participants"} <= set(index) or not index["participants"]:
        raise InputError(f"{path} lists no participants.", _PREPARE_AGAIN)
    if not _is_complete(index):
        raise InputError(f"{path} is damaged: an entry is incomplete.", _PREPARE_AGAIN)
    return index


def _is_complete(index: Mapping[str, Any]) -> bool:
    """Whether the entries have all values that a store needs, and name files of the store."""
    settings, participants = index["settings"], index["participants"]
    return (
        isinstance(settings, dict)
        and isinstance(participants, dict)
        and all(
            isinstance(entry, dict)
            and {"bytes", "fingerprints"} <= set(entry)
            and entry.get("file") == f"{name}{PARTICIPANT_SUFFIX}"
            and Path(entry["file"]).name == entry["file"]
            for name, entry in participants.items()
        )
    )


def write_index(
    folder: Path, settings: Mapping[str, Any], participants: Sequence[str], data_set: str = ""
) -> None:
    """Write the index of a store, the last step of `prepare`.

    A file that has not changed since the last index keeps its digest and is not read again.

    Parameters
    ----------
    folder
        The store.
    settings
        Settings of the store, as JSON values.
    participants
        Names of the participants whose files are complete.
    data_set
        Name of the published data set; empty for other recordings.
    """
    try:
        previous = read_index(folder)["participants"]
    except InputError:
        previous = {}
    written = written_checksums(folder)
    entries = {
        name: _entry(folder / f"{name}{PARTICIPANT_SUFFIX}", previous.get(name, {}), written)
        for name in participants
    }
    index = {"data_set": data_set, "settings": settings, "participants": entries}
    write_document(folder / INDEX_FILE, "store-index", index)
    forget_checksums(folder)


def update_index(
    folder: Path, settings: Mapping[str, Any], participants: Sequence[str], data_set: str = ""
) -> list[str]:
    """Add participants to the index and keep those of earlier runs with the same settings.

    Parameters
    ----------
    folder, settings, participants, data_set
        As in `write_index`. Participants of another data set that are kept make it unknown.

    Returns
    -------
    list of str
        Participants that were removed from the index because their settings differ.
    """
    try:
        previous = read_index(folder)
    except InputError:
        previous = {"settings": settings, "participants": {}}
    others = [name for name in previous["participants"] if name not in participants]
    same_settings = previous["settings"] == settings
    kept = [name for name in others if (folder / f"{name}{PARTICIPANT_SUFFIX}").is_file()]
    kept = kept if same_settings else []
    known = data_set if not kept or previous.get("data_set") == data_set else ""
    write_index(folder, settings, sorted([*participants, *kept]), known)
    return [] if same_settings else others


def _entry(path: Path, previous: Mapping[str, Any], written: Mapping[str, str]) -> dict[str, Any]:
    with PreparedParticipant.open(path) as p:
        status = path.stat()
        stamp = {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}
        unchanged = all(previous.get(key) == value for key, value in stamp.items())
        kept = previous if unchanged else {}
        return {
            "file": path.name,
            **stamp,
            # that of the content in memory, if it is known: the file may be damaged by now
            CHECKSUM: written.get(p.participant) or kept.get(CHECKSUM) or file_checksum(path),
            "sha256": previous["sha256"]
            if unchanged and "sha256" in previous
            else file_digest(path),
            "segments": len(p),
            "trials": len(np.unique(p.trial)),
            "sessions": len(np.unique(p.session)),
            "eeg_coverage": _share(p.eeg_found),
            "face_coverage": _share(p.found),
            "detector": p.detector,
            "fingerprints": p.fingerprints,
        }


def _share(found: np.ndarray) -> float:
    return round(float(found.mean()), 6) if found.size else 0.0
