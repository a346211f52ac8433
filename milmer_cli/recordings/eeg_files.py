"""EEG files on the disk: which belong together, which are cut short, why one cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

import mne

from milmer_cli.errors import InputError
from milmer_cli.recordings.bdf import record_sizes

_HEADERS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}
"""What is read in place of a file that cannot be read alone."""


def files_of(path: Path, raw: mne.io.BaseRaw) -> tuple[Path, ...]:
    """Give a recording's own file and those that it points to."""
    pointed = [Path(name) for name in raw.filenames if name is not None]
    return tuple(dict.fromkeys([path, *pointed]))


def refuse_empty(path: Path) -> None:
    """Refuse a file that is not there, or of no bytes.

    Raises
    ------
    InputError
        As said.
    """
    if not path.is_file():
        raise InputError(f"There is no EEG file {path}.", "Check the path.")
    if not path.stat().st_size:
        raise InputError(f"The EEG file {path} is empty.", "Copy or export it again.")


def unreadable(path: Path, error: Exception) -> InputError:
    """Say why a file that mne cannot read cannot be read, and what to give instead."""
    header = _HEADERS.get(path.suffix.lower())
    if header is not None:
        beside = path.with_suffix(header)
        found = f"Give {beside}." if beside.is_file() else f"Give its {header} file."
        return InputError(
            f"{path} cannot be read as EEG: it is only a part of a recording, without its header.",
            found,
        )
    if path.suffix.lower() == ".edf" and _sizes(path) is None:
        return InputError(
            f"{path} cannot be read as EEG: it is no EDF file, or its header is cut short.",
            "Copy or export it again.",
        )
    reason = str(error).strip().splitlines() or [type(error).__name__]
    what = re.split(r"\. (?:Consider|Pass) ", reason[0])[0].rstrip(".")  # without advice for Python
    return InputError(
        f"{path} cannot be read as EEG: {what}.",
        "Export it again, as BDF, EDF, GDF, FIF, BrainVision (.vhdr) or EEGLAB (.set).",
    )


def cut_short(path: Path) -> str:
    """Say what an EDF file lacks of what its header promises; nothing where it is whole."""
    if path.suffix.lower() != ".edf" or (sizes := _sizes(path)) is None:
        return ""
    head, promised, record = sizes
    held = (path.stat().st_size - head) // record
    if held >= promised:
        return ""
    return (
        f"{path} is cut short: its header promises {promised} data records and it holds {held}, so "
        f"the last {1 - held / promised:.0%} of the recording are missing."
    )


def _sizes(edf: Path) -> tuple[int, int, int] | None:
    try:
        sizes = record_sizes(edf, sample_bytes=2)
    except ValueError:
        return None
    return sizes if sizes[2] > 0 else None
