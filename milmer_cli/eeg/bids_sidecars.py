"""BIDS sidecars of a recording ``*_eeg.EXT``: power line frequency, bad channels, types, units.

A sidecar applies to a recording if each part of its name (``sub-01``, ``task-film``) is a part of
the recording's name, and if it is in the folder of the recording or, in a BIDS data set, in a
folder above it up to that of the data set (inheritance principle). Values of JSON files are merged,
and the nearest one has priority; of tables, only the nearest one applies.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mne

from milmer_cli.errors import InputError, shorten
from milmer_cli.input_files import is_regular_file, read_input
from milmer_cli.json_files import read_json_object

MAX_TABLE_BYTES = 2**23
"""Largest table of a BIDS data set that is read; 100,000 events have some 5 MB."""

# fmt: off
_OTHER = (
    "ADC", "AUDIO", "DAC", "ECG", "EMG", "EYEGAZE", "GSR", "MISC", "OTHER", "PPG", "PUPIL", "RESP",
    "SYSCLOCK", "TEMP", "ACCEL", "GYRO", "MAGN",
)
# fmt: on
_TYPES = {
    "EEG": "eeg",
    **dict.fromkeys(("EOG", "HEOG", "VEOG"), "eog"),
    "TRIG": "stim",
    **dict.fromkeys(_OTHER, "misc"),
}
"""Type in channels.tsv -> type of MNE; of other types, such as REF, that of the file is kept."""
_MISSING = ("", "n/a")


@dataclass(frozen=True)
class BidsChannel:
    """A row of channels.tsv; a cell that is missing is empty.

    Attributes
    ----------
    name
        Name of the channel in the file.
    type, unit, status
        As they are spelled, such as EOG, µV and bad.
    """

    name: str
    type: str = ""
    unit: str = ""
    status: str = ""


@dataclass(frozen=True)
class BidsSidecars:
    """The sidecars that apply to a recording.

    Attributes
    ----------
    files
        The files, first those with the properties of the recording.
    properties
        Values of ``*_eeg.json``, merged.
    channels
        Rows of ``*_channels.tsv``.
    """

    files: tuple[Path, ...] = ()
    properties: Mapping[str, object] = field(default_factory=dict)
    channels: tuple[BidsChannel, ...] = ()

    @property
    def line_freq_hz(self) -> float | None:
        """Power line frequency; None if it is not stated, or no number from 1 to 1000."""
        stated = self.properties.get("PowerLineFrequency")
        if isinstance(stated, bool) or not isinstance(stated, int | float):
            return None
        return float(stated) if 1 <= stated <= 1000 else None

    @property
    def bads(self) -> tuple[str, ...]:
        """Names of the channels whose status is bad."""
        return tuple(c.name for c in self.channels if c.status.lower() == "bad")

    @property
    def types(self) -> dict[str, str]:
        """Name of a channel -> its type of MNE, for the types that are known."""
        known = {c.name: _TYPES.get(c.type.upper()) for c in self.channels}
        return {name: kind for name, kind in known.items() if kind is not None}


NO_SIDECARS = BidsSidecars()


def name_parts(path: Path) -> tuple[frozenset[str], str]:
    """Split the name of a BIDS file into its entities, such as ``sub-01``, and its suffix."""
    *entities, suffix = path.name.partition(".")[0].split("_")
    return frozenset(entities), suffix


def find_sidecars(path: Path, suffix: str, extension: str) -> list[Path]:
    """Find the sidecars that apply to a file, the one with priority last.

    Parameters
    ----------
    path
        The file, such as ``sub-01/eeg/sub-01_task-film_eeg.edf``. Links are not resolved: the
        sidecars are beside the link.
    suffix, extension
        Of the sidecar: ``channels`` and ``.tsv``.
    """
    entities, _ = name_parts(path)
    found = []
    for folder in _folders(path, entities):
        named = [(name_parts(file), file) for file in folder.glob(f"*{suffix}{extension}")]
        applicable = [
            (len(parts[0]), file)
            for parts, file in named
            if parts[1] == suffix and parts[0] <= entities and is_regular_file(file)
        ]
        found += [file for _, file in sorted(applicable)]
    return found


def _folders(path: Path, entities: frozenset[str]) -> list[Path]:
    """Return the folders of a file from that of the data set; only its own outside of one."""
    above = list(path.absolute().parents)
    for number, folder in enumerate(above[:-1]):
        if folder.name.startswith("sub-") and folder.name in entities:
            return [above[number + 1], *reversed(above[: number + 1])]
    return above[:1]


def read_sidecars(path: Path) -> BidsSidecars:
    """Read the sidecars of a recording; there are none unless its name ends with ``_eeg.EXT``.

    Raises
    ------
    InputError
        A sidecar cannot be read.
    """
    if name_parts(path)[1] != "eeg" or "_" not in path.name:
        return NO_SIDECARS
    documents, tables = find_sidecars(path, "eeg", ".json"), find_sidecars(path, "channels", ".tsv")
    properties: dict[str, object] = {}
    for file in documents:
        try:
            properties |= read_json_object(file)
        except InputError as error:
            raise _unreadable(path, file, str(error)) from error
    channels = _read_channels(path, tables[-1]) if tables else ()
    return BidsSidecars((*documents, *tables[-1:]), properties, channels)


def _read_channels(path: Path, table: Path) -> tuple[BidsChannel, ...]:
    """Read channels.tsv."""
    try:
        if table.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError(f"it has more than {MAX_TABLE_BYTES // 2**20} MiB")
        content = read_input(table)
        utf_16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = io.StringIO(content.decode("utf-16" if utf_16 else "utf-8-sig"), newline="")
        rows = list(csv.DictReader(text, delimiter="\t"))
    except (OSError, ValueError, csv.Error) as error:
        raise _unreadable(path, table, str(error)) from error
    channels = []
    for row in rows:
        cells = {key: cell.strip() for key, cell in row.items() if key and isinstance(cell, str)}
        name, kind, unit, status = (
            "" if (cell := cells.get(column, "")) in _MISSING else cell
            for column in ("name", "type", "units", "status")
        )
        if name:
            channels.append(BidsChannel(name, kind, unit, status))
    return tuple(channels)


def _unreadable(path: Path, file: Path, reason: str) -> InputError:
    first = shorten([line.strip() for line in reason.splitlines() if line.strip()][:1])
    return InputError(
        f"A BIDS sidecar of {path} cannot be read ({first.rstrip('.')}).",
        f"Correct {file}, or move it away.",
    )


def apply_sidecars(raw: mne.io.BaseRaw, sidecars: BidsSidecars, is_brainvision: bool) -> None:
    """Set the power line frequency, the bad channels and the types that sidecars state.

    Parameters
    ----------
    raw
        The recording, with the channel names of the file.
    sidecars
        Its sidecars.
    is_brainvision
        In such a file, a channel of type misc has a unit that is no voltage, so it keeps this type.
    """
    if sidecars.line_freq_hz is not None:
        raw.info["line_freq"] = sidecars.line_freq_hz
    bads = {*sidecars.bads, *raw.info["bads"]}
    raw.info["bads"] = [name for name in raw.ch_names if name in bads]
    fixed = {"stim", "misc"} if is_brainvision else {"stim"}
    types = {
        name: sidecars.types[name]
        for name, declared in zip(raw.ch_names, raw.get_channel_types(), strict=True)
        if name in sidecars.types and declared not in fixed
    }
    raw.set_channel_types(types, on_unit_change="ignore", verbose="error")
