"""One participant's signals: the brain, and what a recording adds to it. Microvolts, 512 Hz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, signal

from milmer_cli.demo.patterns import GENEVA, POSITIONS, pattern
from milmer_cli.demo.plan import stream
from milmer_cli.demo.spec import MARK_CHANNEL, SFREQ_HZ, DemoSpec, ParticipantTruth

_AUXILIARY = "EXG1 EXG2 EXG3 EXG4 EXG5 EXG6 EXG7 EXG8 GSR1 GSR2 Erg1 Erg2 Resp Plet Temp"
AUXILIARY = tuple(_AUXILIARY.split())
"""Channels between EEG and status; EXG1-8 are hEOG, vEOG, zEMG and tEMG, two of each."""
MARK_UV = 20.0
EVOKED_EVERY_S = 1.5
EVOKED_S = 0.35
BLINK_S = 0.35


@dataclass(frozen=True)
class Signals:
    """One participant's signals.

    Attributes
    ----------
    brain
        (32, n_samples) float32, order of `GENEVA`, microvolts: what preprocessing hopes to recover.
    electrodes
        (32, n_samples) float32, the same plus blinks, mains, drift and offsets: what is on the
        disk.
    auxiliary
        (15, n_samples) float32, order of `AUXILIARY`.
    """

    brain: np.ndarray
    electrodes: np.ndarray
    auxiliary: np.ndarray


def make_signals(spec: DemoSpec, truth: ParticipantTruth) -> Signals:
    """Draw the signals of one participant."""
    rng = stream(spec, 3, truth.number)
    brain = _brain(spec, truth, rng)
    blinks = _blinks(truth, rng)
    saccades = _saccades(truth.n_samples, rng)
    seconds = np.arange(truth.n_samples, dtype=np.float32) / SFREQ_HZ
    mains = np.sin(2 * np.pi * 50.0 * seconds + rng.uniform(0, 2 * np.pi)).astype(np.float32)

    right, front = POSITIONS.T
    electrodes = brain + np.outer(_single(100.0 * np.clip(front, 0.0, 1.0) ** 2), blinks)
    electrodes += np.outer(_single(15.0 * right * np.clip(front, 0.0, 1.0)), saccades)
    electrodes += np.outer(_single(rng.uniform(4.0, 12.0, 32)), mains)
    electrodes += _drift(truth.n_samples, 32, 60.0, rng)
    electrodes += _drift(truth.n_samples, 1, 150.0, rng)  # no reference: common to all electrodes
    electrodes += _single(rng.uniform(-20e3, 20e3, 32))[:, None]
    return Signals(brain, electrodes, _auxiliary(seconds, blinks, saccades, mains, rng))


def _brain(spec: DemoSpec, truth: ParticipantTruth, rng: np.random.Generator) -> np.ndarray:
    """Return pink noise, alpha and beta of the pattern's size, the evoked pattern and the mark."""
    n = truth.n_samples
    front = POSITIONS[:, 1]
    distance = np.linalg.norm(POSITIONS[:, None] - POSITIONS[None], axis=-1)
    mixing = np.exp(-((distance / 0.5) ** 2))
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
    brain = 7.0 * (mixing.astype(np.float32) @ _noise(n, 32, rng, exponent=1.0))
    brain += _noise(n, 32, rng, exponent=0.5)

    person = rng.uniform(0.8, 1.25, size=(2, 32))
    alpha_uv = (2.5 + 4.0 * np.clip(-front, 0.0, 1.0)) * person[0]
    beta_uv = 2.5 * person[1]
    alpha = _band(8.0, 12.0, mixing, n, rng)
    beta = _band(16.0, 28.0, mixing, n, rng)
    size = np.ones((2, 32, n), dtype=np.float32)
    evoked = np.zeros((32, n), dtype=np.float32)
    length = round(spec.stimulus_s * SFREQ_HZ)
    ramp = signal.windows.tukey(length, 0.05).astype(np.float32)
    marked = GENEVA.index(MARK_CHANNEL)
    for trial in truth.trials:
        during = slice(trial.onset_sample, trial.onset_sample + length)
        own = pattern(spec, trial.pattern)
        for which, change in enumerate((own.alpha, own.beta)):
            share = np.clip(spec.signal * change, -0.9, None)
            size[which, :, during] += np.outer(_single(share), ramp)
        for size_uv, at_s in ((own.early, own.early_at_s), (own.late, own.late_at_s)):
            evoked[:, during] += np.outer(_single(spec.signal * size_uv), _wavelets(length, at_s))
        if trial.mark_hz is not None:
            phase = 2 * np.pi * trial.mark_hz * np.arange(length) / SFREQ_HZ
            evoked[marked, during] += _single(MARK_UV * np.sin(phase))
    brain += _single(alpha_uv)[:, None] * alpha * size[0]
    brain += _single(beta_uv)[:, None] * beta * size[1]
    return brain + evoked


def _wavelets(length: int, first_s: float) -> np.ndarray:
    """Return a wave every `EVOKED_EVERY_S`: at the same places of every 3-s segment."""
    train = np.zeros(length, dtype=np.float32)
    wave_s = np.arange(round(EVOKED_S * SFREQ_HZ)) / SFREQ_HZ
    wave = np.sin(2 * np.pi * 5.0 * wave_s) * np.hanning(wave_s.size)
    for start_s in np.arange(first_s, length / SFREQ_HZ - EVOKED_S, EVOKED_EVERY_S):
        start = round(start_s * SFREQ_HZ)
        train[start : start + wave.size] = wave
    return train


def _blinks(truth: ParticipantTruth, rng: np.random.Generator) -> np.ndarray:
    """Return blinks of height about 1."""
    train = np.zeros(truth.n_samples, dtype=np.float32)
    shape = np.hanning(round(BLINK_S * SFREQ_HZ)).astype(np.float32)
    for peak_s in truth.blinks_s:
        start = round(peak_s * SFREQ_HZ) - shape.size // 2
        train[start : start + shape.size] += rng.uniform(0.7, 1.3) * shape
    return train


def _saccades(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the direction of gaze, left to right: steps between -1 and 1."""
    lengths = rng.integers(SFREQ_HZ // 3, 2 * SFREQ_HZ, size=1 + 3 * n // SFREQ_HZ)
    steps = np.repeat(rng.uniform(-1, 1, lengths.size), lengths)[:n]
    return np.convolve(steps, np.hanning(21) / np.hanning(21).sum(), "same").astype(np.float32)


def _auxiliary(
    seconds: np.ndarray,
    blinks: np.ndarray,
    saccades: np.ndarray,
    mains: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    n = seconds.size
    rows = np.zeros((len(AUXILIARY), n), dtype=np.float32)
    for row, (source, gain) in enumerate(
        [(saccades, 90.0), (saccades, -90.0), (blinks, 200.0), (blinks, -150.0)]
    ):
        rows[row] = gain * source
    rows[4:8] = 8.0 * _noise(n, 4, rng, exponent=0.0)
    rows[:8] += 10.0 * mains + _noise(n, 8, rng, exponent=0.5)
    rows[:8] += _single(rng.uniform(-20e3, 20e3, 8))[:, None]
    rows[8] = 4000.0 + 200.0 * _noise(n, 1, rng, exponent=2.0)[0]
    rows[12] = 800.0 * np.sin(2 * np.pi * 0.25 * seconds)
    rows[13] = 500.0 * np.sin(2 * np.pi * 1.1 * seconds) ** 3
    rows[14] = 3000.0 + 5.0 * _noise(n, 1, rng, exponent=2.0)[0]
    return rows


def _noise(n: int, rows: int, rng: np.random.Generator, exponent: float) -> np.ndarray:
    """Return noise whose power falls as 1 / frequency ** exponent above 0.5 Hz; deviation 1."""
    size = fft.next_fast_len(n, real=True)
    hertz = np.fft.rfftfreq(size, 1 / SFREQ_HZ)
    spectrum = fft.rfft(rng.standard_normal((rows, size), dtype=np.float32), axis=1)
    spectrum *= _single(np.maximum(hertz, 0.5) ** (-exponent / 2))
    spectrum[:, 0] = 0.0
    drawn = fft.irfft(spectrum, size, axis=1)[:, :n]
    return drawn / drawn.std(axis=1, keepdims=True)


def _band(
    low_hz: float, high_hz: float, mixing: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Return oscillations of neighbouring electrodes that resemble each other; deviation 1."""
    sos = signal.butter(2, (low_hz, high_hz), "bandpass", fs=SFREQ_HZ, output="sos")
    mixed = signal.sosfilt(sos, mixing @ rng.standard_normal((32, n)), axis=1)
    return (mixed / mixed.std(axis=1, keepdims=True)).astype(np.float32)


def _drift(n: int, rows: int, size_uv: float, rng: np.random.Generator) -> np.ndarray:
    """Return slow waves of some ten seconds."""
    knots = np.arange(0, n + 10 * SFREQ_HZ, 5 * SFREQ_HZ)
    heights = np.cumsum(rng.normal(0.0, size_uv, size=(rows, knots.size)), axis=1)
    return np.stack([_smooth(knots, row, n) for row in heights]).astype(np.float32)


def _smooth(knots: np.ndarray, heights: np.ndarray, n: int) -> np.ndarray:
    position = np.arange(n) / (knots[1] - knots[0])
    left = position.astype(int)
    blend = 0.5 - 0.5 * np.cos(np.pi * (position - left))
    smoothed: np.ndarray = (1 - blend) * heights[left] + blend * heights[left + 1]
    return smoothed


def _single(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)
