"""Recognize the layout of an expression data set and read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import LabeledImages
from milmer_cli.fer.readers import affectnet, ckplus, class_folders, fer2013, rafdb


@dataclass(frozen=True)
class Layout:
    """How one layout is recognized and read.

    Attributes
    ----------
    matches
        Returns whether a path has the layout.
    read
        Reads a path that has the layout.
    """

    matches: Callable[[Path], bool]
    read: Callable[[Path], LabeledImages]


LAYOUTS = {
    "ferplus": Layout(fer2013.matches_ferplus, fer2013.read_ferplus),
    "fer2013": Layout(fer2013.matches_fer2013, fer2013.read_fer2013),
    "rafdb": Layout(rafdb.matches, rafdb.read),
    "affectnet": Layout(affectnet.matches, affectnet.read),
    "ckplus": Layout(ckplus.matches, ckplus.read),
    "folders": Layout(class_folders.matches, class_folders.read),
}
"""Layouts by name, the most general last; the first match is used."""

_HINT = (
    f"Milmer reads the layouts {', '.join(LAYOUTS)} (folders: one folder per class); name one "
    "as in --data rafdb=DIR. docs/expression-images.md describes each layout."
)


def read_images(source: str | Path) -> LabeledImages:
    """Read an expression data set.

    Parameters
    ----------
    source
        Its folder or CSV file, whose layout is recognized; or ``LAYOUT=PATH`` with a key of
        `LAYOUTS`.

    Raises
    ------
    InputError
        The path does not exist, has no known layout, or contains no usable image.
    """
    layout, path = _parse_source(str(source))
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Give a folder of images or a CSV file.")
    if layout is None:
        layout = next((known for known in LAYOUTS.values() if known.matches(path)), None)
    if layout is None:
        raise InputError(f"{path} has no known layout of an expression data set.", _HINT)
    data_set = layout.read(path)
    if not data_set.images:
        raise InputError(
            f"{path} was read with the layout {data_set.layout} and contains no usable image.",
            _HINT,
        )
    return data_set


def _parse_source(source: str) -> tuple[Layout | None, Path]:
    name, equals, path = source.partition("=")
    if equals and name in LAYOUTS:
        return LAYOUTS[name], Path(path)
    return None, Path(source)
