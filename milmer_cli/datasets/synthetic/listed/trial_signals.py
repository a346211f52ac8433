"""Simulate the EEG of a recording with several trials, at any sampling rate, with marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import signal

from milmer_cli.datasets.synthetic.config import (
    SFREQ_HZ,
    ParticipantTruth,
    TrialTruth,
)
from milmer_cli.datasets.synthetic.eeg_signals import simulate_signals
from milmer_cli.datasets.synthetic.effects import GENEVA, POSITIONS
from milmer_cli.datasets.synthetic.listed.trial_marks import mark_wave
from milmer_cli.datasets.synthetic.listed.truth import ListedConfig, ListedTrial

CLEAN_BAND_HZ = (4.0, 45.0)
MAX_OFFSET_UV = 100.0
"""Largest offset of an electrode, apart from the drift."""
MARK_WIDTH = 0.6
"""Distance at which the amplitude of a mark has decreased by a factor of e; a head has radius 1."""


@dataclass(frozen=True)
class Recording:
    """What to simulate.

    Attributes
    ----------
    number
        Number of the recording, unique in the data set: the seed of its noise.
    duration_s
        Whole seconds.
    trials
        Its trials, all of one duration; ``eeg_onset_s`` is their position.
    sfreq_hz
        Sampling rate.
    channels
        Names of electrodes of `GENEVA`.
    mark_channel
        Channel with the marks.
    clean
        Whether artifacts are removed, the reference is the average and the band is
        `CLEAN_BAND_HZ`, as in AMIGOS' preprocessed files.
    """

    number: int
    duration_s: int
    trials: Sequence[ListedTrial]
    sfreq_hz: int
    channels: tuple[str, ...]
    mark_channel: str
    clean: bool = False


def simulate_recording(config: ListedConfig, recording: Recording) -> np.ndarray:
    """Simulate the EEG of a recording.

    Returns
    -------
    (n_channels, duration_s * sfreq_hz) float64
        Microvolts.
    """
    stimulus_s = recording.trials[0].duration_s if recording.trials else config.stimulus_s
    signals = simulate_signals(config.simulation(stimulus_s), _participant(recording))
    eeg = (signals.brain if recording.clean else signals.electrodes).astype(np.float64)
    rows = eeg[[GENEVA.index(name) for name in recording.channels]]
    if recording.clean:
        sos = signal.butter(4, CLEAN_BAND_HZ, "bandpass", fs=SFREQ_HZ, output="sos")
        rows = signal.sosfiltfilt(sos, rows - rows.mean(axis=0), axis=1)
    else:
        offsets_uv = rows.mean(axis=1, keepdims=True)
        rows += np.clip(offsets_uv, -MAX_OFFSET_UV, MAX_OFFSET_UV) - offsets_uv
    ratio = Fraction(recording.sfreq_hz, SFREQ_HZ)
    rows = signal.resample_poly(rows, *ratio.as_integer_ratio(), axis=1, padtype="line")
    rows += np.outer(_mark_weights(recording), _marks_uv(recording, rows.shape[1]))
    return rows


def _mark_weights(recording: Recording) -> np.ndarray:
    """Return the amplitude of the mark in each channel, (n_channels,): 1 in the mark channel.

    A mark in a single channel would make it unlike its neighbors, and so a bad channel.
    """
    positions = POSITIONS[[GENEVA.index(name) for name in recording.channels]]
    center = POSITIONS[GENEVA.index(recording.mark_channel)]
    weights: np.ndarray = np.exp(-(((positions - center) ** 2).sum(axis=1)) / MARK_WIDTH**2)
    return weights


def _participant(recording: Recording) -> ParticipantTruth:
    """Return the recording as a participant of the synthetic data set, without marks and videos."""
    rng = np.random.default_rng([recording.number, 11])
    blinks_s = np.cumsum(rng.uniform(1.5, 5.0, size=recording.duration_s))
    trials = [
        TrialTruth(
            trial=number,
            stimulus=number,
            quadrant=trial.quadrant,
            ratings=(5.0, 5.0, 5.0, 5.0),
            tied=False,
            onset_sample=round(trial.eeg_onset_s * SFREQ_HZ),
            onset_s=trial.eeg_onset_s,
            pattern=trial.pattern,
            video=None,
            spans=(),
            mark_hz=None,
        )
        for number, trial in enumerate(recording.trials, start=1)
    ]
    return ParticipantTruth(
        name=f"r{recording.number}",
        number=recording.number,
        site="B",
        n_samples=recording.duration_s * SFREQ_HZ,
        blinks_s=tuple(float(peak) for peak in blinks_s[blinks_s < recording.duration_s - 1.0]),
        trials=tuple(trials),
    )


def _marks_uv(recording: Recording, n_samples: int) -> np.ndarray:
    """Return the marks of all trials in the mark channel, (n_samples,)."""
    seconds = np.arange(n_samples) / recording.sfreq_hz
    marks = np.zeros(n_samples)
    for trial in recording.trials:
        since_s = seconds - trial.eeg_onset_s
        within = (since_s >= 0) & (since_s < trial.duration_s)
        marks[within] += mark_wave(trial.code, since_s[within])
    return marks


def heartbeat(seconds: np.ndarray, width: float) -> np.ndarray:
    """Return an ECG of 66 beats per minute, (n,) from 0 to 1, with peaks of a width in periods."""
    beat: np.ndarray = np.exp(-((((seconds * 1.1) % 1.0 - 0.5) / width) ** 2))
    return beat
