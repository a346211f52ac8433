"""Errors of MNE's readers, converted to one sentence that names the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mne

from milmer_cli.errors import InputError, MilmerError

FORMATS = "BDF, EDF, GDF, FIF, BrainVision (.vhdr) or EEGLAB (.set)"
HEADER_SUFFIX = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}
"""Data files of multi-file formats, and the suffix of the header file that MNE opens instead."""

_EXPORT = f"Export it again, as {FORMATS}."
_DESCRIBE_ARRAY = (
    "Describe its array in a manifest (eeg_array, eeg_sfreq_hz, eeg_array_channels, eeg_unit) and "
    f"give it with --manifest, or export it as {FORMATS}."
)
OTHER_SUFFIXES = {
    ".mat": "a MATLAB file of another layout than DEAP's s01.mat does not state its channels, "
    "sampling rate and unit",
    ".txt": "a text file, such as OpenBCI's, does not state its channels and their unit in a form "
    "that can be relied on",
    ".csv": "a table does not state its channels, sampling rate and unit",
    ".snirf": "it contains near-infrared signals",
    ".xdf": "a file of several streams (Lab Streaming Layer) is not one recording",
}
"""Why a format that people try cannot be read."""


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Convert any exception of a reader that opens ``path`` to `InputError`."""
    try:
        yield
    except MilmerError:
        raise
    except Exception as error:  # readers raise any type of exception on a damaged file
        raise unreadable(path, error) from error


@contextmanager
def readable(raw: mne.io.BaseRaw) -> Iterator[None]:
    """Convert any exception of reading the samples of a damaged recording to `InputError`."""
    try:
        yield
    except MilmerError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{file_name(raw)} needs more memory than is available.",
            "Close other programs, reduce --workers, or split the recording.",
        ) from error
    except Exception as error:  # as in `explain_errors`
        raise InputError(
            f"{file_name(raw)} cannot be read to its end ({_reason(error)}): it is truncated or "
            "damaged.",
            "Copy or export it again.",
        ) from error


def file_name(raw: mne.io.BaseRaw) -> str:
    """Return the name of a recording for messages."""
    files = [str(name) for name in raw.filenames if name is not None]
    return files[0] if files else "The recording"


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a file that MNE could not open, with the file to give instead."""
    suffix = path.suffix.lower()
    if (header_suffix := HEADER_SUFFIX.get(suffix)) is not None:
        header = path.with_suffix(header_suffix)
        return InputError(
            f"{path} cannot be read as EEG: it is a data file without its header.",
            f"Give {header}." if header.is_file() else f"Give its {header_suffix} file.",
        )
    if suffix in OTHER_SUFFIXES:
        hint = _DESCRIBE_ARRAY if suffix == ".mat" else _EXPORT
        return InputError(f"{path} cannot be read as EEG: {OTHER_SUFFIXES[suffix]}.", hint)
    return InputError(f"{path} cannot be read as EEG: {_reason(error)}.", _EXPORT)


def _reason(error: Exception) -> str:
    """Return the first line of an exception, or what its type means if it has no text."""
    if isinstance(error, MemoryError):
        return "it needs more memory than is available, or its header is damaged"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return f"it is damaged ({type(error).__name__})"
    # MNE appends advice for Python callers ("Consider ...", "Pass ..."), which does not help here
    return re.split(r"\. (?:Consider|Pass) ", lines[0])[0].rstrip(".:")
