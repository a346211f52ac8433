"""EEG files of a BIDS data set and their sidecars: channels, units, power line frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.manifest_eeg import match_file
from milmer_cli.eeg.bids_sidecars import BidsSidecars, read_sidecars
from milmer_cli.eeg.channels import canonical_name, find_derivations, find_electrodes
from milmer_cli.eeg.io import ReadOptions, open_eeg
from milmer_cli.eeg.units import header_units, parse_unit
from milmer_cli.errors import InputError, shorten

EOG_PROPERTY = "EOGDerivations"
"""Property of ``*_eeg.json`` that Milmer writes: EOG channels, or differences such as A-B."""

_TYPES = {"eeg": "EEG", "eog": "EOG", "stim": "TRIG", "ecg": "ECG", "emg": "EMG", "misc": "MISC"}
"""Type of MNE -> type in channels.tsv."""


@dataclass(frozen=True)
class BidsSignal:
    """What is known of an EEG file without loading it.

    Attributes
    ----------
    duration_s, sfreq_hz
        Duration and sampling rate.
    eeg
        Channels of type EEG, in the order of the file.
    stated
        Whether channels.tsv states their types.
    eog
        EOG channels, or differences of two.
    bads
        Bad EEG channels.
    line_freq_hz
        Power line frequency; None if it is not stated.
    unit
        Unit of the EEG that channels.tsv states if the format of the file has none (EEGLAB), and
        that is not microvolts; else empty.
    """

    duration_s: float
    sfreq_hz: float
    eeg: tuple[str, ...]
    stated: bool
    eog: tuple[str, ...]
    bads: tuple[str, ...]
    line_freq_hz: float | None
    unit: str


def read_signal(path: Path, options: ReadOptions, findings: Findings) -> BidsSignal:
    """Open an EEG file, apply its sidecars, and compare them with the file.

    Raises
    ------
    InputError
        The file or a sidecar cannot be read.
    """
    raw = open_eeg(path, options)
    sidecars = read_sidecars(path)
    new_names = {old.strip().lower(): new for old, new in options.renames}
    stated = {new_names.get(c.name.lower(), c.name): c for c in sidecars.channels}
    if lacking := [name for name in stated if name not in raw.ch_names]:
        findings.add(
            f"channels.tsv lists channels that the file lacks: {shorten(lacking)} ({{}}).",
            [path.name],
        )
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    eeg = tuple(name for name, kind in types.items() if kind == "eeg")
    named_otherwise = [
        name
        for name, channel in stated.items()
        if channel.type.upper() == "EEG" and types.get(name, "eeg") not in ("eeg", "stim")
    ]
    if named_otherwise:
        findings.add(
            "channels.tsv calls channels EEG that are not electrodes by their names, and which are "
            f"not used as such: {shorten(named_otherwise)} ({{}}).",
            [path.name],
        )
    if not any(channel.type for channel in stated.values()):
        findings.add(
            "No channels.tsv states the types of the channels; electrodes are found by their names "
            "({}).",
            [path.name],
        )
    stated_hz = sidecars.properties.get("PowerLineFrequency", "n/a")
    if stated_hz != "n/a" and sidecars.line_freq_hz is None:
        sentence = "PowerLineFrequency is not a number from 1 to 1000, and is ignored ({})."
        findings.add(sentence, [path.name])
    unit = ""
    if not options.unit:
        units = {name: unit for name, unit in header_units(raw, path).items() if name in eeg}
        unit = _compare_units(units, {name: c.unit for name, c in stated.items()}, path, findings)
    return BidsSignal(
        duration_s=raw.n_times / float(raw.info["sfreq"]),
        sfreq_hz=float(raw.info["sfreq"]),
        eeg=eeg,
        stated=any(channel.type for channel in stated.values()),
        eog=_eog(sidecars, types, path, findings),
        bads=tuple(name for name in raw.info["bads"] if name in eeg and ";" not in name),
        line_freq_hz=sidecars.line_freq_hz,
        unit=unit,
    )


def _compare_units(
    units: dict[str, str], stated: dict[str, str], path: Path, findings: Findings
) -> str:
    """Report units of channels.tsv that contradict those of the file.

    Returns the unit of channels.tsv if all EEG channels have it and the file states none, else an
    empty text.
    """
    different: dict[tuple[str, str], list[str]] = {}
    for name, unit in units.items():
        text = stated.get(name, "")
        if text and parse_unit(text) != parse_unit(unit):
            different.setdefault((text, unit), []).append(name)
    if path.suffix.lower() == ".set" and [len(n) for n in different.values()] == [len(units)]:
        ((text, _),) = different
        if parsed := parse_unit(text):
            findings.add(
                f"channels.tsv states the unit {text}, which is used: EEGLAB files state none "
                "({}).",
                [path.name],
            )
            return parsed
    for (text, unit), names in different.items():
        findings.add(
            f"channels.tsv states the unit {text} for {shorten(names, 4)}, and the file {unit}, "
            "which is used; --eeg-unit states another one ({}).",
            [path.name],
        )
    return ""


def _eog(
    sidecars: BidsSidecars, types: dict[str, str], path: Path, findings: Findings
) -> tuple[str, ...]:
    """Return the EOG channels: the derivations that Milmer wrote, or the channels of this type."""
    channels = tuple(name for name, kind in types.items() if kind == "eog" and ";" not in name)
    stated = sidecars.properties.get(EOG_PROPERTY)
    derivations = channels
    if isinstance(stated, list) and all(isinstance(text, str) for text in stated):
        derivations = tuple(stated)
    try:
        find_derivations(derivations, list(types), str(path))
    except InputError as error:
        findings.add(f"EOG channels are not used: {error.message.rstrip('.')}.")
        return ()
    return derivations


def channels_to_list(signals: Sequence[BidsSignal], findings: Findings) -> tuple[str, ...]:
    """Return the channels for the column ``eeg_channels``; empty if their names are sufficient.

    Channels of type EEG that all recordings have are listed if most have no names of electrodes, as
    those of EGI nets (E1, E2, ...).
    """
    typed = [signal for signal in signals if signal.stated]
    names = [name for signal in typed for name in signal.eeg]
    n_electrodes = sum(len(find_electrodes(signal.eeg).electrodes) for signal in typed)
    if len(typed) < len(signals) or 2 * n_electrodes >= len(names):
        return ()
    common = set.intersection(*({canonical_name(n) for n in signal.eeg} for signal in typed))
    listed = tuple(name for name in typed[0].eeg if canonical_name(name) in common)
    if listed:
        findings.add(
            f"The {len(listed)} channels of type EEG that all recordings have are used; their "
            "names are not those of the 10-05 system, so their positions are unknown."
        )
    return listed


def channel_rows(raw: Any, units: dict[str, str]) -> list[dict[str, object]]:
    """Return the rows of channels.tsv; MNE holds volts, so a converted file has microvolts."""
    return [
        {
            "name": name,
            "type": _TYPES.get(kind, "OTHER"),
            "units": _spelled(units.get(name, "uV")) if kind in ("eeg", "eog") else None,
            "sampling_frequency": float(raw.info["sfreq"]),
            "status": "bad" if name in raw.info["bads"] else "good",
        }
        for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True)
    ]


def _spelled(unit: str) -> str:
    """Return a unit as BIDS spells it."""
    return (parse_unit(unit) or unit).replace("uV", "\u00b5V")


def unlisted_types(raw: Any, eeg_channels: Sequence[str], path: Path) -> dict[str, str]:
    """Return the type misc for the EEG channels that ``eeg_channels`` of a manifest leaves out."""
    if not eeg_channels:
        return {}
    types = raw.get_channel_types()
    used = set(match_file(eeg_channels, raw.ch_names, types, path).found.values())
    pairs = zip(raw.ch_names, types, strict=True)
    return {name: "misc" for name, kind in pairs if kind == "eeg" and name not in used}
