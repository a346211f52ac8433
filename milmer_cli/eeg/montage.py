"""Matching the channels of a recording to those of a model; interpolating the missing ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mne
import numpy as np

from milmer_cli.eeg.bad_channels import window_edges
from milmer_cli.eeg.channels import (
    average_reference,
    biosemi_128_labels,
    canonical_name,
    electrode_names,
    is_biosemi_128,
    is_numbered,
    montage_1005,
    montage_names,
    same_spelling,
    stripped_name,
)
from milmer_cli.eeg.preprocess import PreprocessedEeg
from milmer_cli.eeg.reference import repair_channels
from milmer_cli.eeg.splines import electrode_splines
from milmer_cli.errors import InputError, shorten


@dataclass(frozen=True)
class ChannelMatch:
    """Correspondence between the channels of a model and those of a file.

    Attributes
    ----------
    found
        Channel of the model -> channel of the file.
    missing
        Channels of the model that are not in the file.
    extra
        EEG channels of the file that the model does not use.
    """

    found: dict[str, str]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def renamed(self) -> dict[str, str]:
        """Channels matched by a synonym (T3 for T7), not only by another spelling of the name."""
        return {
            wanted: name
            for wanted, name in self.found.items()
            if stripped_name(name) != stripped_name(wanted)
        }


def match_channels(wanted: Sequence[str], present: Sequence[str], where: str) -> ChannelMatch:
    """Find the channels of a model in a file by name.

    The following do not affect the match: case, spaces, dots; the prefixes ``EEG`` and ``POL``; a
    reference after the name (``Fp1-A1``; also any other electrode if all names with a dash end in
    it: Fp1-CPz, Fp2-CPz, ...); 10-20 or 10-10 names (T3/T4/T5/T6 or T7/T8/P7/P8); a serial number
    (``1-Fp1``) and a unit (``Fp1 [uV]``). The labels of BioSemi's 32- and 64-channel caps are
    matched by their position in the cap, those of the 128-channel cap by the nearest electrode.

    Parameters
    ----------
    wanted
        Channels of the model.
    present
        EEG channels of the file.
    where
        Name of the file for a message.

    Raises
    ------
    InputError
        More than one channel of the file matches a channel of the model.
    """
    by_electrode: dict[str, list[str]] = {}
    for name, electrode in zip(present, electrode_names(present), strict=True):
        by_electrode.setdefault(electrode, []).append(name)
    nearest: dict[str, str] = {}
    # C1 to C6 are labels of the cap and electrodes of the 10-20 system at other positions
    if is_biosemi_128(present) and {canonical_name(name) for name in wanted} <= set(
        montage_names()
    ):
        nearest = biosemi_128_labels()
    found: dict[str, str] = {}
    missing = []
    for name in wanted:
        electrode = canonical_name(name)
        if nearest:
            candidates = by_electrode.get(nearest.get(electrode, ""), [])
        else:
            exact = [other for other in present if same_spelling(other, name)]
            candidates = exact or by_electrode.get(electrode, [])
        candidates = [other for other in candidates if other not in found.values()]
        if len(candidates) > 1:
            listed = ", ".join(candidates)
            raise InputError(
                f"{where} has {len(candidates)} channels named {name} (MNE lists them as {listed})."
                if all(is_numbered(other) for other in candidates)
                else f"{where} has more than one channel that could be {name}: {listed}.",
                "Rename or remove all but one of them.",
            )
        if candidates:
            found[name] = candidates[0]
        else:
            missing.append(name)
    used = set(found.values())
    return ChannelMatch(found, tuple(missing), tuple(x for x in present if x not in used))


def select_electrodes(
    raw: mne.io.BaseRaw, match: ChannelMatch, eog: tuple[tuple[str, ...], ...] = ()
) -> tuple[tuple[str, ...], ...]:
    """Keep the matched channels, the EOG and the trigger channels; rename the matched ones.

    Prepare and predict call it, so that no other channel can enter the average reference.

    Parameters
    ----------
    raw
        The recording, changed in place.
    match
        Result of `match_channels`.
    eog
        EOG channels or pairs, in the names of the file.

    Returns
    -------
    tuple
        ``eog`` in the new names.
    """
    if is_biosemi_128(raw.ch_names) and raw.get_montage() is None:
        with mne.utils.use_log_level("error"):
            raw.set_montage("biosemi128", match_case=False, on_missing="ignore")
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    wanted = [*match.found.values(), *(name for pair in eog for name in pair)]
    wanted += [name for name, channel_type in types.items() if channel_type in ("eog", "stim")]
    raw.pick(list(dict.fromkeys(wanted)), verbose="error")
    renames = {name: wanted_name for wanted_name, name in match.found.items()}
    raw.rename_channels(renames, verbose="error")
    return tuple(tuple(renames.get(name, name) for name in pair) for pair in eog)


def interpolate_missing_channels(eeg: PreprocessedEeg, wanted: Sequence[str]) -> PreprocessedEeg:
    """Add the channels that a recording lacks, by spherical splines, and sort the channels.

    Interpolation, average reference and regression are linear, so the result equals a
    preprocessing in which the channels had been interpolated first.

    Parameters
    ----------
    eeg
        Preprocessed EEG of some of the channels.
    wanted
        All channels, in the order to return.

    Raises
    ------
    InputError
        The position of a missing channel is not known.
    """
    missing = [name for name in wanted if name not in eeg.channels]
    rows = [wanted.index(name) for name in eeg.channels]
    n_windows = len(window_edges(eeg.data.shape[1], eeg.sfreq)) - 1
    data = np.zeros((len(wanted), eeg.data.shape[1]))
    bad, interpolated = np.ones((2, len(wanted), n_windows), bool)
    data[rows] = eeg.data
    bad[rows], interpolated[rows] = (
        (eeg.bad, eeg.interpolated_windows) if eeg.bad.size else (False, False)
    )
    if missing:
        _fill_missing(data, bad & ~interpolated, missing, wanted, eeg.sfreq)
    return replace(
        eeg,
        data=data,
        channels=tuple(wanted),
        interpolated=tuple(dict.fromkeys((*eeg.interpolated, *missing))),
        bad=bad,
        interpolated_windows=interpolated,
    )


def _fill_missing(
    data: np.ndarray, kept: np.ndarray, missing: Sequence[str], wanted: Sequence[str], sfreq: float
) -> None:
    """Interpolate the missing rows in place, without the bad channels that were kept."""
    splines = electrode_splines(mne.create_info(list(wanted), sfreq, "eeg"), wanted)
    if splines is None:
        raise InputError(
            f"The recording lacks {shorten(missing)}, and the positions of these electrodes are "
            "not known, so they cannot be interpolated.",
            "Use names of the 10-20 or 10-05 system, or predict from the video: --no-eeg.",
        )
    absent = [wanted.index(name) for name in missing]
    unusable, complete = kept.copy(), data.copy()
    unusable[absent] = True
    # the caller has already limited the number of missing channels
    average, _ = repair_channels(complete, unusable, sfreq, splines, max_bad=1.0)
    data[absent] = complete[absent]
    if average_reference(wanted)[0]:
        data -= average


def interpolation_matrix(channels: Sequence[str], missing: Sequence[str]) -> np.ndarray | None:
    """Return the linear map that interpolates missing channels by spherical splines.

    The map also applies the average reference again, if the channels have it
    (see `milmer_cli.eeg.channels.average_reference`).

    Parameters
    ----------
    channels
        All channels, in order.
    missing
        Channels to interpolate from the others.

    Returns
    -------
    ndarray, shape (n_channels, n_channels), or None
        None if the position of a channel is not known.
    """
    matrix = np.eye(len(channels))
    if missing:
        splines = electrode_splines(mne.create_info(list(channels), 1.0, "eeg"), channels)
        if splines is None:
            return None
        absent = np.isin(channels, missing)
        matrix[absent] = splines.weights(~absent)[absent]
    if average_reference(channels)[0]:
        matrix -= matrix.mean(axis=0)
    return matrix


def electrode_info(names: Sequence[str], sfreq: float) -> mne.Info | None:
    """Return MNE's info of electrodes, with MNE's spelling of their names and their positions.

    Parameters
    ----------
    names
        Names of the channels.
    sfreq
        Sampling rate, in Hz.

    Returns
    -------
    mne.Info or None
        None if a channel is not an electrode of the 10-05 system, or occurs twice.
    """
    known = montage_names()
    spelled = [known.get(canonical_name(name), "") for name in names]
    if not all(spelled) or len(set(spelled)) < len(spelled):
        return None
    return mne.create_info(spelled, sfreq, "eeg").set_montage(montage_1005())


def head_positions(names: Sequence[str]) -> np.ndarray:
    """Return electrode positions in a top view of the head.

    Parameters
    ----------
    names
        Electrodes of the 10-05 system.

    Returns
    -------
    ndarray, shape (n, 2)
        Azimuthal equidistant projection: the nose points up, the rim of the head has radius 1, and
        the distance from the center is the angle from the vertex. NaN for unknown names.
    """
    montage = montage_1005().get_positions()["ch_pos"]
    positions = {canonical_name(name): position for name, position in montage.items()}
    center = np.mean([positions["t7"], positions["t8"], positions["fpz"], positions["oz"]], axis=0)
    projected = np.full((len(names), 2), np.nan)
    for row, name in enumerate(names):
        if (position := positions.get(canonical_name(name))) is not None:
            x, y, z = position - center
            horizontal = float(np.hypot(x, y))
            radius = np.arctan2(horizontal, z) / (np.pi / 2)
            projected[row] = (
                (x / horizontal * radius, y / horizontal * radius) if horizontal else (0, 0)
            )
    return projected
