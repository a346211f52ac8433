"""Checksums of the participants' files: in the index, and of files that are newer than it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from milmer_cli.errors import InputError
from milmer_cli.integrity import is_intact
from milmer_cli.json_files import read_json, write_json
from milmer_cli.store.schema import INDEX_FILE, PARTICIPANT_SUFFIX, WRITTEN_FILE

CHECKSUM = "checksum"
"""Entry of a participant in the index."""
OPEN_LIMIT_S = 60.0
_OPEN = """
import sys
from pathlib import Path
from milmer_cli.store.reader import PreparedParticipant
PreparedParticipant(Path(sys.argv[1]))
"""


def record_checksum(folder: Path, participant: str, checksum: str) -> None:
    """Record the checksum of a file that is complete, but not yet in the index."""
    write_json(folder / WRITTEN_FILE, {**written_checksums(folder), participant: checksum})


def written_checksums(folder: Path) -> dict[str, str]:
    """Return the checksums of `record_checksum` by participant."""
    return {name: str(value) for name, value in _read(folder / WRITTEN_FILE).items()}


def forget_checksums(folder: Path) -> None:
    """Remove what `record_checksum` recorded, when the index contains it."""
    (folder / WRITTEN_FILE).unlink(missing_ok=True)


def is_readable(folder: Path, participant: str) -> bool:
    """Whether the file of a participant is intact, or, without a checksum, can be opened.

    Damage can make HDF5 loop or crash, so that a file without a checksum is opened in a process of
    its own, with a limit of `OPEN_LIMIT_S`.

    Parameters
    ----------
    folder
        The store; it may have no index.
    participant
        Name of the participant.
    """
    path = folder / f"{participant}{PARTICIPANT_SUFFIX}"
    participants = _read(folder / INDEX_FILE).get("participants")
    entry = participants.get(participant) if isinstance(participants, dict) else None
    in_index = entry.get(CHECKSUM) if isinstance(entry, dict) else None
    known = [in_index, written_checksums(folder).get(participant)]
    if checksums := [str(value) for value in known if value]:
        return is_intact(path, *checksums)
    return _opens_in_time(path)


def _opens_in_time(path: Path) -> bool:
    command = [sys.executable, "-c", _OPEN, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=OPEN_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file; {} if it is missing or damaged."""
    try:
        content = read_json(path)
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}
