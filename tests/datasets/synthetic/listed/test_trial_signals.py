from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from milmer_cli.datasets.synthetic.config import NEUTRAL_PATTERN, QUADRANTS
from milmer_cli.datasets.synthetic.effects import GENEVA
from milmer_cli.datasets.synthetic.listed.mahnob_writer import plan_mahnob
from milmer_cli.datasets.synthetic.listed.trial_marks import mark_wave
from milmer_cli.datasets.synthetic.listed.trial_signals import Recording, simulate_recording
from milmer_cli.datasets.synthetic.listed.truth import ListedConfig

CONFIG = ListedConfig("mahnob", participants=1, trials=1, stimulus_s=12.0)
HIGH, LOW = QUADRANTS.index("HAHV"), QUADRANTS.index("LAHV")


def simulate(pattern: int, number: int, signal_strength: float = 1.0) -> np.ndarray:
    """Return the EEG of a trial at 128 Hz, (32, 1536)."""
    trial = replace(plan_mahnob(CONFIG).trials[0], pattern=pattern, code=number, eeg_onset_s=0.0)
    config = replace(CONFIG, signal=signal_strength)
    recording = Recording(number, 12, [trial], 128, GENEVA, "Oz", clean=True)
    return simulate_recording(config, recording)


def evoked(eeg: np.ndarray) -> np.ndarray:
    """Return the average over epochs of 1.5 s, below 12 Hz."""
    sos = signal.butter(4, 12.0, fs=128, output="sos")
    return signal.sosfiltfilt(sos, eeg, axis=1).reshape(32, 8, 192).mean(axis=1).ravel()


@pytest.mark.parametrize(("strength", "low", "high"), [(1.0, 0.85, 1.0), (0.0, 0.2, 0.8)])
def test_simulate_recording_shows_arousal_as_far_as_the_signal_is_strong(strength, low, high):
    patterns = np.tile([HIGH, LOW], 7)
    waves = np.array([evoked(simulate(p, n + 1, strength)) for n, p in enumerate(patterns)])
    hits = 0
    for index, pattern in enumerate(patterns):
        others = np.arange(len(patterns)) != index
        means = {p: waves[others & (patterns == p)].mean(axis=0) for p in (HIGH, LOW)}
        nearest = min(means, key=lambda p: np.linalg.norm(waves[index] - means[p]))
        hits += nearest == pattern
    assert low <= hits / len(patterns) <= high


def test_simulate_recording_neutral_pattern_differs_from_both():
    waves = {}
    for pattern in (HIGH, LOW, NEUTRAL_PATTERN):
        waves[pattern] = np.mean([evoked(simulate(pattern, n)) for n in range(1, 5)], axis=0)
    for pattern in (HIGH, LOW):
        difference = waves[NEUTRAL_PATTERN] - waves[pattern]
        assert np.linalg.norm(difference) > 0.3 * np.linalg.norm(waves[pattern])


@pytest.mark.parametrize("sfreq_hz", [128, 256, 500])
def test_simulate_recording_has_the_mark_at_its_onset_at_any_rate(sfreq_hz):
    trial = replace(plan_mahnob(CONFIG).trials[0], eeg_onset_s=4.25, duration_s=6.0)
    recording = Recording(3, 12, [trial], sfreq_hz, GENEVA, "Oz")
    eeg = simulate_recording(CONFIG, recording)
    assert eeg.shape == (32, 12 * sfreq_hz)
    row = signal.detrend(np.diff(eeg[GENEVA.index("Oz")]))
    seconds = np.arange(12 * sfreq_hz) / sfreq_hz
    shifts = np.round(np.arange(-0.1, 0.1001, 0.002), 3)
    scores = []
    for shift in shifts:
        since_s = seconds - trial.eeg_onset_s - shift
        wave = np.where(since_s < 6.0, mark_wave(trial.code, since_s), 0.0)
        scores.append(np.corrcoef(row, np.diff(wave))[0, 1])
    assert abs(shifts[int(np.argmax(scores))]) <= 0.002
    assert max(scores) > 0.3
