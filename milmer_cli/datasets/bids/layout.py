"""Recordings and videos below the folders ``sub-*`` of a BIDS data set.

Only ``sub-*/[ses-*/](eeg|beh|video)/`` is read, so ``derivatives``, ``sourcedata``, ``code`` and
hidden folders are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.datasets.findings import Findings
from milmer_cli.errors import InputError
from milmer_cli.input_files import is_regular_file, open_input

EEG_FORMATS = (".edf", ".bdf", ".vhdr", ".set")
"""Formats of EEG-BIDS, the preferred one first."""
_COMPANIONS = (".eeg", ".vmrk", ".fdt", ".json", ".tsv", ".txt", ".md")
_VIDEO_FOLDERS = ("beh", "video")
_VIDEO_SUFFIXES = ("video", "audiovideo")
_ANNEX_POINTER = b"/annex/objects/"
"""Beginning of a file that git-annex keeps in place of one that was not downloaded."""


@dataclass(frozen=True)
class BidsFile:
    """A file of a data set.

    Attributes
    ----------
    path
        The file, as a link if it is one.
    folder
        ``sub-*`` or ``sub-*/ses-*``, which contains the folder of the file.
    entities
        Its entities, such as ``task`` -> ``film``.
    """

    path: Path
    folder: Path
    entities: Mapping[str, str]

    @property
    def participant(self) -> str:
        """Name of the participant, ``sub-01``."""
        return f"sub-{self.entities['sub']}"

    @property
    def session(self) -> str:
        """Name of the session, ``ses-01``; empty if there was only one."""
        return f"ses-{self.entities['ses']}" if "ses" in self.entities else ""

    @property
    def stem(self) -> str:
        """Name without extension."""
        return self.path.name.partition(".")[0]


def find_participants(root: Path) -> list[str]:
    """Return the names of the folders ``sub-*``, sorted.

    Raises
    ------
    InputError
        There are none.
    """
    names = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
    if not names:
        raise InputError(
            f"{root} is not a BIDS data set: it has no folder sub-*.",
            "Give the folder that contains dataset_description.json and the folders sub-*.",
        )
    return names


def find_files(
    root: Path, participant: str, findings: Findings
) -> tuple[list[BidsFile], list[BidsFile]]:
    """Find the EEG recordings and the videos of a participant.

    Parameters
    ----------
    root
        The data set.
    participant
        Name of its folder.
    findings
        Receives files whose name contradicts their folder, files that were not downloaded, and
        unusual formats.

    Returns
    -------
    recordings, videos
        One EEG file for each combination of entities; all videos.
    """
    recordings: dict[str, BidsFile] = {}
    videos = []
    for folder in (root / participant, *sorted((root / participant).glob("ses-*"))):
        for path in _files(folder / "eeg", findings):
            file = _bids_file(path, folder, ("eeg",), findings)
            if file is not None:
                _keep_preferred(recordings, file, findings)
        for path in (path for name in _VIDEO_FOLDERS for path in _files(folder / name, findings)):
            file = _bids_file(path, folder, _VIDEO_SUFFIXES, findings)
            if file is not None:
                videos.append(file)
    usable = [file for file in recordings.values() if _is_downloaded(file, root, findings)]
    return usable, [file for file in videos if _is_downloaded(file, root, findings)]


def _files(folder: Path, findings: Findings) -> list[Path]:
    """Return the files of a folder that are not hidden; none if it does not exist."""
    if not folder.is_dir():
        return []
    try:
        return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    except OSError as error:
        findings.add_missing(str(folder), f"It cannot be read: {error.strerror}.", "")
        return []


def _bids_file(
    path: Path, folder: Path, suffixes: tuple[str, ...], findings: Findings
) -> BidsFile | None:
    """Parse a name; None if it is of another kind, or names another participant or session."""
    *parts, suffix = path.name.partition(".")[0].split("_")
    if suffix not in suffixes or path.suffix.lower() in _COMPANIONS:
        return None
    entities = dict(part.split("-", 1) for part in parts if "-" in part)
    labels = [f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities]
    in_session = folder.name.startswith("ses-")
    expected = [folder.parent.name, folder.name] if in_session else [folder.name]
    if labels != expected:
        findings.add(
            "Left out, because the name of the file contradicts its folder ({}).",
            [path.relative_to(folder.parents[1] if in_session else folder.parent)],
        )
        return None
    return BidsFile(path, folder, entities)


def _keep_preferred(recordings: dict[str, BidsFile], file: BidsFile, findings: Findings) -> None:
    """Keep one file of each recording, in the preferred format."""
    if (suffix := file.path.suffix.lower()) not in EEG_FORMATS:
        findings.add(
            f"{suffix or 'No extension'} is no format of EEG-BIDS; the file is read if MNE can "
            "({}).",
            [file.path.name],
        )
    other = recordings.setdefault(file.stem, file)
    if other is not file:
        first = min((other, file), key=lambda f: _preference(f.path))
        recordings[file.stem] = first
        findings.add("Of several formats of a recording, one is used ({}).", [first.path.name])


def _preference(path: Path) -> int:
    suffix = path.suffix.lower()
    return EEG_FORMATS.index(suffix) if suffix in EEG_FORMATS else len(EEG_FORMATS)


def _is_downloaded(file: BidsFile, root: Path, findings: Findings) -> bool:
    """Report a file, or a part of it, that git-annex did not download, and links out of ``root``.

    A recording can consist of several files of one name.
    """
    same_name = [p for p in file.path.parent.iterdir() if p.name.partition(".")[0] == file.stem]
    for path in [file.path, *same_name]:
        shown = path.relative_to(root)
        if (path.is_symlink() and not path.exists()) or _is_annex_pointer(path):
            findings.add_missing(
                str(shown),
                "Its content was not downloaded, so the file cannot be used.",
                "Download it, for example with `git annex get` or `datalad get`.",
            )
            return False
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            sentence = "The file is a link that leaves the data set; it is followed ({})."
            findings.add(sentence, [shown])
    return True


def _is_annex_pointer(path: Path) -> bool:
    if not is_regular_file(path):
        return False
    try:
        with open_input(path) as file:
            return file.read(len(_ANNEX_POINTER)) == _ANNEX_POINTER
    except OSError:
        return False  # the reader of the file reports it


def file_within(root: Path, name: str, folders: tuple[Path, ...]) -> Path | None:
    """Return the file that a cell names, relative to one of the folders; None if there is none.

    A name that leads out of the data set is none.
    """
    for folder in folders:
        path = Path(os.path.normpath((folder / name).absolute()))
        inside = path.is_relative_to(os.path.normpath(root.absolute()))
        if inside and not re.search(r"[\0\n]", name) and is_regular_file(path):
            return path
    return None
