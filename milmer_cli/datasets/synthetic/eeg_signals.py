"""Simulate the signals of one participant: brain activity and recording artifacts, at 512 Hz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, signal

from milmer_cli.datasets.synthetic.config import (
    MARK_CHANNEL,
    SFREQ_HZ,
    ParticipantTruth,
    RandomStream,
    SyntheticConfig,
    random_generator,
)
from milmer_cli.datasets.synthetic.effects import GENEVA, POSITIONS, make_pattern

_AUXILIARY = "EXG1 EXG2 EXG3 EXG4 EXG5 EXG6 EXG7 EXG8 GSR1 GSR2 Erg1 Erg2 Resp Plet Temp"
AUXILIARY = tuple(_AUXILIARY.split())
"""Channels between EEG and status; EXG1-8 are hEOG, vEOG, zEMG and tEMG, two electrodes each."""
MARK_UV = 20.0
EVOKED_INTERVAL_S = 1.5
"""Interval between evoked waves; it divides 3 s, so they have the same latency in each segment."""
EVOKED_DURATION_S = 0.35
BLINK_DURATION_S = 0.35


@dataclass(frozen=True)
class Signals:
    """The signals of one participant, in microvolts.

    Attributes
    ----------
    brain
        (32, n_samples) float32 brain activity in the order of `GENEVA`, without artifacts.
    electrodes
        (32, n_samples) float32 brain activity plus blinks, saccades, mains, drift and offsets, as
        written to the BDF file.
    auxiliary
        (15, n_samples) float32 in the order of `AUXILIARY`.
    """

    brain: np.ndarray
    electrodes: np.ndarray
    auxiliary: np.ndarray


def simulate_signals(config: SyntheticConfig, participant: ParticipantTruth) -> Signals:
    """Simulate the signals of one participant.

    The last bits of a matrix product depend on the number of BLAS threads. Callers that need the
    same bits in every process must limit the threads (see `generate`).
    """
    rng = random_generator(config, RandomStream.EEG, participant.number)
    n_samples = participant.n_samples
    brain = _simulate_brain(config, participant, rng)
    blinks = _simulate_blinks(participant, rng)
    gaze = _simulate_gaze(n_samples, rng)
    seconds = np.arange(n_samples, dtype=np.float32) / SFREQ_HZ
    mains = np.sin(2 * np.pi * 50.0 * seconds + rng.uniform(0, 2 * np.pi)).astype(np.float32)

    right, front = POSITIONS.T
    electrodes = brain + np.outer(_float32(100.0 * np.clip(front, 0.0, 1.0) ** 2), blinks)
    electrodes += np.outer(_float32(15.0 * right * np.clip(front, 0.0, 1.0)), gaze)
    electrodes += np.outer(_float32(rng.uniform(4.0, 12.0, 32)), mains)
    electrodes += _simulate_drift(n_samples, 32, 60.0, rng)
    # BioSemi files are stored without a reference: this drift is common to all electrodes.
    electrodes += _simulate_drift(n_samples, 1, 150.0, rng)
    electrodes += _float32(rng.uniform(-20e3, 20e3, 32))[:, None]
    auxiliary = _simulate_auxiliary(seconds, blinks, gaze, mains, rng)
    return Signals(brain, electrodes, auxiliary)


def _simulate_brain(
    config: SyntheticConfig, participant: ParticipantTruth, rng: np.random.Generator
) -> np.ndarray:
    """Return pink noise, modulated alpha and beta, evoked waves and marks, (32, n_samples)."""
    n_samples = participant.n_samples
    front = POSITIONS[:, 1]
    distance = np.linalg.norm(POSITIONS[:, None] - POSITIONS[None], axis=-1)
    mixing = np.exp(-((distance / 0.5) ** 2))  # neighboring electrodes have similar signals
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
    brain = 7.0 * (mixing.astype(np.float32) @ _noise(n_samples, 32, rng, exponent=1.0))
    brain += _noise(n_samples, 32, rng, exponent=0.5)

    participant_gain = rng.uniform(0.8, 1.25, size=(2, 32))
    alpha_uv = (2.5 + 4.0 * np.clip(-front, 0.0, 1.0)) * participant_gain[0]
    beta_uv = 2.5 * participant_gain[1]
    alpha = _oscillation(8.0, 12.0, mixing, n_samples, rng)
    beta = _oscillation(16.0, 28.0, mixing, n_samples, rng)
    envelopes, evoked = _stimulus_effects(config, participant)
    brain += _float32(alpha_uv)[:, None] * alpha * envelopes[0]
    brain += _float32(beta_uv)[:, None] * beta * envelopes[1]
    return brain + evoked


def _stimulus_effects(
    config: SyntheticConfig, participant: ParticipantTruth
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the patterns of the trials change.

    Returns
    -------
    envelopes
        (2, 32, n_samples) float32 factors of the alpha and beta amplitude; 1 outside the stimuli.
    evoked
        (32, n_samples) float32 evoked waves and marks in microvolts.
    """
    envelopes = np.ones((2, 32, participant.n_samples), dtype=np.float32)
    evoked = np.zeros((32, participant.n_samples), dtype=np.float32)
    length = round(config.stimulus_s * SFREQ_HZ)
    ramp = signal.windows.tukey(length, 0.05).astype(np.float32)
    mark_row = GENEVA.index(MARK_CHANNEL)
    for trial in participant.trials:
        stimulus = slice(trial.onset_sample, trial.onset_sample + length)
        pattern = make_pattern(config, trial.pattern)
        for band, change in enumerate((pattern.alpha, pattern.beta)):
            gain = np.clip(config.signal * change, -0.9, None)
            envelopes[band, :, stimulus] += np.outer(_float32(gain), ramp)
        for topography_uv, onset_s in (
            (pattern.early, pattern.early_onset_s),
            (pattern.late, pattern.late_onset_s),
        ):
            waves = _evoked_waves(length, onset_s)
            evoked[:, stimulus] += np.outer(_float32(config.signal * topography_uv), waves)
        if trial.mark_hz is not None:
            phase = 2 * np.pi * trial.mark_hz * np.arange(length) / SFREQ_HZ
            evoked[mark_row, stimulus] += _float32(MARK_UV * np.sin(phase))
    return envelopes, evoked


def _evoked_waves(length: int, first_onset_s: float) -> np.ndarray:
    """Return waves of amplitude 1, `EVOKED_INTERVAL_S` apart, (length,) float32."""
    waves = np.zeros(length, dtype=np.float32)
    wave_s = np.arange(round(EVOKED_DURATION_S * SFREQ_HZ)) / SFREQ_HZ
    wave = np.sin(2 * np.pi * 5.0 * wave_s) * np.hanning(wave_s.size)
    last_onset_s = length / SFREQ_HZ - EVOKED_DURATION_S
    for onset_s in np.arange(first_onset_s, last_onset_s, EVOKED_INTERVAL_S):
        start = round(onset_s * SFREQ_HZ)
        waves[start : start + wave.size] = wave
    return waves


def _simulate_blinks(participant: ParticipantTruth, rng: np.random.Generator) -> np.ndarray:
    """Return blinks with amplitudes around 1, (n_samples,) float32."""
    blinks = np.zeros(participant.n_samples, dtype=np.float32)
    shape = np.hanning(round(BLINK_DURATION_S * SFREQ_HZ)).astype(np.float32)
    for peak_s in participant.blinks_s:
        start = round(peak_s * SFREQ_HZ) - shape.size // 2
        blinks[start : start + shape.size] += rng.uniform(0.7, 1.3) * shape
    return blinks


def _simulate_gaze(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the horizontal direction of gaze with saccades: steps between -1 and 1."""
    lengths = rng.integers(SFREQ_HZ // 3, 2 * SFREQ_HZ, size=1 + 3 * n_samples // SFREQ_HZ)
    steps = np.repeat(rng.uniform(-1, 1, lengths.size), lengths)[:n_samples]
    return np.convolve(steps, np.hanning(21) / np.hanning(21).sum(), "same").astype(np.float32)


def _simulate_auxiliary(
    seconds: np.ndarray,
    blinks: np.ndarray,
    gaze: np.ndarray,
    mains: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    n_samples = seconds.size
    rows = np.zeros((len(AUXILIARY), n_samples), dtype=np.float32)
    for row, (source, gain_uv) in enumerate(
        [(gaze, 90.0), (gaze, -90.0), (blinks, 200.0), (blinks, -150.0)]
    ):
        rows[row] = gain_uv * source
    rows[4:8] = 8.0 * _noise(n_samples, 4, rng, exponent=0.0)
    rows[:8] += 10.0 * mains + _noise(n_samples, 8, rng, exponent=0.5)
    rows[:8] += _float32(rng.uniform(-20e3, 20e3, 8))[:, None]
    rows[8] = 4000.0 + 200.0 * _noise(n_samples, 1, rng, exponent=2.0)[0]
    rows[12] = 800.0 * np.sin(2 * np.pi * 0.25 * seconds)
    rows[13] = 500.0 * np.sin(2 * np.pi * 1.1 * seconds) ** 3
    rows[14] = 3000.0 + 5.0 * _noise(n_samples, 1, rng, exponent=2.0)[0]
    return rows


def _noise(n_samples: int, rows: int, rng: np.random.Generator, exponent: float) -> np.ndarray:
    """Return noise with a power of 1 / frequency ** exponent above 0.5 Hz and unit variance."""
    n_fft = fft.next_fast_len(n_samples, real=True)
    frequencies = np.fft.rfftfreq(n_fft, 1 / SFREQ_HZ)
    spectrum = fft.rfft(rng.standard_normal((rows, n_fft), dtype=np.float32), axis=1)
    spectrum *= _float32(np.maximum(frequencies, 0.5) ** (-exponent / 2))
    spectrum[:, 0] = 0.0
    noise = fft.irfft(spectrum, n_fft, axis=1)[:, :n_samples]
    return noise / noise.std(axis=1, keepdims=True)


def _oscillation(
    low_hz: float, high_hz: float, mixing: np.ndarray, n_samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Return band-limited noise, correlated between neighboring electrodes, of unit variance."""
    sos = signal.butter(2, (low_hz, high_hz), "bandpass", fs=SFREQ_HZ, output="sos")
    filtered = signal.sosfilt(sos, mixing @ rng.standard_normal((32, n_samples)), axis=1)
    return (filtered / filtered.std(axis=1, keepdims=True)).astype(np.float32)


def _simulate_drift(
    n_samples: int, rows: int, step_uv: float, rng: np.random.Generator
) -> np.ndarray:
    """Return slow waves of about 10 s: random walks with a step every 5 s, interpolated."""
    knots = np.arange(0, n_samples + 10 * SFREQ_HZ, 5 * SFREQ_HZ)
    heights = np.cumsum(rng.normal(0.0, step_uv, size=(rows, knots.size)), axis=1)
    return np.stack([_interpolate(knots, row, n_samples) for row in heights]).astype(np.float32)


def _interpolate(knots: np.ndarray, heights: np.ndarray, n_samples: int) -> np.ndarray:
    """Interpolate between equidistant knots with half a cosine wave each."""
    position = np.arange(n_samples) / (knots[1] - knots[0])
    left = position.astype(int)
    blend = 0.5 - 0.5 * np.cos(np.pi * (position - left))
    interpolated: np.ndarray = (1 - blend) * heights[left] + blend * heights[left + 1]
    return interpolated


def _float32(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)
