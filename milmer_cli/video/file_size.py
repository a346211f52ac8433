"""The size that a video file states in its headers, to recognize partly copied files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from milmer_cli.input_files import open_input

_HEADER_BYTES = 65536
"""MXF allows so many bytes before its header; the one of the other formats is shorter."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MP4_FIRST = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"}
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_LIVE = 1
"""Flag of a live stream, whose properties do not state the size."""
_MXF_HEADER = bytes.fromhex("060e2b34020501010d0102010102")
"""Start of the key of the header partition."""
_UNKNOWN_RIFF = (0, 2**32 - 1)
"""Sizes that recorders write at the start and replace when the recording ends."""


def stated_size(path: Path) -> int | None:
    """Return the size in bytes that the headers of a file imply.

    Returns
    -------
    int or None
        At least the size of the complete file's first parts: AVI (RIFF chunk), mp4 and mov (boxes),
        Matroska (Segment element), WMV and ASF (file properties), MXF (position of the footer).
        None for other formats, and if the file states no size.
    """
    with open_input(path) as file:
        start = file.read(_HEADER_BYTES)
    if start[:4] == b"RIFF":
        size = int.from_bytes(start[4:8], "little")
        return None if size in _UNKNOWN_RIFF else 8 + size
    if start[:4] == _EBML:
        return _segment_end(start)
    if start[:16] == _ASF_HEADER:
        return _asf_size(start)
    if (header := start.find(_MXF_HEADER)) >= 0:
        footer = _mxf_footer(start[header:])
        return footer and header + footer
    ends = [end for _, end in _mp4_boxes(path)]
    return max(ends, default=None)


def lacks_mp4_index(path: Path) -> bool:
    """Return whether an mp4 or mov file has no complete ``moov`` box, which locates its frames."""
    ends = dict(_mp4_boxes(path))
    return bool(ends) and not 0 < ends.get(b"moov", 0) <= path.stat().st_size


def _mp4_boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the name and the end, in bytes, of each box; nothing for other files."""
    size = path.stat().st_size
    begin = 0
    with open_input(path) as file:
        while begin + 8 <= size:
            file.seek(begin)
            header = file.read(16)
            length, name = int.from_bytes(header[:4], "big"), header[4:8]
            if begin == 0 and name not in _MP4_FIRST:
                return
            if length == 1:  # the length follows in 64 bits
                length = int.from_bytes(header[8:16], "big")
            if length < 8:  # 0: the box ends with the file; less is no box
                if length == 0 and name.isalnum():
                    yield name, size
                return
            begin += length
            yield name, begin


def _asf_size(start: bytes) -> int | None:
    """Return the size in the File Properties object of an ASF header.

    After the GUID (16 bytes) and the length of the object (8) follow the ID (16) and the size (8)
    of the file; the flags are at byte 88.
    """
    at = start.find(_ASF_FILE_PROPERTIES)
    properties = start[at : at + 92]
    if at < 0 or len(properties) < 92 or properties[88] & _ASF_LIVE:
        return None
    return int.from_bytes(properties[40:48], "little") or None


def _mxf_footer(header: bytes) -> int | None:
    """Return the position of the footer from the header partition of an MXF file (SMPTE 377-1).

    After the key (16 bytes) and the length, which has 1 byte or the number of bytes in it, follow
    the version (4), the alignment (4), and the positions of this, the previous and the footer
    partition (8 each).
    """
    length = header[16] if len(header) > 16 else 0
    at = 17 + (length & 0x7F if length & 0x80 else 0) + 24
    return int.from_bytes(header[at : at + 8], "big") or None


def _segment_end(start: bytes) -> int | None:
    """Return the end of the Segment element that follows the EBML header."""
    header_length, begin = _vint(start, 4)
    begin += header_length or 0
    if start[begin : begin + 4] != _SEGMENT:
        return None
    length, begin = _vint(start, begin + 4)
    return None if length is None else begin + length


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """Return an EBML variable-length integer (None: unknown) and the position after it."""
    if at >= len(data) or not data[at]:
        return None, at
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value, at + width
