"""Comparison of the size of an EEG file with the size that its header states.

MNE reads what is there: of a truncated file it returns a shorter recording, and after bytes that
were inserted or lost in the middle it reads every later sample from another channel.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from milmer_cli.eeg.edf import RecordLayout, read_record_layout, sample_bytes_of
from milmer_cli.eeg.header_files import brainvision_fields, referenced_file
from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input, read_input

COPY_AGAIN = "Copy or unpack the file again."
_FIF_TAG = struct.Struct(">iiii")
_BRAINVISION_BYTES = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}


def check_file_size(path: Path) -> None:
    """Raise an error if a recording is shorter or longer than its header states.

    EDF, BDF, GDF, FIF, BrainVision and Neuroscan (CNT) files are checked; the headers of other
    formats state no size. An EDF or BDF file that its recorder did not close is accepted, see
    `unclosed_warning`.

    Raises
    ------
    InputError
        The sizes differ, or the header is invalid.
    """
    check = _CHECKS.get(path.suffix.lower())
    if check is None:
        return
    try:
        check(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, IndexError, struct.error) as error:
        raise InputError(
            f"{path} cannot be read as EEG: it is not a {path.suffix[1:].upper()} file, or its "
            "header is truncated or damaged.",
            COPY_AGAIN,
        ) from error


def unclosed_warning(path: Path) -> str:
    """Return a sentence if an EDF or BDF file was not closed by its recorder, else ""."""
    sample_bytes = sample_bytes_of(path)
    if sample_bytes is None or not path.is_file():
        return ""
    try:
        layout = read_record_layout(path, sample_bytes)
    except (OSError, ValueError):
        return ""
    if layout.n_records != -1:
        return ""
    n_records, rest = divmod(path.stat().st_size - layout.header_bytes, layout.record_bytes)
    rest_text = f" and an incomplete one of {rest:,} bytes, which is not used" if rest else ""
    return (
        f"{path} was not closed by its recorder (its header states -1 data records): the "
        f"{n_records} whole data records are used{rest_text}."
    )


def _require(path: Path, expected: int, size: int, stated: str) -> None:
    """Raise an error unless a file has exactly the expected number of bytes."""
    if size == expected:
        return
    problem = "truncated" if size < expected else "longer than its header states"
    raise InputError(
        f"{path} is {problem}: expected {expected:,} bytes ({stated}), got {size:,}.", COPY_AGAIN
    )


def _check_records(path: Path) -> None:
    """Check an EDF or BDF file."""
    layout = read_record_layout(path, sample_bytes_of(path) or 0)
    size = path.stat().st_size
    one_record = layout.header_bytes + layout.record_bytes
    if layout.n_records == 0:
        raise InputError(f"{path} contains no data records, according to its header.", COPY_AGAIN)
    expected = one_record if layout.n_records == -1 else _stated_bytes(layout)
    if layout.n_records == -1 and size >= one_record:
        return
    stated = f"header: {layout.n_records} data records of {layout.record_bytes:,} bytes"
    _require(path, expected, size, stated)


def _stated_bytes(layout: RecordLayout) -> int:
    return layout.header_bytes + layout.n_records * layout.record_bytes


def _check_fif(path: Path) -> None:
    """Follow the tags of a FIF file: each states its size and where the next one begins."""
    size, position = path.stat().st_size, 0
    with open_input(path) as file:
        while True:
            file.seek(position)
            header = file.read(_FIF_TAG.size)
            if len(header) < _FIF_TAG.size:
                break
            _, _, length, following = _FIF_TAG.unpack(header)
            end = position + _FIF_TAG.size + length
            if length < 0 or end > size:
                break
            if following < 0:
                return
            if 0 < following <= position:
                raise ValueError("the tags form a loop")
            position = following or end
    raise InputError(
        f"{path} is truncated or damaged: it has {size:,} bytes, and its last part is missing.",
        COPY_AGAIN,
    )


def _check_brainvision(path: Path) -> None:
    """Compare a BrainVision data file with the channels and samples that its header states."""
    fields = brainvision_fields(path)
    sample_bytes = _BRAINVISION_BYTES.get(fields.get("binaryformat", "").upper())
    data = referenced_file(path, fields.get("datafile", ""))
    if fields.get("dataformat", "").upper() != "BINARY" or sample_bytes is None or data is None:
        return
    n_channels, size = int(fields["numberofchannels"]), data.stat().st_size
    frame = n_channels * sample_bytes
    if "datapoints" in fields:
        n_samples = int(fields["datapoints"])
        stated = f"{path.name}: {n_samples:,} samples of {n_channels} channels"
        _require(data, n_samples * frame, size, stated)
    elif size % frame:
        raise InputError(
            f"{data} is truncated or damaged: expected a multiple of {frame} bytes "
            f"({path.name}: {n_channels} channels), got {size:,}.",
            COPY_AGAIN,
        )
    _check_markers(path, fields, size // frame)


def _check_markers(path: Path, fields: Mapping[str, str], n_samples: int) -> None:
    """Compare the last marker of a BrainVision recording with its number of samples."""
    markers = referenced_file(path, fields.get("markerfile", ""))
    if markers is None:
        return
    text = read_input(markers).decode("latin-1")
    positions = re.findall(r"^Mk\d+=[^,\r\n]*,[^,\r\n]*,\s*(\d+)", text, re.MULTILINE)
    last = max(map(int, positions), default=0)
    if last > n_samples:
        raise InputError(
            f"The data file of {path} is truncated: {markers.name} has a marker at sample "
            f"{last:,}, got {n_samples:,} samples.",
            COPY_AGAIN,
        )


def _check_cnt(path: Path) -> None:
    """Check that a Neuroscan file reaches to its event table, which follows the data."""
    with open_input(path) as file:
        header = file.read(900)
    (n_channels,) = struct.unpack_from("<H", header, 370)
    (events_at,) = struct.unpack_from("<i", header, 886)
    size = path.stat().st_size
    if events_at > 900 + 75 * n_channels and events_at > size:
        _require(path, events_at, size, "header: start of the event table")


_GDF_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 16: 4, 17: 8, 18: 16, 279: 3, 535: 3}


def _check_gdf(path: Path) -> None:
    """Compare a GDF file with its header: data records, and the event table after them."""
    with open_input(path) as file:
        header = file.read(256)
        if header[:3] != b"GDF":
            raise ValueError("not a GDF file")
        first = header[4:8].startswith(b"1.")
        header_bytes = struct.unpack_from("<q" if first else "<H", header, 184)[0]
        header_bytes *= 1 if first else 256
        (n_records,) = struct.unpack_from("<q", header, 236)
        (n_channels,) = struct.unpack_from("<I" if first else "<H", header, 252)
        fields = file.read(256 * n_channels)
    samples = struct.unpack_from(f"<{n_channels}I", fields, 216 * n_channels)
    types = struct.unpack_from(f"<{n_channels}I", fields, 220 * n_channels)
    if n_records < 0 or not set(types) <= set(_GDF_BYTES):
        return
    record = sum(n * _GDF_BYTES[kind] for n, kind in zip(samples, types, strict=True))
    expected = header_bytes + n_records * record
    size = path.stat().st_size
    if size > expected:
        expected += _gdf_event_bytes(path, expected, first)
    _require(path, expected, size, f"header: {n_records} data records of {record:,} bytes")


def _gdf_event_bytes(path: Path, start: int, first: bool) -> int:
    """Return the size of the event table of a GDF file."""
    with open_input(path) as file:
        file.seek(start)
        header = file.read(8)
    mode = header[0]
    count = int.from_bytes(header[4:8] if first else header[1:4], "little")
    return 8 + count * ((12 if mode & 2 else 6) + (8 if mode & 4 else 0))


_CHECKS: dict[str, Callable[[Path], None]] = {
    ".edf": _check_records,
    ".bdf": _check_records,
    ".gdf": _check_gdf,
    ".fif": _check_fif,
    ".vhdr": _check_brainvision,
    ".cnt": _check_cnt,
}
