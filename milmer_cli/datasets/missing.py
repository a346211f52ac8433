"""Missing and unusable inputs of a data set, as `prepare --check` reports them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.errors import InputError, shorten
from milmer_cli.video.probe import VideoProbe

_LISTED = 6
COPY_AGAIN = "Copy or download it again."
"""What the user can do about a damaged file of a published data set."""


@dataclass(frozen=True)
class MissingInput:
    """A file, rating or trial that is missing or cannot be used.

    Attributes
    ----------
    what
        The missing item.
    why
        What cannot be done without it, or why it cannot be used.
    fix
        What the user can do; may be empty.
    """

    what: str
    why: str
    fix: str


def group_missing(missing: Iterable[MissingInput]) -> list[MissingInput]:
    """Merge the entries that have the same reason and the same fix."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in missing:
        groups.setdefault((entry.why, entry.fix), []).append(entry.what)
    return [
        MissingInput(shorten(what, _LISTED, "; "), why, fix) for (why, fix), what in groups.items()
    ]


def missing_rows(missing: Iterable[MissingInput]) -> list[tuple[str, str]]:
    """Return rows of label and value for `StageResult.summary`."""
    return [("missing", f"{m.what}. {m.why} {m.fix}".strip()) for m in missing]


def probe_or_problem(
    path: Path, probe: Callable[[Path], VideoProbe]
) -> tuple[VideoProbe | None, MissingInput | None]:
    """Open a video and decode its first frame.

    Returns
    -------
    properties, problem
        The properties of the video, or None; why it cannot be used, or None if it can.
    """
    try:
        properties = probe(path)
    except InputError as error:
        return None, MissingInput(path.name, error.message, error.hint)
    # Only the first frame is required: times count from it. A missing last frame costs one image.
    if properties.first_decodable:
        return properties, None
    why = f"The first frame of {path} cannot be decoded."
    return properties, MissingInput(path.name, why, COPY_AGAIN)
