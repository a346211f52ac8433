"""The text of a table in the encodings in which Excel and pandas write it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.input_files import read_input

_MAX_BYTES = 2**28
_WORKBOOKS = {b"PK\x03\x04": "Excel workbook (.xlsx)", b"\xd0\xcf\x11\xe0": "Excel workbook (.xls)"}
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def read_table_text(path: Path, hint: str) -> str:
    """Return the text of a table in UTF-8, UTF-16 or Windows-1252, without a byte order mark.

    Parameters
    ----------
    path
        The table.
    hint
        Hint of the exceptions.

    Raises
    ------
    InputError
        The file cannot be read, is a workbook of Excel, or is not text.
    """
    problem = f"The table {path} cannot be read"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{problem}: it has more than {_MAX_BYTES // 2**20} MiB.", hint)
        content = read_input(path)
    except OSError as error:
        raise InputError(f"{problem}: {error.strerror or error}.", hint) from error
    for start, kind in _WORKBOOKS.items():
        if content.startswith(start):
            raise InputError(f"{problem}: it is an {kind}.", "Save it as CSV (UTF-8).")
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        raise InputError(f"{problem}: it is not text in UTF-8 or UTF-16.", hint) from error
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        name = "a NUL byte" if control[0] == "\0" else f"the control character {ord(control[0])}"
        raise InputError(
            f"{problem}: it is not text in UTF-8 or UTF-16, because row {line} contains {name}.",
            hint,
        )
    return text


def _encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = content[:1000]
    # text of European languages in UTF-16 has a NUL in every second byte
    if len(start) >= 4 and not any(start[1::2]) and all(start[::2]):
        return "utf-16-le"
    if len(start) >= 4 and not any(start[::2]) and all(start[1::2]):
        return "utf-16-be"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _encoding_of_windows(content)
    return "utf-8-sig"


def _encoding_of_windows(content: bytes) -> str:
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:  # five bytes have no meaning in it
        return "latin-1"
    return "cp1252"
