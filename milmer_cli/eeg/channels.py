"""Names and orders of EEG channels: which channels are electrodes, and lookup by name.

A channel of a recording is an electrode if its name, in any usual spelling, is on the 10-05 montage
or is a label of a complete BioSemi cap, or if the user lists it in ``eeg_channels``. Other channels
(counters, contact quality, triggers, ECG, ...) never enter the average reference.

Both recording sites of DEAP used the 32 electrodes of BioSemi's small cap, but stored them in
different orders. The preprocessed files of both sites have the order of Geneva.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import mne

from milmer_cli.errors import InputError, shorten

# fmt: off
TWENTE = (
    "Fp1", "AF3", "F7", "F3", "FC1", "FC5", "T7", "C3",
    "CP1", "CP5", "P7", "P3", "Pz", "PO3", "O1", "Oz",
    "O2", "PO4", "P4", "P8", "CP6", "CP2", "C4", "T8",
    "FC6", "FC2", "F4", "F8", "AF4", "Fp2", "Fz", "Cz",
)
# fmt: on
"""Channel order in the raw files of DEAP's participants 1-22."""

# fmt: off
GENEVA = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7",
    "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz",
    "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)
# fmt: on
"""Channel order in the raw files of participants 23-32 and in all preprocessed files of DEAP; the
order in which Milmer stores DEAP."""

DEAP_EOG = (("EXG1", "EXG2"), ("EXG3", "EXG4"))
"""Bipolar EOG derivations of DEAP's BDF files: horizontal, vertical."""

SYNONYMS = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
"""Names of the 10-20 system -> names of the 10-10 system for the same positions."""

MIN_AVERAGE_REFERENCE = 8
"""Recordings with fewer electrodes keep their own reference: the average of a few electrodes is
mostly their common brain signal, and each electrode would contain a large share of itself."""

_PREFIX = re.compile(r"^(eeg|pol)[\s:_.-]+")
_ATTACHED_PREFIX = re.compile(r"^eeg|^\d+[-_.:]+")
_UNIT_SUFFIX = re.compile(r"\s*[\[(]\s*[nu\u00b5\u03bcm]?v(olts?)?\s*[\])]$")
_REFERENCE_SUFFIX = re.compile(
    r"[\s:_-]+(ref\s*\(.*|\(?(ref|le|re|avg|av|ar|lm|rm|[am][12]|[am]1[+\-/]?[am]2)\)?(/2)?)$"
)
_BIPOLAR = re.compile(r"^(.+)-([a-z]+\d*)$")
_NUMBERED = re.compile(r"^(.+)-\d+$")
_EARS = {"a1", "a2", "m1", "m2"}
_MIN_COMMON_REFERENCE = 4
"""If at least this many channels end in the same electrode, and no channel ends in another one, it
is their common reference; otherwise the names are bipolar derivations."""

BIOSEMI_128 = tuple(f"{letter}{number}" for letter in "ABCD" for number in range(1, 33))
"""Labels of BioSemi's 128-channel cap, whose positions are not those of the 10-05 system."""


@dataclass(frozen=True)
class Electrodes:
    """The channels of a recording by their names.

    Attributes
    ----------
    electrodes
        Channel -> its name without prefix, reference and unit, in the spelling of the file if that
        is a name of the 10-05 montage, and in MNE's spelling otherwise.
    bipolar
        Differences of two electrodes, such as ``Fp1-F7``.
    other
        Channels that are not electrodes.
    """

    electrodes: dict[str, str]
    bipolar: tuple[str, ...]
    other: tuple[str, ...]

    def require_unique(self, where: str) -> None:
        """Raise `InputError` if two channels have names of one electrode, such as T3 and T7."""
        by_electrode: dict[str, list[str]] = {}
        for name, electrode in self.electrodes.items():
            by_electrode.setdefault(canonical_name(electrode), []).append(name)
        for names in by_electrode.values():
            if len(names) > 1:
                raise InputError(
                    f"{where} has {len(names)} channels of one electrode: {', '.join(names)}.",
                    "List the channels to use in eeg_channels, or rename one with --channels.",
                )


def find_electrodes(present: Sequence[str]) -> Electrodes:
    """Find the electrodes among the EEG channels of a recording by their names.

    Parameters
    ----------
    present
        All channels that the file declares as EEG, or whose type it does not state.
    """
    montage = montage_names()
    names = electrode_names(present)
    whole_cap = is_biosemi_128(present)
    ears = "a3" not in names  # otherwise A1 and A2 are inputs of the amplifier
    electrodes, bipolar, other = {}, [], []
    for name, electrode in zip(present, names, strict=True):
        if whole_cap and electrode.upper() in BIOSEMI_128:
            electrodes[name] = electrode.upper()
        elif electrode in montage and (electrode not in _EARS or (ears and not is_bipolar(name))):
            spelled = SYNONYMS.get(name.strip().lower(), name.strip().lower()) == electrode
            electrodes[name] = name.strip() if spelled else montage[electrode]
        elif is_bipolar(name):
            bipolar.append(name)
        else:
            other.append(name)
    return Electrodes(electrodes, tuple(bipolar), tuple(other))


def is_bipolar(name: str) -> bool:
    """Whether a channel is named as the difference of two electrodes of the 10-05 montage."""
    text = _PREFIX.sub("", name.strip().lower())
    match = _BIPOLAR.match(stripped_name(name)) or re.fullmatch(r"([am][12])-([am][12])", text)
    return bool(match and {canonical_name(side) for side in match.groups()} <= set(montage_names()))


def average_reference(channels: Sequence[str]) -> tuple[bool, tuple[str, ...]]:
    """Return whether channels are re-referenced to their average, and a note if they are not."""
    if find_electrodes(channels).bipolar:
        return False, (
            "The channels are differences of two electrodes (bipolar), so the average "
            "reference was not applied.",
        )
    if len(channels) < MIN_AVERAGE_REFERENCE:
        return False, (
            f"The recording has {len(channels)} electrodes, fewer than {MIN_AVERAGE_REFERENCE}, so "
            "it keeps its own reference instead of the average reference.",
        )
    return True, ()


@functools.cache
def montage_1005() -> mne.channels.DigMontage:
    """Return MNE's 10-05 montage."""
    built_in = mne.channels.get_builtin_montages()
    name = "colin27_1005" if "colin27_1005" in built_in else "standard_1005"  # renamed in mne 1.13
    return mne.channels.make_standard_montage(name)


@functools.cache
def montage_names() -> dict[str, str]:
    """Return canonical name -> MNE's spelling of the electrodes of the 10-05 montage."""
    names = {name.lower(): name for name in montage_1005().ch_names}
    return {name: spelling for name, spelling in names.items() if name not in SYNONYMS}


def canonical_name(name: str) -> str:
    """Return the one spelling that all names of an electrode map to."""
    electrode = stripped_name(name)
    return SYNONYMS.get(electrode, electrode)


def electrode_names(present: Sequence[str]) -> list[str]:
    """Return the canonical electrode name of every channel of a file."""
    without_suffix = _without_shared_suffixes([stripped_name(name) for name in present])
    names = [canonical_name(name) for name in without_suffix]
    for labels, electrodes in _biosemi_caps().items():
        # B1 and C1 exist only in larger caps, whose labels are at other positions
        larger = {"a32": "b1", "b32": "d1"}[labels[-1]]
        others = set(names) - set(labels)
        if set(labels) <= set(names) and not set(electrodes) & others and larger not in names:
            cap = dict(zip(labels, electrodes, strict=True))
            return [cap.get(name, name) for name in names]
    return names


def is_biosemi_128(present: Sequence[str]) -> bool:
    """Whether the channels include all labels of BioSemi's 128-channel cap."""
    return {name.lower() for name in BIOSEMI_128} <= {stripped_name(name) for name in present}


@functools.cache
def biosemi_128_labels() -> dict[str, str]:
    """Return canonical name -> label (lower case) of the nearest electrode of the 128-channel cap.

    For the 64 electrodes of BioSemi's 64-channel cap; both montages are on the same sphere.
    """
    labels = mne.channels.make_standard_montage("biosemi128").get_positions()["ch_pos"]
    wanted = mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]
    return {
        canonical_name(name): min(
            labels, key=lambda label: float(((labels[label] - position) ** 2).sum())
        ).lower()
        for name, position in wanted.items()
    }


def is_numbered(name: str) -> bool:
    """Whether a name ends in a number that MNE adds to equal names: ``Fp1-0``."""
    return bool(_NUMBERED.match(name))


def same_spelling(first: str, second: str) -> bool:
    """Whether two names differ only in case, spaces and dots."""
    return _normalized(first) == _normalized(second)


@functools.cache
def _biosemi_caps() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Labels of a BioSemi cap -> canonical names of the electrodes in the same order."""
    labels = tuple(label.lower() for label in BIOSEMI_128)
    names = mne.channels.make_standard_montage("biosemi64").ch_names
    return {
        labels[: len(cap)]: tuple(canonical_name(name) for name in cap) for cap in (TWENTE, names)
    }


@functools.cache
def stripped_name(name: str) -> str:
    """Return a channel's name in lower case, without ``EEG``, unit, number and reference."""
    text = _UNIT_SUFFIX.sub("", name.strip().lower())
    prefixed = _ATTACHED_PREFIX.sub("", text)
    text = _normalized(_REFERENCE_SUFFIX.sub("", _PREFIX.sub("", text)))
    if text in montage_names() | SYNONYMS or prefixed == name.strip().lower():
        return text
    # "EEGFp1" and "1-Fp1" are electrodes, but "eeg1" and "1-2" are not
    inner = _normalized(_REFERENCE_SUFFIX.sub("", _PREFIX.sub("", prefixed.strip())))
    return inner if inner in montage_names() | SYNONYMS else text


def _normalized(name: str) -> str:
    return re.sub(r"[\s.]", "", name.lower())


def _without_shared_suffixes(names: list[str]) -> list[str]:
    """Remove a reference that all names share, and the numbers that MNE adds to equal names."""
    bipolar = [match for name in names if (match := _BIPOLAR.match(name))]
    if len(bipolar) >= _MIN_COMMON_REFERENCE and len({match[2] for match in bipolar}) == 1:
        names = [_BIPOLAR.sub(r"\1", name) for name in names]
    numbered = [_NUMBERED.match(name) for name in names]
    counts = Counter(match[1] for match in numbered if match)
    return [
        match[1] if match and counts[match[1]] > 1 else name
        for name, match in zip(names, numbered, strict=True)
    ]


def find_channels(wanted: Sequence[str], present: Sequence[str], where: str) -> list[str]:
    """Return the channels of a file that have the wanted names, in any case and in that order.

    Parameters
    ----------
    wanted
        Names to find.
    present
        Names as spelled in the file.
    where
        Name of the file for a message.

    Returns
    -------
    list
        Names as spelled in the file, in the order of ``wanted``.

    Raises
    ------
    InputError
        The file lacks a channel, or has more than one channel of that name.
    """
    by_lower: dict[str, list[str]] = {}
    for name in present:
        by_lower.setdefault(name.strip().lower(), []).append(name)
    missing = [name for name in wanted if name.lower() not in by_lower]
    if missing:
        raise InputError(
            f"{where} lacks the channel{'s' * (len(missing) > 1)} {shorten(missing, 12)}.",
            f"Its channels: {shorten(present, 12)}.",
        )
    duplicates = [name for name in wanted if len(by_lower[name.lower()]) > 1]
    if duplicates:
        raise InputError(
            f"{where} has more than one channel named {shorten(duplicates, 12)}.",
            "Rename or remove all but one of them.",
        )
    return [by_lower[name.lower()][0] for name in wanted]


def find_derivations(
    texts: Sequence[str], present: Sequence[str], where: str
) -> tuple[tuple[str, ...], ...]:
    """Find EOG channels that are given by name, or as the difference of two names: ``A-B``.

    A channel name may contain a dash itself, so an exact name has priority, and otherwise the dash
    with an existing channel on both sides is the one between the two names.

    Parameters
    ----------
    texts
        Channels or differences.
    present
        Names as spelled in the file.
    where
        Name of the file for a message.

    Returns
    -------
    tuple
        One or two channels for each text, as spelled in the file.

    Raises
    ------
    InputError
        The file lacks a channel, or has more than one channel of that name.
    """
    lowered = {name.strip().lower() for name in present}
    derivations = []
    for text in texts:
        dashes = [index for index, letter in enumerate(text) if letter == "-"]
        pairs = [(text[:index].strip(), text[index + 1 :].strip()) for index in dashes]
        existing = [pair for pair in pairs if {name.lower() for name in pair} <= lowered]
        candidates = existing or (pairs if len(pairs) == 1 else [])
        names = (text,) if text.lower() in lowered or not candidates else candidates[0]
        derivations.append(tuple(find_channels(names, present, where)))
    return tuple(derivations)
