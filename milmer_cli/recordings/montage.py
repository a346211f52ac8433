"""A recording with any cap -> the channels that a model was trained on, by name and place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import mne
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.artefacts import interpolate
from milmer_cli.recordings.channels import TWENTE, few
from milmer_cli.recordings.eeg import CleanEeg

SYNONYMS = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
"""The old names of the 10-20 system, and those of the 10-10 system for the same places."""

_PREFIX = re.compile(r"^(eeg|pol)[\s:_-]+")
_REFERENCE = re.compile(
    r"[\s:_-]+(ref\s*\(.*|\(?(ref|le|re|avg|av|ar|lm|rm|[am][12]|[am]1[+\-/]?[am]2)\)?(/2)?)$"
)
_AGAINST = re.compile(r"^(.+)-([a-z]+\d*)$")
_NUMBERED = re.compile(r"^(.+)-\d+$")
_FEWEST_ALIKE = 4
"""Channels that end in the same electrode, and no other, from which on it is their reference."""

_BIOSEMI = {32: TWENTE}
"""BioSemi's caps whose electrodes are also called A1, A2, ..., in that order."""


@dataclass(frozen=True)
class ChannelMatch:
    """Which channels of a file stand for those of a model.

    Attributes
    ----------
    found
        Name of the model -> name in the file.
    missing
        Channels of the model that the file lacks.
    extra
        EEG channels of the file that the model does not know.
    """

    found: dict[str, str]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def renamed(self) -> dict[str, str]:
        """Name of the model -> another name of the electrode: not only written otherwise."""
        return {wanted: name for wanted, name in self.found.items() if _bare(name) != _bare(wanted)}


def match_channels(wanted: Sequence[str], present: Sequence[str], where: str) -> ChannelMatch:
    """Find a model's channels in a file by name.

    Case, spaces, dots, ``EEG`` or ``POL`` before and the reference after a name do not matter (an
    electrode is one where all channels with a dash end in it: Fp1-CPz, Fp2-CPz, ...), nor whether
    T3/T4/T5/T6 or T7/T8/P7/P8 is written; BioSemi's A1 to A32 are taken by their places in the cap.

    Parameters
    ----------
    wanted
        Channels of the model.
    present
        EEG channels of the file.
    where
        What to call the file in a message.

    Raises
    ------
    InputError
        More than one channel could be meant.
    """
    spelt: dict[str, list[str]] = {}
    for name, meaning in zip(present, _meanings(present), strict=True):
        spelt.setdefault(meaning, []).append(name)
    found, missing = {}, []
    for name in wanted:
        candidates = spelt.get(canonical(name), [])
        exact = [other for other in candidates if _plain(other) == _plain(name)]
        candidates = exact or candidates
        if len(candidates) > 1:
            listed = ", ".join(candidates)
            raise InputError(
                f"{name} is there {len(candidates)} times in {where} (read as {listed})."
                if all(_NUMBERED.match(other) for other in candidates)
                else f"{where} has more than one channel that could be {name}: {listed}.",
                "Rename or remove one of them, so that it is clear which is meant.",
            )
        if candidates:
            found[name] = candidates[0]
        else:
            missing.append(name)
    used = set(found.values())
    return ChannelMatch(found, tuple(missing), tuple(x for x in present if x not in used))


def canonical(name: str) -> str:
    """Give the one spelling under which all names of an electrode are the same."""
    return SYNONYMS.get(_bare(name), _bare(name))


def _bare(name: str) -> str:
    """Leave out how a name is written: case, spaces, dots, ``EEG`` and the reference."""
    return _plain(_REFERENCE.sub("", _PREFIX.sub("", name.strip().lower())))


def _plain(name: str) -> str:
    return re.sub(r"[\s.]", "", name.lower())


def _meanings(present: Sequence[str]) -> list[str]:
    names = [canonical(name) for name in _without_endings([_bare(name) for name in present])]
    for size, cap in _BIOSEMI.items():
        numbered = {f"a{number}": cap[number - 1] for number in range(1, size + 1)}
        others = {canonical(electrode) for electrode in cap}
        if set(numbered) <= set(names) and not others & set(names) and "b1" not in names:
            return [canonical(numbered.get(name, name)) for name in names]
    return names


def _without_endings(names: list[str]) -> list[str]:
    """Leave out a reference that all share, and the numbers that mne gives to equal names."""
    against = [match for name in names if (match := _AGAINST.match(name))]
    if len(against) >= _FEWEST_ALIKE and len({match[2] for match in against}) == 1:
        names = [_AGAINST.sub(r"\1", name) for name in names]
    ends = [_NUMBERED.match(name) for name in names]
    twice = Counter(match[1] for match in ends if match)
    return [
        match[1] if match and twice[match[1]] > 1 else name
        for name, match in zip(names, ends, strict=True)
    ]


def fill_missing(eeg: CleanEeg, wanted: Sequence[str]) -> CleanEeg:
    """Add channels that a recording lacks, by spherical splines through those it has.

    Referencing and regression are linear, so the result is what cleaning with the interpolated
    channels would have given.

    Parameters
    ----------
    eeg
        Clean EEG of some of the channels.
    wanted
        All channels, in the order to return.

    Raises
    ------
    InputError
        The place of a channel is not known by its name.
    """
    missing = [name for name in wanted if name not in eeg.channels]
    if not missing:
        order = [eeg.channels.index(name) for name in wanted]
        return replace(eeg, data=eeg.data[order], channels=tuple(wanted))
    data = np.zeros((len(wanted), eeg.data.shape[1]))
    for row, name in enumerate(wanted):
        if name in eeg.channels:
            data[row] = eeg.data[eeg.channels.index(name)]
    info = mne.create_info(list(wanted), eeg.sfreq, "eeg", verbose="error")
    absent = dict.fromkeys(missing, "not in the file")
    done, _ = interpolate(data, wanted, info, absent, most=1.0)  # who calls has set the limit
    if not done:
        raise InputError(
            f"The recording lacks {few(missing)}, and where these electrodes lie is not "
            "known, so they cannot be interpolated.",
            "Use names of the 10-20 or 10-05 system, or predict from the video: --no-eeg.",
        )
    data -= data.mean(axis=0)
    interpolated = tuple(dict.fromkeys((*eeg.interpolated, *missing)))
    return replace(eeg, data=data, channels=tuple(wanted), interpolated=interpolated)


def head_places(names: Sequence[str]) -> np.ndarray:
    """Where electrodes lie on a head seen from above, nose up: (n, 2), the head's rim at radius 1.

    The angle from the top of the head becomes the distance from the middle; NaN where a name is
    not of the 10-05 system.
    """
    built_in = mne.channels.get_builtin_montages()
    name = "colin27_1005" if "colin27_1005" in built_in else "standard_1005"  # renamed in mne 1.13
    montage = mne.channels.make_standard_montage(name).get_positions()["ch_pos"]
    places = {canonical(name): at for name, at in montage.items()}
    centre = np.mean([places["t7"], places["t8"], places["fpz"], places["oz"]], axis=0)
    flat = np.full((len(names), 2), np.nan)
    for row, name in enumerate(names):
        if (at := places.get(canonical(name))) is not None:
            x, y, z = at - centre
            across = float(np.hypot(x, y))
            radius = np.arctan2(across, z) / (np.pi / 2)
            flat[row] = (x / across * radius, y / across * radius) if across else (0, 0)
    return flat
