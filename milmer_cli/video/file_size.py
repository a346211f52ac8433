"""The size that a video file states in its headers, to recognize partly copied files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from milmer_cli.input_files import open_input

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MP4_FIRST = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"}
_UNKNOWN_RIFF = (0, 2**32 - 1)
"""Sizes that recorders write at the start and replace when the recording ends."""


def stated_size(path: Path) -> int | None:
    """Return the size in bytes that the headers of a file imply.

    Returns
    -------
    int or None
        At least the size of the complete file's first parts: AVI (RIFF chunk), mp4 and mov (boxes),
        Matroska (Segment element). None for other formats, and if the file states no size.
    """
    with open_input(path) as file:
        start = file.read(64)
    if start[:4] == b"RIFF":
        size = int.from_bytes(start[4:8], "little")
        return None if size in _UNKNOWN_RIFF else 8 + size
    if start[:4] == _EBML:
        return _segment_end(start)
    ends = [end for _, end in _mp4_boxes(path)]
    return max(ends, default=None)


def lacks_mp4_index(path: Path) -> bool:
    """Return whether an mp4 or mov file has no ``moov`` box, without which it cannot be read."""
    names = [name for name, _ in _mp4_boxes(path)]
    return bool(names) and b"moov" not in names


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
