"""Header files that name the other files of a recording: BrainVision.

A header keeps naming the old files if the files of a recording were renamed. The files that have
the header's own name are used then.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.input_files import read_input

_FIELD = re.compile(r"^[ \t]*([A-Za-z]+)[ \t]*=[ \t]*([^\r\n]*)", re.MULTILINE)
_FILE_FIELDS = {"datafile": ".eeg", "markerfile": ".vmrk"}


def brainvision_fields(path: Path) -> dict[str, str]:
    """Return the fields of a BrainVision header (.vhdr): name in lower case -> text.

    Of a field that occurs more than once, the first is returned.
    """
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(_read_text(path)):
        fields.setdefault(name.lower(), value.strip())
    return fields


def brainvision_units(path: Path) -> list[str]:
    """Return the unit of each channel of a BrainVision header as it is spelled."""
    section = re.split(r"(?im)^\[channel infos\]", _read_text(path))[-1].partition("\n[")[0]
    channels = re.findall(r"(?im)^ch\d+=([^\r\n]*)", section)
    parts = [channel.split(",") for channel in channels]
    return [part[3].strip() if len(part) > 3 else "" for part in parts]


def _read_text(path: Path) -> str:
    """Return a BrainVision header without its comment."""
    content = read_input(path)
    return content.decode(_encoding(content)).partition("[Comment]")[0]


def referenced_file(path: Path, name: str) -> Path | None:
    """Return the file that a header names, or the renamed one with the header's own name.

    Parameters
    ----------
    path
        The header file.
    name
        Name in the header; empty if it names none. ``$b`` stands for the name of the header.
    """
    if not name:
        return None
    named = path.parent / name.replace("$b", path.stem)
    renamed = path.with_suffix(Path(name).suffix)
    return next((file for file in (named, renamed) if file.is_file()), None)


@contextlib.contextmanager
def resolved_header(path: Path) -> Iterator[Path]:
    """Yield a header whose files exist: ``path`` itself, or a temporary one with their new names.

    Raises
    ------
    InputError
        The header of a BrainVision recording names a file that does not exist, and there is none
        with the header's own name.
    """
    if path.suffix.lower() != ".vhdr":
        yield path
        return
    fields = brainvision_fields(path)
    files: dict[str, Path] = {}
    for field, suffix in _FILE_FIELDS.items():
        name = fields.get(field, "")
        file = referenced_file(path, name)
        if name and file is None:
            raise InputError(
                f"{path} names the file {name}, which does not exist.",
                f"Copy it beside the header, also as {path.stem}{suffix}.",
            )
        if file is not None:
            files[field] = file.absolute()
    if all(file == (path.parent / fields[field]).absolute() for field, file in files.items()):
        yield path
        return
    content = read_input(path)
    for field, file in files.items():
        pattern = rb"(?im)^([ \t]*" + field.encode() + rb"[ \t]*=)[^\r\n]*"
        line = str(file).encode(_encoding(content), "replace")
        content = re.sub(pattern, lambda m, line=line: m[1] + line, content, count=1)  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        header = Path(folder, path.name)
        header.write_bytes(content)
        yield header


def _encoding(content: bytes) -> str:
    """Return the encoding in which MNE reads a BrainVision header."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
