"""Write DEAP's preprocessed .dat and .mat files: 128 Hz, 4-45 Hz, average reference, no blinks."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from scipy import signal
from scipy.io import savemat

from milmer_cli.datasets.deap.preprocessed import PASS_BAND_HZ
from milmer_cli.datasets.synthetic.config import SFREQ_HZ, ParticipantTruth, SyntheticConfig
from milmer_cli.datasets.synthetic.eeg_signals import Signals
from milmer_cli.io import atomic_write

PREPROCESSED_HZ = 128
BASELINE_S = 3
MAT_HEADER = b"MATLAB 5.0 MAT-file, a demo data set of Milmer".ljust(116)


def preprocess_signals(
    config: SyntheticConfig, participant: ParticipantTruth, signals: Signals
) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays of a preprocessed file, with one row per stimulus.

    Returns
    -------
    data
        (trials, 40, (3 + stimulus_s) * 128) float64: 32 EEG channels in Geneva order in
        microvolts, then hEOG, vEOG, zEMG, tEMG, GSR, respiration, plethysmograph and temperature.
        The stimulus starts at sample 384.
    labels
        (trials, 4) float64: valence, arousal, dominance, liking.
    """
    sos = signal.butter(4, PASS_BAND_HZ, "bandpass", fs=SFREQ_HZ, output="sos")
    eeg = signals.brain - signals.brain.mean(axis=0)
    eeg = signal.sosfiltfilt(sos, eeg.astype(np.float64), axis=1)
    auxiliary = signals.auxiliary.astype(np.float64)
    bipolar = auxiliary[0:8:2] - auxiliary[1:8:2]
    # The other channels need an anti-aliasing filter before decimation; the EEG is band-limited.
    anti_aliasing = signal.butter(4, PASS_BAND_HZ[1], fs=SFREQ_HZ, output="sos")
    other_channels = signal.sosfiltfilt(
        anti_aliasing, np.vstack([bipolar, auxiliary[[8, 12, 13, 14]]]), axis=1
    )
    step = SFREQ_HZ // PREPROCESSED_HZ
    length = round((BASELINE_S + config.stimulus_s) * PREPROCESSED_HZ)
    channels = np.vstack([eeg, other_channels])
    starts = [trial.onset_sample - BASELINE_S * SFREQ_HZ for trial in participant.by_stimulus]
    data = np.stack([channels[:, start : start + step * length : step] for start in starts])
    labels = np.array([trial.ratings for trial in participant.by_stimulus], dtype=np.float64)
    return data, labels


def write_mat(path: Path, data: np.ndarray, labels: np.ndarray) -> None:
    """Write a MATLAB 5 file; its header has no date, so the same data give the same file."""
    content = io.BytesIO()
    savemat(content, {"data": data, "labels": labels}, format="5")
    atomic_write(path, MAT_HEADER + content.getvalue()[len(MAT_HEADER) :])


def write_dat(path: Path, data: np.ndarray, labels: np.ndarray) -> None:
    """Write ``{"labels": ..., "data": ...}`` as Python 2 pickled it, opcode by opcode.

    Python 3 cannot write this file: it pickles byte strings through ``_codecs.encode``, and numpy 2
    writes its new module names. A real file contains neither.
    """
    items = (("labels", labels), ("data", data))
    content = b"".join(_string(key.encode()) + _array(array) for key, array in items)
    # protocol 2, empty dict, mark; set the items, stop
    atomic_write(path, b"\x80\x02}q\x00(" + content + b"u.")


def _array(array: np.ndarray) -> bytes:
    """Return the opcodes that create an empty array and set the state that numpy restores."""
    content = np.ascontiguousarray(array, dtype="<f8").tobytes()
    return b"".join(
        (
            b"cnumpy.core.multiarray\n_reconstruct\n",
            b"cnumpy\nndarray\n" + _integer(0) + b"\x85" + _string(b"b") + b"\x87R",
            b"(" + _integer(1),
            b"(" + b"".join(_integer(size) for size in array.shape) + b"t",
            b"cnumpy\ndtype\n" + _string(b"f8") + _integer(0) + _integer(1) + b"\x87R",
            b"(" + _integer(3) + _string(b"<") + b"NNN",
            _integer(-1) + _integer(-1) + _integer(0) + b"tb",
            b"\x89",  # False: not in Fortran order
            b"T" + struct.pack("<i", len(content)) + content,
            b"tb",
        )
    )


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _string(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value
