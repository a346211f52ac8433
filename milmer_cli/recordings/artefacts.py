"""What is not brain in a filtered recording: broken channels and eye movements.

Everything here works on arrays of microvolts, (n_channels, n_samples).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal

import mne
import numpy as np

from milmer_cli.recordings.channels import few

FLAT, WILD = 0.05, 6.0
"""A channel is flat (wild) when its robust amplitude is below (above) this many times the median
channel's. Intact channels, over the eyes and the temples too, stay within a factor of about 3."""

MOST_BAD = 0.25
"""When more than this share of the channels is bad, the rest cannot vouch for them."""

NO_EYES = "No channel shows the eyes, so eye artefacts were not removed."

SWING_S = 0.25
"""Stretch over which `swing` looks: at most half of the shortest segment."""

_ALIVE_UV = 0.5
_EYE_CORRELATION = 0.5
_EYE_BAND_HZ = (1.0, 10.0)
_ICA_SAMPLES = 100_000


def find_bad_channels(data: np.ndarray, names: Sequence[str]) -> dict[str, str]:
    """Return the flat and wild channels: name -> why.

    Amplitudes are 1.48 times the median absolute value, so bursts do not count. Wild channels are
    sought once the median over channels is off, so that what all electrodes share hides none.
    """
    shared = np.median(data, axis=0)
    own = np.array([_amplitude(signal) for signal in data])
    apart = np.array([_amplitude(signal - shared) for signal in data])
    usual_own, usual_apart = float(np.median(own)), float(np.median(apart))
    bad = {}
    for name, alone, away in zip(names, own, apart, strict=True):
        if alone < FLAT * max(usual_own, _ALIVE_UV):  # where most are dead, the median is too
            bad[name] = f"flat: {alone:.2g} microvolts where the median channel has {usual_own:.2g}"
        elif usual_apart >= _ALIVE_UV and away > WILD * usual_apart:
            bad[name] = (
                f"wild: {away:.3g} microvolts where the median channel has {usual_apart:.2g}"
            )
    return bad


def swing(data: np.ndarray, sfreq: float) -> np.ndarray:
    """Give (n_channels, n_stretches) float32: peak-to-peak in each whole stretch of `SWING_S`."""
    length = round(SWING_S * sfreq)
    whole = data.shape[1] // length
    stretches = data[:, : whole * length].reshape(len(data), whole, length)
    return np.ptp(stretches, axis=2).astype(np.float32)


def flat_segments(swings: np.ndarray, starts_s: np.ndarray, segment_s: float) -> np.ndarray:
    """Give (n_segments, n_channels): whether no stretch of a segment (see `swing`) shows life."""
    first = np.ceil(starts_s / SWING_S - 1e-6).astype(int)
    count = max(1, int(segment_s / SWING_S) - 1)  # those that lie in it wherever it begins
    at = np.clip(first[:, None] + np.arange(count), 0, swings.shape[1] - 1)
    flat: np.ndarray = np.all(swings[:, at] < _ALIVE_UV, axis=2)
    return flat.T


def _amplitude(signal: np.ndarray) -> float:
    """Estimate the standard deviation, whatever a few bursts do."""
    return 1.4826 * float(np.median(np.abs(signal)))


def interpolate(
    data: np.ndarray,
    names: Sequence[str],
    info: mne.Info,
    bad: Mapping[str, str],
    most: float = MOST_BAD,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Replace bad channels in place by spherical splines through the others.

    Parameters
    ----------
    info
        Of the rows of ``data``, in order; its electrode positions are used where it has them, else
        those of the standard 10-05 system by name.
    most
        The share of the channels up to which they are replaced.

    Returns
    -------
    interpolated, notes
        The channels replaced; one sentence for each bad channel.
    """
    if not bad:
        return (), ()
    listed = few([f"{name} ({why})" for name, why in bad.items()], between="; ")
    if len(bad) > most * len(names):
        return (), (f"{len(bad)} of {len(names)} channels are bad and were kept: {listed}.",)
    info = mne.pick_info(info, range(len(names)), copy=True)
    with mne.utils.use_log_level("error"):
        mne.rename_channels(info, dict(zip(info["ch_names"], names, strict=True)))
        if not _has_positions(info):
            montage = mne.channels.make_standard_montage("standard_1005")
            info.set_montage(montage, match_case=False, on_missing="ignore")
        if not _has_positions(info):
            return (), (f"Bad channels were kept, as electrode positions are not known: {listed}.",)
        # splines are linear, so what they do to the identity is the matrix to apply
        unit = mne.EvokedArray(np.eye(len(names)), info)
        unit.info["bads"] = list(bad)
        weights = unit.interpolate_bads().data
    rows = [index for index, name in enumerate(names) if name in bad]
    data[rows] = weights[rows] @ data
    return tuple(bad), (f"Interpolated from their neighbours: {listed}.",)


def _has_positions(info: mne.Info) -> bool:
    places = np.array([channel["loc"][:3] for channel in info["chs"]])
    return bool(np.isfinite(places).all() and (np.abs(places).sum(axis=1) > 0).all())


def remove_eog(
    data: np.ndarray,
    eyes: np.ndarray,
    sfreq: float,
    method: Literal["regression", "ica"],
    rank: int,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Take eye movements out of average-referenced EEG, in place.

    Parameters
    ----------
    data
        (n_channels, n_samples), filtered.
    eyes
        (n_eyes, n_samples), filtered alike; may have no rows.
    method
        ``regression`` subtracts each eye signal times its least-squares weight in each channel;
        ``ica`` removes the independent components that follow an eye signal.
    rank
        Of ``data``: one less than its channels for the reference, less those interpolated.

    Returns
    -------
    components, notes
        The independent components removed; what a reader should know.
    """
    alive = [signal for signal in eyes if _amplitude(signal) >= _ALIVE_UV]
    if not alive:
        return (), (NO_EYES,)
    eyes = np.array(alive)
    eyes -= eyes.mean(axis=1, keepdims=True)
    if method == "regression":
        weights = np.linalg.lstsq(eyes @ eyes.T, eyes @ data.T, rcond=None)[0].T
        for signal, weight in zip(data, weights, strict=True):
            signal -= weight @ eyes
        return (), ()
    return _remove_components(data, eyes, sfreq, rank)


def _remove_components(
    data: np.ndarray, eyes: np.ndarray, sfreq: float, rank: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    info = mne.create_info([f"EEG{index}" for index in range(len(data))], sfreq, "eeg")
    raw = mne.io.RawArray(data * 1e-6, info, verbose="error")
    # more components than the rank would make the algorithm blow up rounding errors
    ica = mne.preprocessing.ICA(
        n_components=rank, method="fastica", max_iter=1000, random_state=0, verbose="error"
    )
    with warnings.catch_warnings(record=True) as caught, mne.utils.use_log_level("error"):
        warnings.simplefilter("always")
        ica.fit(raw, decim=max(1, data.shape[1] // _ICA_SAMPLES))
    sources = ica.get_sources(raw).get_data(verbose="error")
    slow = mne.filter.filter_data(
        np.concatenate([sources, eyes]), sfreq, *_EYE_BAND_HZ, verbose="error"
    )
    alike = np.abs(np.corrcoef(slow))[: len(sources), len(sources) :].max(axis=1)
    found = tuple(int(index) for index in np.flatnonzero(alike > _EYE_CORRELATION))
    ica.apply(raw, exclude=list(found), verbose="error")
    data[:] = raw.get_data(verbose="error") * 1e6
    followed = ", ".join(f"{index} (r = {alike[index]:.2f})" for index in found) or "none"
    notes = [f"Of {rank} independent components, removed as eye artefacts: {followed}."]
    if any("converge" in str(warning.message) for warning in caught):
        notes.append("The independent component analysis did not converge.")
    return found, tuple(notes)
