"""Removal of independent components that contain eye artifacts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import mne
import numpy as np
from scipy import stats

from milmer_cli.eeg.channels import canonical_name, montage_1005, montage_names
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

_EOG_CORRELATION, _FRONTAL_CORRELATION, _FRONTAL_KURTOSIS = 0.5, 0.7, 3.0
"""A component is an eye artifact if its correlation with the EOG exceeds the first value. Frontal
electrodes also record the brain, so their limit is higher, and the component must consist of rare
large events, as blinks are: its excess kurtosis exceeds the third value."""

_BAND_HZ = (1.0, 10.0)
_ICA_SAMPLES = 100_000
_HIGH_PASS_HZ = 1.0
"""Slow drifts have more power than blinks and are not independent, so the components are computed
from a copy without them."""

_BLINK = "eye blink"
"""Class of ICLabel for blinks and eye movements."""


def require_icalabel() -> None:
    """Raise an error if the package that the method ``icalabel`` needs is not installed.

    Raises
    ------
    InputError
        mne-icalabel is not installed.
    """
    try:
        import mne_icalabel  # noqa: F401
    except ImportError as error:
        raise InputError(
            "eeg.eog_correction is icalabel, which needs the package mne-icalabel.",
            "Install it with `pip install 'milmer-cli[icalabel]'`, or use another method.",
        ) from error


def remove_components(
    data: np.ndarray,
    eyes: np.ndarray,
    settings: EegSettings,
    rank: int,
    names: Sequence[str],
    is_eog: bool,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Remove the independent components that contain eye artifacts, in place.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts.
    eyes
        (n_signals, n_samples) signals that components of the eyes correlate with. ``icalabel``
        does not use them.
    settings
        Section ``eeg``. With ``eog_correction`` ``icalabel``, the network ICLabel (Pion-Tonachini
        et al. 2019) selects the components that it classifies as eye blinks. It was trained on EEG
        between 1 and 100 Hz with the average reference. Here it gets the EEG as filtered to
        ``band_hz`` and resampled to ``sfreq_hz``, above 1 Hz, and computes the components by the
        extended infomax algorithm.
    rank
        Rank of ``data``, which is the number of components: others would contain only rounding
        errors, which whitening would amplify.
    names
        Names of the channels.
    is_eog
        Whether ``eyes`` are EOG signals; otherwise they also contain brain activity.

    Returns
    -------
    components, notes
        Indices of the removed components; one sentence per finding.

    Raises
    ------
    InputError
        ``icalabel`` is not installed.
    """
    raw = _to_raw(data, names, settings.sfreq_hz)
    fitted = raw
    if settings.band_hz[0] < _HIGH_PASS_HZ:
        fitted = raw.copy().filter(_HIGH_PASS_HZ, None, verbose="error")
    if settings.eog_correction == "icalabel":
        require_icalabel()
        ica, converged = _fit_ica(fitted, rank, ortho=False)
        symbol, (scores, chosen) = "p", _classify_blinks(fitted, ica)
    else:
        ica, converged = _fit_ica(fitted, rank, ortho=True)
        sources = ica.get_sources(raw).get_data(verbose="error")
        symbol, (scores, chosen) = "r", _correlate(sources, eyes, settings.sfreq_hz, is_eog)
    components = tuple(int(index) for index in np.flatnonzero(chosen))
    if components:
        ica.apply(raw, exclude=list(components), verbose="error")
        data[:] = raw.get_data(verbose="error") * 1e6
    listed = ", ".join(f"{index} ({symbol} = {scores[index]:.2f})" for index in components)
    notes = [f"Of {rank} independent components, removed as eye artifacts: {listed or 'none'}."]
    if not converged:
        notes.append("The independent component analysis did not converge.")
    return components, tuple(notes)


def has_positions(names: Sequence[str]) -> bool:
    """Whether all channels are electrodes of the 10-05 montage, as ICLabel needs."""
    return {canonical_name(name) for name in names} <= set(montage_names())


def _to_raw(data: np.ndarray, names: Sequence[str], sfreq: float) -> mne.io.BaseRaw:
    """Return an MNE recording of a copy, with electrode positions where the names have them."""
    spellings = montage_names()
    labels = [spellings.get(canonical_name(name), f"EEG {i}") for i, name in enumerate(names)]
    info = mne.create_info(labels, sfreq, "eeg")
    info.set_montage(montage_1005(), on_missing="ignore", verbose="error")
    return mne.io.RawArray(data * 1e-6, info, verbose="error")


def _fit_ica(raw: mne.io.BaseRaw, rank: int, ortho: bool) -> tuple[mne.preprocessing.ICA, bool]:
    """Fit the components (extended infomax if not ``ortho``); return whether it converged."""
    ica = mne.preprocessing.ICA(
        n_components=rank,
        method="picard",
        fit_params={"ortho": ortho, "extended": True},
        max_iter=1000,
        random_state=0,
        verbose="error",
    )
    with warnings.catch_warnings(record=True) as caught, mne.utils.use_log_level("error"):
        warnings.simplefilter("always")
        ica.fit(raw, decim=max(1, raw.n_times // _ICA_SAMPLES))
    return ica, not any("converge" in str(warning.message) for warning in caught)


def _correlate(
    sources: np.ndarray, eyes: np.ndarray, sfreq: float, is_eog: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of each component with the eyes, and which components are theirs."""
    in_band = mne.filter.filter_data(
        np.concatenate([sources, eyes]), sfreq, *_BAND_HZ, verbose="error"
    )
    correlations = np.abs(np.corrcoef(in_band))[: len(sources), len(sources) :].max(axis=1)
    if is_eog:
        return correlations, correlations > _EOG_CORRELATION
    rare = stats.kurtosis(in_band[: len(sources)], axis=1) > _FRONTAL_KURTOSIS
    return correlations, rare & (correlations > _FRONTAL_CORRELATION)


def _classify_blinks(
    raw: mne.io.BaseRaw, ica: mne.preprocessing.ICA
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of each component's class, and which are classified as blinks."""
    import mne_icalabel

    with warnings.catch_warnings(), mne.utils.use_log_level("error"):
        warnings.simplefilter("ignore")  # the band and the reference are stated in the docs
        classes = mne_icalabel.label_components(raw, ica, method="iclabel")
    return classes["y_pred_proba"], np.array([label == _BLINK for label in classes["labels"]])
