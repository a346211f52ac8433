"""Error at the edges of trials that are filtered one by one, compared with a continuous filter.

    python bench/array_edges.py [--trials 40] [--seconds 20] [--low 1.0]

EEG is simulated without interruption: 30 channels at 500 Hz with 1/f activity, alpha, noise, and
offsets that drift like those of electrodes. It is preprocessed once as a whole, and once with a
boundary after each trial, as the trials of an array are. The difference of the two is the error
that the missing time between trials makes. It includes filter, resampling and average reference.

Columns: distance from the nearer edge of the trial; RMS of the difference, relative to the RMS of
the signal and in microvolts; largest difference, in microvolts.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import mne
import numpy as np

from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import EegBlock
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.settings.schema import EegSettings

SFREQ, N_CHANNELS, SIGNAL_UV, ALPHA_UV, NOISE_UV, DRIFT_UV = 500.0, 30, 15.0, 8.0, 1.0, 20.0
EDGES_S = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)


def simulate(n_samples: int, seed: int) -> np.ndarray:
    """(n_channels, n_samples) microvolts."""
    rng = np.random.default_rng(seed)
    frequencies = np.fft.rfftfreq(n_samples, 1 / SFREQ)
    white = np.fft.rfft(rng.standard_normal((N_CHANNELS, n_samples)))
    brain = np.fft.irfft(white / np.maximum(frequencies, 0.1), n_samples)
    phase = 2 * np.pi * 10 * np.arange(n_samples) / SFREQ
    phase = phase + np.cumsum(rng.standard_normal((N_CHANNELS, n_samples)), axis=1) * 0.02
    drift = np.cumsum(rng.standard_normal((N_CHANNELS, n_samples)), axis=1) / np.sqrt(SFREQ)
    noise = rng.standard_normal((N_CHANNELS, n_samples))
    brain *= SIGNAL_UV / brain.std()
    return brain + ALPHA_UV * np.sin(phase) + NOISE_UV * noise + DRIFT_UV * drift


def preprocessed(data: np.ndarray, boundaries_s: np.ndarray, settings: EegSettings) -> np.ndarray:
    """(n_channels, n_samples) microvolts after the preprocessing of `prepare`."""
    info = mne.create_info(list(GENEVA[:N_CHANNELS]), SFREQ, "eeg")
    raw = mne.io.RawArray(1e-6 * data, info, verbose="error")
    n_boundaries = len(boundaries_s)
    raw.set_annotations(
        mne.Annotations(boundaries_s, np.zeros(n_boundaries), ["boundary"] * n_boundaries)
    )
    return preprocess_eeg(EegBlock(raw, {}), settings).data


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--low", type=float, default=1.0, help="high-pass edge, in Hz")
    arguments = parser.parse_args()
    settings = EegSettings(
        eog_correction="none", bad_channels="keep", notch_hz=0.0, band_hz=(arguments.low, 50.0)
    )
    data = simulate(round(arguments.trials * arguments.seconds * SFREQ), 0)
    boundaries_s = np.arange(1, arguments.trials) * float(arguments.seconds)
    whole = preprocessed(data, np.zeros(0), settings)
    alone = preprocessed(data, boundaries_s, settings)
    # without the first and the last trial, whose outer edges are those of the whole too
    shape = (N_CHANNELS, arguments.trials, -1)
    signal = whole.reshape(shape)[:, 1:-1]
    error = (alone - whole).reshape(shape)[:, 1:-1]
    seconds = (np.arange(signal.shape[2]) + 0.5) / settings.sfreq_hz
    distance = np.minimum(seconds, arguments.seconds - seconds)
    print("| distance from the edge | RMS error | RMS error (uV) | largest error (uV) |")
    print("|---|---|---|---|")
    for first, last in pairwise(EDGES_S):
        inside = (distance >= first) & (distance < last)
        rms = float(np.sqrt(np.mean(error[..., inside] ** 2)))
        relative = rms / float(np.sqrt(np.mean(signal**2)))
        largest = float(np.abs(error[..., inside]).max())
        print(f"| {first:g}-{last:g} s | {relative:.1%} | {rms:.2f} | {largest:.1f} |")
    segment_s = settings.segment_s
    n_segments = int(arguments.seconds // segment_s)
    for number in range(n_segments):
        inside = (seconds >= number * segment_s) & (seconds < (number + 1) * segment_s)
        rms = np.sqrt(np.mean(error[..., inside] ** 2)) / np.sqrt(np.mean(signal**2))
        print(f"segment {number + 1} of {n_segments}: RMS error {rms:.1%}")


if __name__ == "__main__":
    main()
