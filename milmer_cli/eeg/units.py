"""Units and types of channels, from the spellings in headers and from names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import mne

from milmer_cli.eeg.edf import read_units, sample_bytes_of
from milmer_cli.eeg.header_files import brainvision_units

UNITS = {"nV": 1e-9, "uV": 1e-6, "mV": 1e-3, "V": 1.0}
"""Unit of voltage -> volts."""
_SPELLINGS = {
    **{unit.lower(): unit for unit in UNITS},
    **dict.fromkeys(("microvolt", "microvolts", "microvol", "muv", ""), "uV"),
    **dict.fromkeys(("millivolt", "millivolts", "millivol"), "mV"),
    **dict.fromkeys(("nanovolt", "nanovolts"), "nV"),
    **dict.fromkeys(("volt", "volts"), "V"),
}
_KNOWN_TO_MNE = {
    **dict.fromkeys(("uV", "\u00b5V"), 1e-6),
    "mV": 1e-3,
}
"""Spellings that MNE's readers of EDF and BrainVision files convert to volts."""
_KNOWN_IN_EDF = {**_KNOWN_TO_MNE, "\u03bcV": 1e-6, "\x83\xcaV": 1e-6}
_KNOWN_IN_BRAINVISION = {**_KNOWN_TO_MNE, "nV": 1e-9, "": 1e-6}


def parse_unit(text: str) -> str | None:
    """Return which of `UNITS` a header means; None for another unit. No unit means microvolts.

    Micro is written as u, as the micro sign, or as the Greek letter, in any encoding and case.
    """
    plain = text.strip().replace("\x83\xca", "u").replace("\u00c2", "").replace("\u00ce\u00bc", "u")
    plain = plain.replace("\u00b5", "u").replace("\u03bc", "u").replace("\ufffd", "u")
    return _SPELLINGS.get(plain.strip().lower())


def correct_units(raw: mne.io.BaseRaw, path: Path, listed: Collection[str] = ()) -> None:
    """Scale the channels whose unit MNE does not know, but which is a unit of voltage.

    Parameters
    ----------
    raw, path
        A recording, and the EDF, BDF or BrainVision file from which it was opened; recordings in
        other formats are unchanged.
    listed
        Names in lower case of channels that are electrodes whatever their names are.
    """
    is_edf = sample_bytes_of(path) is not None
    if is_edf:
        units, known = read_units(path), _KNOWN_IN_EDF
    elif path.suffix.lower() == ".vhdr":
        units, known = brainvision_units(path), _KNOWN_IN_BRAINVISION
    else:
        return
    channels = list(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    if len(units) != len(channels):
        return
    for index, ((name, channel_type), stated) in enumerate(zip(channels, units, strict=True)):
        unit = parse_unit(stated)
        # MNE's type of a BrainVision channel of an unknown unit is misc
        if unit is None or channel_type not in ("eeg", "misc"):
            continue
        if implied_type(name) not in ("eeg", "eog") and name.strip().lower() not in listed:
            continue  # for example a trigger channel, whose numbers are no voltages
        assumed = known.get(stated if is_edf else stated.replace("\u00c2", ""), 1.0)
        if assumed != UNITS[unit]:
            scale_channel(raw, index, UNITS[unit] / assumed)
            raw.set_channel_types({name: "eeg"}, on_unit_change="ignore", verbose="error")
        raw._orig_units[name] = unit


def header_units(raw: mne.io.BaseRaw, path: Path) -> dict[str, str]:
    """Return the units that a file states, or implies by its format: channel -> unit as spelled.

    EEGLAB files contain microvolts and state no unit.
    """
    stated = dict(raw._orig_units or {})
    return stated or dict.fromkeys(raw.ch_names if path.suffix.lower() == ".set" else (), "uV")


def set_unit(raw: mne.io.BaseRaw, path: Path, unit: str) -> None:
    """Interpret the numbers of the EEG and EOG channels in a unit instead of the header's."""
    if not unit:
        return
    units = header_units(raw, path)
    kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    for index, (name, channel_type) in enumerate(kinds):
        if channel_type in ("eeg", "eog"):
            stated = parse_unit(units.get(name, "V")) or "V"
            scale_channel(raw, index, UNITS[unit] / UNITS[stated])


def scale_channel(raw: mne.io.BaseRaw, index: int, factor: float) -> None:
    """Multiply the samples of a channel by a factor, now or whenever they are read."""
    if raw.preload:
        raw._data[index] *= factor
    else:  # the calibration of a channel is applied whenever samples are read
        raw._cals[index] *= factor


def implied_type(name: str) -> str:
    """Return the MNE channel type that a channel's name implies; ``eeg`` by default."""
    lowered = name.strip().lower()
    if lowered in {"status", "trigger", "", "-0", "-1"} or lowered.startswith("sti "):
        return "stim"
    if "eog" in lowered:
        return "eog"
    other = ("exg", "ecg", "ekg", "emg", "gsr", "eda", "erg", "resp", "plet", "temp", "aux", "acc")
    return "misc" if lowered.startswith(other) or "emg" in lowered else "eeg"
