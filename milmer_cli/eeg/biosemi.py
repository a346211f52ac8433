"""BioSemi BDF files: header check and the event codes of the status channel.

The status channel has three spellings (``Status``, one empty label, the last of two empty labels).
Its 24-bit words carry battery and mode bits above the lower 16 bits, which hold the triggers.
DEAP's event codes are in the lower eight bits.
"""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np

from milmer_cli.eeg.edf import annotation_encoding, place_records, read_record_layout
from milmer_cli.eeg.file_size import COPY_AGAIN, check_file_size
from milmer_cli.eeg.read_errors import explain_errors, readable
from milmer_cli.errors import InputError, shorten
from milmer_cli.input_files import open_input

_EVENT_CODE_BITS, _TRIGGER_BITS = 0xFF, 0xFFFF


def check_bdf(path: Path) -> None:
    """Raise an error if a file is not a BDF file or has another size than its header states.

    Raises
    ------
    InputError
        The file cannot be read, its header is invalid, or its size is wrong.
    """
    try:
        with open_input(path) as file:
            magic = file.read(8)
        if not magic:
            raise InputError(f"{path} is empty.", COPY_AGAIN)
        read_record_layout(path, sample_bytes=3)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise _invalid(path) from error
    if magic != b"\xffBIOSEMI":
        raise _invalid(path)
    check_file_size(path)


def _invalid(path: Path) -> InputError:
    return InputError(f"{path} is not a BDF file: its header is invalid.", COPY_AGAIN)


def open_bdf(path: Path) -> mne.io.BaseRaw:
    """Open a BDF file without loading it; its status channel is renamed ``Status``, of type stim.

    Raises
    ------
    InputError
        The file is not a whole BDF file (see `check_bdf`) or has no status channel.
    """
    check_bdf(path)
    with explain_errors(path), mne.utils.use_log_level("error"):
        encoding = annotation_encoding(path)
        names = mne.io.read_raw_bdf(path, encoding=encoding).ch_names
        status = _status_channel(names, path)
        # MNE scales every other channel to volts; a stim channel keeps its integer words
        raw = mne.io.read_raw_bdf(path, stim_channel=[names.index(status)], encoding=encoding)
        raw.set_channel_types({status: "stim"}, on_unit_change="ignore")
        if status != "Status":
            raw.rename_channels({status: "Status"})
        return place_records(raw, path)


def status_codes(raw: mne.io.BaseRaw) -> np.ndarray:
    """Return DEAP's event code (0-255) at every sample of an `open_bdf` recording, (n_samples,)."""
    # the battery bit changes at any time and would look like an event: mask before taking edges
    return _status_words(raw) & _EVENT_CODE_BITS


def trigger_codes(raw: mne.io.BaseRaw) -> np.ndarray:
    """Return the trigger (0-65535) at every sample of an `open_bdf` recording, (n_samples,).

    BioSemi receivers have 16 trigger inputs. Inputs that are not connected are pulled high, so if
    the upper byte is 255 most of the time or never changes, codes with this upper byte have eight
    bits.
    """
    words = _status_words(raw) & _TRIGGER_BITS
    upper = words >> 8
    idle = int(np.bincount(upper).argmax())
    if idle == _EVENT_CODE_BITS or (upper == idle).all():
        words = np.where(upper == idle, words & _EVENT_CODE_BITS, words)
    return np.asarray(words)


def _status_words(raw: mne.io.BaseRaw) -> np.ndarray:
    with readable(raw):
        words = raw.get_data(picks="Status", verbose="error")[0]
    return np.asarray(words.astype(np.int64))


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
