"""Segments of EEG as epochs of MNE, in volts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mne
import numpy as np

from milmer_cli.eeg.channels import electrode_names, montage_1005, montage_names


def make_epochs(
    eeg: np.ndarray,
    sfreq: float,
    channels: Sequence[str],
    trial: np.ndarray,
    bads: Sequence[str] = (),
    metadata: Any = None,
) -> mne.EpochsArray:
    """Create epochs of MNE.

    Parameters
    ----------
    eeg : (n_segments, n_channels, n_samples)
        Microvolts.
    sfreq
        Sampling rate, in Hz.
    channels
        Names of the channels. Electrodes of the 10-05 system get their position.
    trial : (n_segments,)
        Number of the trial of each segment, the code of its event.
    bads
        Bad channels.
    metadata
        Data frame with one row per segment, or None.
    """
    info = mne.create_info(list(channels), sfreq, "eeg")
    info["bads"] = list(bads)
    info.set_montage(_montage(channels), on_missing="ignore", verbose="error")
    # events need distinct samples; the segments follow each other as if without a gap
    samples = np.arange(len(eeg)) * eeg.shape[2]
    events = np.column_stack([samples, np.zeros_like(samples), trial])
    return mne.EpochsArray(
        eeg * 1e-6,
        info,
        events,
        event_id={f"trial {number}": int(number) for number in np.unique(trial)},
        metadata=metadata,
        verbose="error",
    )


def _montage(channels: Sequence[str]) -> mne.channels.DigMontage:
    """Return the positions of the 10-05 system under the names of the channels."""
    positions, spellings = montage_1005().get_positions(), montage_names()
    electrodes = zip(channels, electrode_names(channels), strict=True)
    return mne.channels.make_dig_montage(
        {
            channel: positions["ch_pos"][spellings[electrode]]
            for channel, electrode in electrodes
            if electrode in spellings
        },
        **{key: positions[key] for key in ("nasion", "lpa", "rpa", "coord_frame")},
    )
