"""Opening EEG files in any format that MNE reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np

from milmer_cli.digests import content_digest
from milmer_cli.eeg.array_file import open_array
from milmer_cli.eeg.array_layout import EegArray
from milmer_cli.eeg.bids_sidecars import apply_sidecars, read_sidecars
from milmer_cli.eeg.channels import find_channels
from milmer_cli.eeg.edf import annotation_encoding, place_records, sample_bytes_of
from milmer_cli.eeg.eeglab import open_eeglab
from milmer_cli.eeg.file_size import check_file_size
from milmer_cli.eeg.header_files import resolved_header
from milmer_cli.eeg.neuroscan import correct_bad_channels
from milmer_cli.eeg.read_errors import OTHER_SUFFIXES, explain_errors
from milmer_cli.eeg.units import correct_units, implied_type, set_unit
from milmer_cli.errors import InputError, shorten
from milmer_cli.input_files import read_input, require_regular_file

_POSSIBLE_HZ = (1.0, 1e6)


@dataclass(frozen=True)
class EegBlock:
    """A continuous EEG recording that contains one or more trials.

    Attributes
    ----------
    raw
        Continuous recording, in volts, with the channel types set (eeg, eog, stim, misc).
    onset_s
        Trial number -> seconds from the start of ``raw`` to the onset of the stimulus.
    pass_band_hz
        Pass band of data that the publisher has already referenced, filtered and cleaned (DEAP's
        preprocessed files), in Hz; None for a raw recording. The channels of such a block are
        reordered, and it is resampled and filtered where ``band_hz`` is narrower.
    eog
        EOG channels of ``raw``: single channels, or pairs (bipolar: first minus second).
    """

    raw: mne.io.BaseRaw
    onset_s: Mapping[int, float]
    pass_band_hz: tuple[float, float] | None = None
    eog: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class ReadOptions:
    """What the user states about a file that cannot be read from it.

    Attributes
    ----------
    eeg_channels
        Channels that are electrodes whatever their names and types are.
    renames
        (channel of the file, new name) pairs, applied first.
    unit
        Unit of the numbers in the file: nV, uV, mV or V; empty for that of the header.
    array
        Array of a MATLAB file; None for other files.
    bads
        Bad channels, in addition to those that the file marks; their names after ``renames``.
    line_freq_hz
        Power line frequency; None for that of the file.
    """

    eeg_channels: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    unit: str = ""
    array: EegArray | None = None
    bads: tuple[str, ...] = ()
    line_freq_hz: float | None = None


AS_RECORDED = ReadOptions()
_HEADER_BYTES = 2**16


def open_eeg(
    path: Path, options: ReadOptions = AS_RECORDED, *, header_only: bool = False
) -> mne.io.BaseRaw:
    """Open a recording in any format that MNE reads (BDF, EDF, GDF, FIF, BrainVision, EEGLAB, ...).

    No signal is loaded, except that of a MATLAB file, which is opened with ``options.array`` (see
    `open_array`, also for ``header_only``). The data records of EDF+D and BDF+D files are put at
    their true times (`place_records`). Channels that the file declares as EEG are retyped by their
    name: a name that contains ``EOG`` becomes eog; ECG, EMG, GSR and similar become misc; status
    and trigger channels become stim. Of a BIDS recording (``*_eeg.EXT``), the sidecars
    ``*_eeg.json`` (PowerLineFrequency) and ``*_channels.tsv`` (type and status) are applied first,
    also those that it inherits (`bids_sidecars`).

    Raises
    ------
    InputError
        The file is missing, empty, damaged, in an unknown format, or has no EEG channel; it lacks
        a channel of ``bads``.
    """
    if not path.exists():
        raise InputError(f"There is no EEG file {path}.", "Check the path.")
    for file in (path, *_companions(path)):
        require_regular_file(file)
    if not path.stat().st_size:
        raise InputError(f"The EEG file {path} is empty.", "Copy or export it again.")
    listed = {name.strip().lower() for name in options.eeg_channels}
    if options.array is None:
        raw = _read_raw(path, listed)
    else:
        raw = open_array(path, options.array, header_only=header_only)
        _require_possible_rate(raw, path)
    sidecars = read_sidecars(path)
    with explain_errors(path):
        # before the renames, because they have the names of the file
        apply_sidecars(raw, sidecars, path.suffix.lower() == ".vhdr")
    rename_channels(raw, options.renames, path)
    with explain_errors(path):
        _set_types(raw, listed)
        set_unit(raw, path, options.unit)
    bads = {*raw.info["bads"], *find_channels(options.bads, raw.ch_names, str(path))}
    raw.info["bads"] = [name for name in raw.ch_names if name in bads]
    if options.line_freq_hz is not None:
        raw.info["line_freq"] = options.line_freq_hz
    if "eeg" not in raw.get_channel_types():
        raise InputError(
            f"{path} has no EEG channel.",
            f"List its electrodes in eeg_channels. Its channels: {shorten(raw.ch_names)}.",
        )
    return raw


def _set_types(raw: mne.io.BaseRaw, listed: Collection[str]) -> None:
    """Set the types that names imply; ``listed`` (in lower case) are electrodes."""
    types = {
        name: "eeg" if name.strip().lower() in listed else implied_type(name)
        for name, declared in zip(raw.ch_names, raw.get_channel_types(), strict=True)
        if declared == "eeg" or name.strip().lower() in listed
    }
    raw.set_channel_types(types, on_unit_change="ignore", verbose="error")


def _read_raw(path: Path, listed: Collection[str]) -> mne.io.BaseRaw:
    """Open a recording whose size is that of its header, in the units that the header means."""
    suffix = path.suffix.lower()
    with explain_errors(path):
        if suffix in OTHER_SUFFIXES:
            raise ValueError(suffix)
        check_file_size(path)
        if suffix == ".set":
            raw = open_eeglab(path)
        elif sample_bytes_of(path) is not None:
            encoding = annotation_encoding(path)
            raw = mne.io.read_raw(path, preload=False, verbose="error", encoding=encoding)
            raw = place_records(raw, path)
        else:
            with resolved_header(path) as header:
                raw = mne.io.read_raw(header, preload=False, verbose="error")
            if suffix == ".cnt":
                correct_bad_channels(raw, path)
        correct_units(raw, path, listed)
    _require_possible_rate(raw, path)
    return raw


def _require_possible_rate(raw: mne.io.BaseRaw, path: Path) -> None:
    low, high = _POSSIBLE_HZ
    sfreq = float(raw.info["sfreq"])
    if not low <= sfreq <= high:
        raise InputError(
            f"{path} is damaged: expected a sampling rate of {low:g} to {high:g} Hz, got "
            f"{sfreq:g} Hz (header).",
            "Copy or export it again.",
        )


def _companions(path: Path) -> Iterator[Path]:
    """Yield the files that MNE opens together with a recording: same name, or named in its header.

    Folders are left out; a file that does not exist is reported by MNE.
    """
    named = []
    if path.suffix.lower() == ".vhdr":
        for line in read_input(path)[:_HEADER_BYTES].decode("latin-1").splitlines():
            key, _, value = line.partition("=")
            if key.strip().lower() in ("datafile", "markerfile"):
                named.append(path.parent / value.strip().replace("$b", path.stem))
    same_name = (file for file in path.parent.iterdir() if file.stem == path.stem)
    yield from (file for file in (*named, *same_name) if file.exists() and not file.is_dir())


def rename_channels(raw: mne.io.BaseRaw, renames: Sequence[tuple[str, str]], path: Path) -> None:
    """Rename channels, found in any case; channels that the file lacks are ignored.

    Nothing is renamed if the channels of the file already have all the new names.

    Raises
    ------
    InputError
        The file has none of the channels, or two channels would get the same name.
    """
    by_lower = {name.strip().lower(): name for name in raw.ch_names}
    new_names = {
        by_lower[old.strip().lower()]: new
        for old, new in renames
        if old.strip().lower() in by_lower
    }
    present = {name.strip().lower() for name in raw.ch_names}
    renamed = all(new.strip().lower() in present for _, new in renames)
    if renames and not new_names and not renamed:
        raise InputError(
            f"{path} has none of the channels of the --channels file "
            f"({shorten([old for old, _ in renames])}).",
            f"Its channels: {shorten(raw.ch_names)}.",
        )
    names = [new_names.get(name, name).lower() for name in raw.ch_names]
    if twice := [new for new in new_names.values() if names.count(new.lower()) > 1]:
        raise InputError(
            f"The --channels file gives two channels of {path} the name {shorten(twice)}.",
            "Give every channel a name of its own.",
        )
    with mne.utils.use_log_level("error"):
        raw.rename_channels(new_names)


def raw_from_microvolts(
    data: np.ndarray, sfreq: float, eeg: Sequence[str], eog: Sequence[str] = ()
) -> mne.io.BaseRaw:
    """Create an MNE recording (in volts) from an array.

    Parameters
    ----------
    data
        (n_channels, n_samples), microvolts; the EEG channels come first, then the EOG channels.
    sfreq
        Sampling rate, in Hz.
    eeg, eog
        Channel names.
    """
    info = mne.create_info([*eeg, *eog], sfreq, ["eeg"] * len(eeg) + ["eog"] * len(eog))
    return mne.io.RawArray(data * 1e-6, info, verbose="error")


def signal_digests(raw: mne.io.BaseRaw) -> tuple[str, ...]:
    """Return `content_digest` of the files with the signals, without headers; none of an array."""
    return tuple(content_digest(Path(name)) for name in raw.filenames if name is not None)


def source_files(path: Path, raw: mne.io.BaseRaw) -> tuple[Path, ...]:
    """Return the file that was opened, those that it refers to (BrainVision), and BIDS sidecars."""
    referenced = [Path(name) for name in raw.filenames if name is not None]
    return tuple(dict.fromkeys([path, *referenced, *read_sidecars(path).files]))
