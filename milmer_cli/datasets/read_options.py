"""What the user states about EEG files: electrodes, new names of channels, unit."""

from __future__ import annotations

import re
from pathlib import Path

from milmer_cli.datasets.table import TableErrors, read_table
from milmer_cli.eeg.io import ReadOptions
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import DataSettings


def read_options(settings: DataSettings) -> ReadOptions:
    """Return the options for reading EEG files.

    Parameters
    ----------
    settings
        ``eeg_channels``, ``channels_file`` and ``eeg_unit``.

    Raises
    ------
    InputError
        The file of channel names cannot be read or has errors.
    """
    renames: tuple[tuple[str, str], ...] = ()
    if settings.channels_file:
        renames = _read_channel_names(Path(settings.channels_file).expanduser())
    unit = "" if settings.eeg_unit == "auto" else settings.eeg_unit
    return ReadOptions(split_channels(settings.eeg_channels), renames, unit)


def deap_channels(settings: DataSettings) -> tuple[str, ...]:
    """Return the channels to store of DEAP; empty for all of them.

    Raises
    ------
    InputError
        ``channels_file`` or ``eeg_unit`` is set.
    """
    if settings.channels_file or settings.eeg_unit != "auto":
        raise InputError(
            "--channels and --eeg-unit (data.channels_file, data.eeg_unit) cannot be combined with "
            "--deap-root: the channels and units of DEAP's files are known.",
            "Remove them.",
        )
    return split_channels(settings.eeg_channels)


def split_channels(text: str) -> tuple[str, ...]:
    """Split a list of channels at semicolons, or at commas if it has no semicolon."""
    separator = ";" if ";" in text else ","
    return tuple(name for part in text.split(separator) if (name := part.strip()))


def _read_channel_names(path: Path) -> tuple[tuple[str, str], ...]:
    """Read a table with the columns ``channel`` (name in the file) and ``name`` (new name)."""
    errors = TableErrors(path, "Write one row per channel, as in: channel,name / EXG Channel 0,Fp1")
    renames: dict[str, tuple[str, str]] = {}
    for row in read_table(errors, (("channel",), ("name",)), ("channel", "name")):
        channel, name = row.required("channel"), row.required("name")
        key = re.sub(r"\s+", " ", channel.lower())
        if key in renames:
            row.error(f"the channel {channel} occurs more than once")
        renames[key] = (channel, name)
    errors.raise_if_any()
    return tuple(renames.values())
