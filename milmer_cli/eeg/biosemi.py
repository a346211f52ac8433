"""BioSemi BDF files: header check and the event codes of the status channel.

The status channel has three spellings (``Status``, one empty label, the last of two empty labels).
Its 24-bit words carry battery and mode bits above the lower eight bits, which hold the event code.
"""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.edf import place_records, read_record_layout
from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input
from milmer_cli.io import shorten

_EVENT_CODE_BITS = 0xFF
_COPY_AGAIN = "Copy or unpack the file again."


def check_bdf(path: Path) -> None:
    """Raise an error if a file is not a BDF file or is shorter than its header states.

    Raises
    ------
    InputError
        The file cannot be read, its header is invalid, or data records are missing.
    """
    invalid = InputError(f"{path} is not a BDF file: its header is invalid.", _COPY_AGAIN)
    try:
        with open_input(path) as file:
            magic = file.read(8)
        size = path.stat().st_size
        if not size:
            raise InputError(f"{path} is empty.", _COPY_AGAIN)
        layout = read_record_layout(path, sample_bytes=3)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise invalid from error
    if magic != b"\xffBIOSEMI" or layout.record_bytes <= 0:
        raise invalid
    # n_records is -1 if the recorder did not close the file; then at least one record must exist
    expected = layout.header_bytes + layout.n_records * layout.record_bytes
    one_record = layout.header_bytes + layout.record_bytes
    if layout.n_records == 0 or size < expected or size < one_record:
        raise InputError(
            f"{path} is truncated: expected {max(expected, layout.header_bytes):,} bytes (header: "
            f"{layout.n_records} data records), got {size:,}.",
            _COPY_AGAIN,
        )


def open_bdf(path: Path) -> mne.io.BaseRaw:
    """Open a BDF file without loading it; its status channel is renamed ``Status``, of type stim.

    Raises
    ------
    InputError
        The file is not a whole BDF file (see `check_bdf`) or has no status channel.
    """
    check_bdf(path)
    with mne.utils.use_log_level("error"):
        names = mne.io.read_raw_bdf(path).ch_names
        status = _status_channel(names, path)
        # MNE scales every other channel to volts; a stim channel keeps its integer words
        raw = mne.io.read_raw_bdf(path, stim_channel=[names.index(status)])
        raw.set_channel_types({status: "stim"}, on_unit_change="ignore")
        if status != "Status":
            raw.rename_channels({status: "Status"})
    return place_records(raw, path)


def status_codes(raw: mne.io.BaseRaw) -> np.ndarray:
    """Return the event code (0-255) at every sample of an `open_bdf` recording, (n_samples,)."""
    words = raw.get_data(picks="Status", verbose="error")[0].astype(np.int64)
    # the battery bit changes at any time and would look like an event: mask before taking edges
    return words & _EVENT_CODE_BITS


def _status_channel(names: list[str], path: Path) -> str:
    named = [name for name in names if name.strip().lower() == "status"]
    # MNE numbers duplicate labels, so two empty labels become "-0" and "-1"
    unnamed = [name for name in names if name.strip() in {"", "-0", "-1"}]
    candidates = named or unnamed
    if not candidates:
        raise InputError(
            f"{path} has no status channel: expected a channel named Status or one without a name.",
            f"Its channels: {shorten(names)}.",
        )
    return candidates[-1]
