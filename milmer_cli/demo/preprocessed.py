"""Write .dat and .mat as DEAP's are: 128 Hz, no blinks, average reference, 4-45 Hz."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from scipy import io, signal

from milmer_cli.demo.eeg import Signals
from milmer_cli.demo.spec import SFREQ_HZ, DemoSpec, ParticipantTruth

PREPROCESSED_HZ = 128
BASELINE_S = 3
BAND_HZ = (4.0, 45.0)
MAT_HEADER = b"MATLAB 5.0 MAT-file, a demo data set of Milmer".ljust(116)


def preprocess(
    spec: DemoSpec, truth: ParticipantTruth, signals: Signals
) -> tuple[np.ndarray, np.ndarray]:
    """Return data and labels, their rows in the order of the stimuli.

    Returns
    -------
    data
        (trials, 40, (3 + stimulus_s) * 128) float64: 32 EEG channels in the order of Geneva,
        microvolts; hEOG, vEOG, zEMG, tEMG, GSR, respiration, plethysmograph, temperature. Sample
        384 is the onset.
    labels
        (trials, 4) float64: valence, arousal, dominance, liking.
    """
    sos = signal.butter(4, BAND_HZ, "bandpass", fs=SFREQ_HZ, output="sos")
    eeg = signals.brain - signals.brain.mean(axis=0)
    eeg = signal.sosfiltfilt(sos, eeg.astype(np.float64), axis=1)
    aux = signals.auxiliary.astype(np.float64)
    bipolar = aux[0:8:2] - aux[1:8:2]
    # The EEG is limited to 45 Hz already; the others need their own guard before every fourth is
    # kept.
    guard = signal.butter(4, BAND_HZ[1], fs=SFREQ_HZ, output="sos")
    others = signal.sosfiltfilt(guard, np.vstack([bipolar, aux[[8, 12, 13, 14]]]), axis=1)
    step = SFREQ_HZ // PREPROCESSED_HZ
    length = round((BASELINE_S + spec.stimulus_s) * PREPROCESSED_HZ)
    everything = np.vstack([eeg, others])
    starts = [trial.onset_sample - BASELINE_S * SFREQ_HZ for trial in truth.by_stimulus]
    data = np.stack([everything[:, start : start + step * length : step] for start in starts])
    return data, np.array([trial.ratings for trial in truth.by_stimulus], dtype=np.float64)


def write_mat(path: Path, data: np.ndarray, labels: np.ndarray) -> None:
    """Write a MATLAB 5 file, without the date in its header: same data, same file."""
    io.savemat(path, {"data": data, "labels": labels}, format="5")
    with path.open("r+b") as file:
        file.write(MAT_HEADER)


def write_dat(path: Path, data: np.ndarray, labels: np.ndarray) -> None:
    """Write the pickle that Python 2 made of ``{"labels": ..., "data": ...}``, opcode by opcode.

    Python 3 cannot write it: its byte strings would drag in ``_codecs.encode`` and numpy 2 its new
    module names, neither of which a real file holds.
    """
    with path.open("wb") as file:
        file.write(b"\x80\x02}q\x00(")  # protocol 2, an empty dict, mark
        for key, array in (("labels", labels), ("data", data)):
            file.write(_string(key.encode()))
            file.write(_array(array))
        file.write(b"u.")  # set the items, stop


def _array(array: np.ndarray) -> bytes:
    """Return the opcodes that build an empty array and give it the state numpy restores."""
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
            b"\x89",  # not in Fortran's order
            b"T" + struct.pack("<i", len(content)) + content,
            b"tb",
        )
    )


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _string(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value
