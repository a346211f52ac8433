"""Write a recording as EDF, BDF, BrainVision or EEGLAB file."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import edfio
import numpy as np
from scipy.io import savemat

from milmer_cli.datasets.synthetic.bdf_writer import analog_channel, write_channels
from milmer_cli.datasets.synthetic.preprocessed_writer import MAT_HEADER
from milmer_cli.io import atomic_path, atomic_write

START = datetime.datetime(2024, 3, 1, 10, 0)
"""Start of every recording."""
MICROVOLTS_PER_MILLIVOLT = 1000.0

EegWriter = Callable[[Path, Sequence[str], np.ndarray, int], None]


def write_edf(path: Path, names: Sequence[str], rows_uv: np.ndarray, sfreq_hz: int) -> None:
    """Write an EDF file.

    Parameters
    ----------
    path
        The file.
    names
        Names of the channels.
    rows_uv
        (n_channels, n_samples) in microvolts.
    sfreq_hz
        Sampling rate in Hz.
    """
    signals = [
        edfio.EdfSignal(row, sfreq_hz, label=name, physical_dimension="uV")
        for name, row in zip(names, rows_uv, strict=True)
    ]
    edf = edfio.Edf(
        signals, recording=edfio.Recording(startdate=START.date()), starttime=START.time()
    )
    with atomic_path(path) as temporary:
        edf.write(temporary)


def write_bdf_file(path: Path, names: Sequence[str], rows_uv: np.ndarray, sfreq_hz: int) -> None:
    """Write a BDF file; parameters as `write_edf`."""
    channels = [
        analog_channel(row, name, sfreq_hz) for name, row in zip(names, rows_uv, strict=True)
    ]
    write_channels(path, channels, START)


def write_brainvision(path: Path, names: Sequence[str], rows_uv: np.ndarray, sfreq_hz: int) -> None:
    """Write .vhdr, .vmrk and .eeg files; parameters as `write_edf`."""
    data, markers = path.with_suffix(".eeg"), path.with_suffix(".vmrk")
    atomic_write(data, np.ascontiguousarray(rows_uv.T, dtype="<f4").tobytes())
    atomic_write(
        markers,
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\n"
        f"Codepage=UTF-8\nDataFile={data.name}\n\n[Marker Infos]\n"
        f"Mk1=New Segment,,1,1,0,{START:%Y%m%d%H%M%S%f}\n",
    )
    channels = [f"Ch{number}={name},,1,µV" for number, name in enumerate(names, start=1)]
    header = [
        "Brain Vision Data Exchange Header File Version 1.0", "", "[Common Infos]",
        "Codepage=UTF-8", f"DataFile={data.name}", f"MarkerFile={markers.name}",
        "DataFormat=BINARY", "DataOrientation=MULTIPLEXED", f"NumberOfChannels={len(names)}",
        f"SamplingInterval={1e6 / sfreq_hz:g}", "", "[Binary Infos]",
        "BinaryFormat=IEEE_FLOAT_32", "", "[Channel Infos]", *channels, "",
    ]  # fmt: skip
    atomic_write(path, "\n".join(header).encode())


def write_eeglab_millivolts(
    path: Path, names: Sequence[str], rows_uv: np.ndarray, sfreq_hz: int
) -> None:
    """Write a .set file in millivolts, a unit that the file does not state.

    Parameters as `write_edf`.
    """
    labels = np.array([(name,) for name in names], dtype=[("labels", object)])
    eeg: Mapping[str, object] = {
        "setname": path.stem,
        "nbchan": len(names),
        "pnts": rows_uv.shape[1],
        "trials": 1,
        "srate": float(sfreq_hz),
        "xmin": 0.0,
        "xmax": (rows_uv.shape[1] - 1) / sfreq_hz,
        "ref": "common",
        "chanlocs": labels,
        "event": np.zeros((0, 0)),
        "icawinv": np.zeros((0, 0)),
        "data": (rows_uv / MICROVOLTS_PER_MILLIVOLT).astype(np.float32),
    }
    content = io.BytesIO()
    savemat(content, {"EEG": eeg}, format="5", oned_as="row")
    atomic_write(path, MAT_HEADER + content.getvalue()[len(MAT_HEADER) :])


EEG_WRITERS: Mapping[str, EegWriter] = {
    ".edf": write_edf,
    ".vhdr": write_brainvision,
    ".set": write_eeglab_millivolts,
    ".bdf": write_bdf_file,
}
"""Extension -> writer."""
