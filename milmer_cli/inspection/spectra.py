"""Power spectra of participants and of single segments (Welch's method)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import welch

from milmer_cli.store import PreparedParticipant

WINDOW_S = 2.0
SEGMENTS_PER_PARTICIPANT = 40


@dataclass(frozen=True, eq=False)
class Spectra:
    """Median power spectral density of each participant with EEG.

    Attributes
    ----------
    participants
        Names of the rows.
    frequencies
        (n_frequencies,) Hz.
    density
        (n_participants, n_frequencies) square microvolts per hertz.
    max_frequency_hz
        Upper limit of the pass band of the EEG filter.
    """

    participants: tuple[str, ...]
    frequencies: np.ndarray
    density: np.ndarray
    max_frequency_hz: float


def power_spectrum(eeg: np.ndarray, sfreq: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the spectrum of each channel.

    Parameters
    ----------
    eeg
        (n_channels, n_samples) microvolts.
    sfreq
        Sampling rate in Hz.

    Returns
    -------
    frequencies, density
        (n_frequencies,) Hz and (n_channels, n_frequencies) square microvolts per hertz.
    """
    return welch(eeg, sfreq, nperseg=min(eeg.shape[-1], round(WINDOW_S * sfreq)))


def median_spectrum(participant: PreparedParticipant) -> tuple[np.ndarray, np.ndarray]:
    """Compute a participant's median spectrum over channels and evenly distributed segments.

    Returns
    -------
    frequencies, density
        (n_frequencies,) Hz and (n_frequencies,) square microvolts per hertz.
    """
    rows = np.flatnonzero(participant.eeg_found)
    positions = np.linspace(0, len(rows) - 1, SEGMENTS_PER_PARTICIPANT).astype(int)
    spectra = [
        power_spectrum(participant.eeg[row], participant.sfreq)
        for row in rows[np.unique(positions)].tolist()
    ]
    density = np.median([np.median(density, axis=0) for _, density in spectra], axis=0)
    return spectra[0][0], density
