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

_FIELD = re.compile(r"^[ \t]*([A-Za-z]+)[ \t]*=[ \t]*([^\r\n]*)", re.MULTILINE)
_FILE_FIELDS = {"datafile": ".eeg", "markerfile": ".vmrk"}


def brainvision_fields(path: Path) -> dict[str, str]:
    """Return the fields of a BrainVision header (.vhdr): name in lower case -> text.

    Of a field that occurs more than once, the first is returned. ``$b`` stands for the name of the
    header in names of files.
    """
    text = path.read_text("latin-1")
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text.partition("[Comment]")[0]):
        fields.setdefault(name.lower(), value.strip().replace("$b", path.stem))
    return fields


def referenced_file(path: Path, name: str) -> Path | None:
    """Return the file that a header names, or the renamed one with the header's own name.

    Parameters
    ----------
    path
        The header file.
    name
        Name in the header; empty if it names none.
    """
    if not name:
        return None
    # the name was read as Latin-1, but a header may be in UTF-8
    names = {name, name.encode("latin-1", "replace").decode("utf-8", "replace")}
    named = [path.parent / own for own in names]
    renamed = path.with_suffix(Path(name).suffix)
    return next((file for file in (*named, renamed) if file.is_file()), None)


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
    renamed = {}
    for field, suffix in _FILE_FIELDS.items():
        name = fields.get(field, "")
        file = referenced_file(path, name)
        if name and file is None:
            raise InputError(
                f"{path} names the file {name}, which does not exist.",
                f"Copy it beside the header, also as {path.stem}{suffix}.",
            )
        if file is not None and file.name != name:
            renamed[field] = file.absolute()
    if not renamed:
        yield path
        return
    content = path.read_bytes()
    for field, file in renamed.items():
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
