"""EEG files of a manifest: their headers, and the channels that are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milmer_cli.datasets.manifest import EegSource, ManifestRow
from milmer_cli.datasets.table import TableErrors
from milmer_cli.eeg.array_layout import array_layout, find_trial
from milmer_cli.eeg.channels import canonical_name, find_derivations, find_electrodes
from milmer_cli.eeg.file_size import unclosed_warning
from milmer_cli.eeg.io import ReadOptions, open_eeg, source_files
from milmer_cli.eeg.montage import ChannelMatch, match_channels
from milmer_cli.errors import InputError, shorten

_NO_NAMES = (
    "the channels of the array have numbers instead of names: name them in eeg_array_channels, "
    "or with --channels FILE"
)


@dataclass(frozen=True)
class EegHeader:
    """Properties of an EEG file that are known without loading it.

    Attributes
    ----------
    duration_s, sfreq_hz
        Duration, of an array that of its trial, and sampling rate.
    channels, eeg
        All channels; those of type EEG.
    files
        The file and those that it refers to.
    warning
        One sentence if the recorder did not close the file, or its integrity is not certain, else
        empty.
    """

    duration_s: float
    sfreq_hz: float
    channels: tuple[str, ...]
    eeg: tuple[str, ...]
    files: tuple[Path, ...]
    warning: str = ""


EegHeaders = Mapping[EegSource, EegHeader]


def row_options(row: ManifestRow, options: ReadOptions) -> ReadOptions:
    """Return how the EEG file of a row is read; the unit of ``options`` has priority."""
    return replace(
        options,
        eeg_channels=row.eeg_channels,
        unit=options.unit or row.eeg_unit,
        array=row.eeg_array,
        bads=row.eeg_bads,
        line_freq_hz=row.line_freq_hz,
    )


def match_file(
    wanted: Sequence[str], names: Sequence[str], types: Sequence[str], path: Path
) -> ChannelMatch:
    """Match channels to the EEG channels of a file, and to others that have exactly their name.

    Raises
    ------
    InputError
        A channel is missing, or more than one channel of the file matches it.
    """
    listed = {name.strip().lower() for name in wanted}
    present = [
        name
        for name, channel_type in zip(names, types, strict=True)
        if channel_type == "eeg" or name.strip().lower() in listed
    ]
    match = match_channels(wanted, present, str(path))
    if match.missing:
        raise InputError(
            f"{path} lacks the channel{'s' * (len(match.missing) > 1)} "
            f"{shorten(match.missing, 12)}.",
            f"Its channels: {shorten(names, 12)}.",
        )
    return match


def open_files(
    rows: Sequence[ManifestRow], options: ReadOptions
) -> tuple[dict[EegSource, EegHeader], dict[EegSource, InputError]]:
    """Read the header of each EEG file once.

    Returns
    -------
    headers, problems
        The headers; why the other files cannot be opened.
    """
    headers: dict[EegSource, EegHeader] = {}
    problems: dict[EegSource, InputError] = {}
    of_arrays: dict[EegSource, EegHeader] = {}
    for row in rows:
        source = row.source
        if source is None or source in headers or source in problems:
            continue
        try:
            if source.array is None:
                headers[source] = _read_header(source.path, row_options(row, options))
                continue
            whole = EegSource(source.path, source.array.recording)
            if whole not in of_arrays:
                of_arrays[whole] = _read_header(source.path, row_options(row, options))
            length = find_trial(source.path, source.array).length
            duration_s = length / source.array.sfreq_hz
            headers[source] = replace(of_arrays[whole], duration_s=duration_s)
        except InputError as error:
            problems[source] = error
    return headers, problems


def _read_header(path: Path, options: ReadOptions) -> EegHeader:
    raw = open_eeg(path, options, header_only=True)
    sfreq = float(raw.info["sfreq"])
    types = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    eeg = tuple(name for name, channel_type in types if channel_type == "eeg")
    files, warning = source_files(path, raw), unclosed_warning(path)
    if options.array is not None and array_layout(path, options.array).unverified:
        warning = f"{path} contains more bytes than its compressed variables need; they were read."
    return EegHeader(raw.n_times / sfreq, sfreq, tuple(raw.ch_names), eeg, files, warning)


def channels_to_store(
    rows: Sequence[ManifestRow], headers: EegHeaders, errors: TableErrors
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Return the channels to store, and notes on the channels that are not used."""
    if not headers:
        return None, []
    if channels := next(row.eeg_channels for row in rows if row.eeg):
        return channels, []
    eog = {
        canonical_name(name)
        for row in rows
        if row.source
        for pair in find_derivations(row.eog, headers[row.source].channels, str(row.eeg))
        for name in pair
    }
    found: list[dict[str, str]] = []
    other: dict[str, None] = {}
    for path, header in {(s.path, h.eeg): (s.path, h) for s, h in headers.items()}.values():
        present = [name for name in header.eeg if canonical_name(name) not in eog]
        try:
            spellings, unused = electrodes_to_store(present, path)
        except InputError as error:
            line = next(row.line for row in rows if row.eeg == path)
            numbered = all(name.isdecimal() for name in header.channels)
            errors.add(line, _NO_NAMES if numbered else str(error))
            continue
        found.append({canonical_name(name): name for name in spellings})
        other |= dict.fromkeys(unused)
    if not found:
        return None, []
    common = set.intersection(*(set(own) for own in found))
    if not common:
        errors.add(rows[0].line, "the EEG recordings have no channel in common")
    dropped = sorted(set().union(*found) - common)
    notes = []
    if dropped:
        notes.append(
            f"Not used, because some recordings lack them: channels {shorten(dropped, 40)}."
        )
    if other:
        notes.append(
            f"Not used, because their names are not electrodes of the 10-05 system: channels "
            f"{shorten(list(other), 40)}. List them in eeg_channels if they are electrodes."
        )
    # order and spelling of the first file
    return tuple(name for key, name in found[0].items() if key in common), notes


def electrodes_to_store(present: Sequence[str], path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of a file's electrodes, or of bipolar channels, and the other channels.

    Raises
    ------
    InputError
        The file has neither, or two channels of one electrode.
    """
    channels = find_electrodes(present)
    channels.require_unique(str(path))
    if channels.electrodes:
        return list(channels.electrodes.values()), (*channels.bipolar, *channels.other)
    if channels.bipolar:
        return list(channels.bipolar), channels.other
    raise InputError(
        f"{path} has no channel whose name is an electrode of the 10-05 system.",
        f"List its electrodes in eeg_channels, or name them with --channels; its channels: "
        f"{shorten(present, 12)}.",
    )
