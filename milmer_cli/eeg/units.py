"""Units of EEG channels: the spellings in headers, and another unit than the header's."""

from __future__ import annotations

import mne

UNITS = {"nV": 1e-9, "uV": 1e-6, "mV": 1e-3, "V": 1.0}
"""Unit of voltage -> volts."""
_SPELLINGS = {
    **{unit.lower(): unit for unit in UNITS},
    **dict.fromkeys(("microvolt", "microvolts", "muv", ""), "uV"),
    **dict.fromkeys(("millivolt", "millivolts"), "mV"),
    **dict.fromkeys(("nanovolt", "nanovolts"), "nV"),
    **dict.fromkeys(("volt", "volts"), "V"),
}
_KNOWN_TO_MNE = {
    "uV": 1e-6,
    "\u00b5V": 1e-6,
    "\u03bcV": 1e-6,
    "\x83\xcaV": 1e-6,
    "mV": 1e-3,
    "V": 1.0,
}
"""Spellings that MNE's readers convert to volts; others are left as they are."""


def parse_unit(text: str) -> str | None:
    """Return which of `UNITS` a header means; None for another unit. No unit means microvolts.

    Micro is written as u, as the micro sign, or as the Greek letter, in any encoding and case.
    """
    plain = text.strip().replace("\x83\xca", "u").replace("\u00c2", "").replace("\u00ce\u00bc", "u")
    plain = plain.replace("\u00b5", "u").replace("\u03bc", "u").replace("\ufffd", "u")
    return _SPELLINGS.get(plain.strip().lower())


def correct_units(raw: mne.io.BaseRaw) -> None:
    """Scale the EEG channels whose unit MNE does not know, but which is a unit of voltage."""
    units = raw._orig_units or {}
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    nano = 1e-9 if isinstance(raw, mne.io.brainvision.brainvision.RawBrainVision) else 1.0
    for index, name in enumerate(raw.ch_names):
        stated = units.get(name)
        unit = None if stated is None else parse_unit(stated)
        if unit is None or types[name] not in ("eeg", "eog", "misc"):
            continue
        if types[name] == "misc" and not (stated or "").strip():
            continue
        assumed = nano if stated == "nV" else _KNOWN_TO_MNE.get(stated or "", 1.0)
        if (factor := UNITS[unit] / assumed) != 1.0:
            scale_channel(raw, index, factor)
        if types[name] == "misc":  # MNE's type of a BrainVision channel of unknown unit
            raw.set_channel_types({name: "eeg"}, on_unit_change="ignore", verbose="error")
        units[name] = unit


def set_unit(raw: mne.io.BaseRaw, unit: str) -> None:
    """Interpret the numbers of the EEG and EOG channels in a unit instead of the header's."""
    if not unit:
        return
    kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    for index, (name, channel_type) in enumerate(kinds):
        if channel_type in ("eeg", "eog"):
            stated = parse_unit((raw._orig_units or {}).get(name, "V")) or "V"
            scale_channel(raw, index, UNITS[unit] / UNITS[stated])


def scale_channel(raw: mne.io.BaseRaw, index: int, factor: float) -> None:
    """Multiply the samples of a channel by a factor, now or whenever they are read."""
    if raw.preload:
        raw._data[index] *= factor
    else:  # the calibration of a channel is applied whenever samples are read
        raw._cals[index] *= factor
