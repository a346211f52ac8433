"""EEGLAB recordings (.set, with their data inside or in an .fdt file), of any MATLAB version."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.header_files import referenced_file
from milmer_cli.eeg.mat_file import Meta, read_mat
from milmer_cli.errors import InputError

_SAMPLE_BYTES = 4
_COPY_AGAIN = "Copy or export it again."


def open_eeglab(path: Path) -> mne.io.BaseRaw:
    """Open an EEGLAB recording; files of MATLAB 7.3, which MNE cannot read, are loaded.

    Raises
    ------
    InputError
        The file is damaged, contains epochs, or its data file is missing or has another size.
    """
    meta, arrays = read_mat(path, ["EEG"])
    fields = meta.get("fields", {})
    if missing := [name for name in ("nbchan", "pnts", "srate") if name not in fields]:
        raise InputError(
            f"{path} is not an EEGLAB recording: it lacks {', '.join(missing)}.", _COPY_AGAIN
        )
    if fields.get("trials", 1.0) != 1:
        raise InputError(
            f"{path} contains {fields['trials']:g} epochs instead of a continuous recording.",
            "Export the continuous recording.",
        )
    data_file = _data_file(path, meta)
    if "labels" not in meta:  # not of MATLAB 7.3
        return mne.io.read_raw_eeglab(path, preload=False, verbose="error")
    shape = int(fields["nbchan"]), int(fields["pnts"])
    if data_file is None:
        data = arrays["data"].reshape(shape[0], -1)
    else:
        data = np.fromfile(data_file, "<f4").reshape(shape[::-1]).T
    raw = _create_raw(path, data, shape, meta)
    raw._filenames = [data_file or path]  # an array has none; MNE's readers state them too
    return raw


def _data_file(path: Path, meta: Meta) -> Path | None:
    """Return the file with the data, after a check of its size; None if they are in ``path``."""
    name = meta.get("data_file")
    if not name:
        return None
    file = referenced_file(path, Path(name).with_suffix(".fdt").name)
    if file is None:
        raise InputError(
            f"{path} names the file {name}, which does not exist.",
            f"Copy it beside {path.name}, also as {path.stem}.fdt.",
        )
    fields, size = meta["fields"], file.stat().st_size
    expected = int(fields["nbchan"]) * int(fields["pnts"]) * _SAMPLE_BYTES
    if size != expected:
        problem = "truncated" if size < expected else "longer than its header states"
        raise InputError(
            f"{file} is {problem}: expected {expected:,} bytes ({path.name}: "
            f"{fields['pnts']:,.0f} samples of {fields['nbchan']:g} channels), got {size:,}.",
            _COPY_AGAIN,
        )
    return file


def _create_raw(path: Path, data: np.ndarray, shape: tuple[int, int], meta: Meta) -> mne.io.BaseRaw:
    """Create a recording from the microvolts and events of a file."""
    if data.shape != shape:
        raise InputError(
            f"{path} is damaged: expected data of {shape[0]} channels and {shape[1]:,} samples, "
            f"got {data.shape}.",
            _COPY_AGAIN,
        )
    labels = meta["labels"]
    names = labels if len(labels) == len(data) else [f"EEG {i:03d}" for i in range(len(data))]
    sfreq = float(meta["fields"]["srate"])
    raw = mne.io.RawArray(data * 1e-6, mne.create_info(names, sfreq, "eeg"), verbose="error")
    events = meta["events"]
    raw.set_annotations(
        mne.Annotations(
            [(latency - 1.0) / sfreq for _, latency, _ in events],  # latencies start at 1
            [duration / sfreq for _, _, duration in events],
            [name for name, _, _ in events],
        ),
        verbose="error",
    )
    return raw
