"""AffectNet (Mollahosseini, Hasani & Mahoor 2017): NumPy annotations or lists in CSV files.

AffectNet publishes no test set. Its validation set is the test set here, as in the literature.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from milmer_cli.fer.labeled_images import (
    Exclusions,
    LabeledImage,
    LabeledImages,
    SetName,
    class_number,
)
from milmer_cli.fer.readers.csv_file import read_header, read_rows
from milmer_cli.input_files import is_regular_file, open_input

CLASSES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
)  # fmt: skip
"""Class names by number."""
WITHOUT_CLASS = (8, 9, 10)
"""Numbers of images that show no expression, an uncertain one, or no face."""
FOLDERS: dict[str, SetName] = {"train_set": "training", "val_set": "test"}
LISTS: dict[str, SetName] = {"training.csv": "training", "validation.csv": "test"}


class _Entry(NamedTuple):
    """An image, its class number, its set, where it is listed, and why it has no number."""

    file: Path | None
    number: int | None
    set_name: SetName
    place: str
    problem: str


def matches(path: Path) -> bool:
    """Return whether ``path`` contains annotations or lists of AffectNet."""
    has_annotations = any((path / folder / "annotations").is_dir() for folder in FOLDERS)
    return has_annotations or any(True for _ in _iter_lists(path))


def read(path: Path) -> LabeledImages:
    """Read the images of both forms of the data set."""
    images: list[LabeledImage] = []
    exclusions = Exclusions()
    for entry in chain(_iter_annotated(path), _iter_listed(path)):
        reason = _reason_to_exclude(entry)
        if reason or entry.file is None or entry.number is None:
            exclusions.add(reason, entry.place)
        else:
            name = str(entry.file)
            images.append(LabeledImage(entry.file, CLASSES[entry.number], name, entry.set_name))
    return LabeledImages("affectnet", path, tuple(images), exclusions.counts(), exclusions.places)


def _reason_to_exclude(entry: _Entry) -> str:
    if entry.number is None:
        return entry.problem
    if entry.number in WITHOUT_CLASS:
        return "uncertain, or no face"
    if not 0 <= entry.number < len(CLASSES):
        return "unknown class number"
    return "image missing" if entry.file is None else ""


def _iter_annotated(path: Path) -> Iterator[_Entry]:
    """Yield an entry for each image file, with its NumPy annotation."""
    for folder, set_name in FOLDERS.items():
        for file in sorted((path / folder / "images").glob("[!.]*.jpg")):
            annotation = path / folder / "annotations" / f"{file.stem}_exp.npy"
            number, problem = _read_annotation(annotation)
            yield _Entry(file, number, set_name, str(file), problem)


def _read_annotation(path: Path) -> tuple[int | None, str]:
    """Return the class number of an annotation, or None and the reason."""
    if not is_regular_file(path):
        return None, "annotation missing"
    try:
        # np.load leaves a damaged file open, so it is opened here
        with open_input(path) as file:
            number = class_number(str(np.load(file, allow_pickle=False).item()))
    except (OSError, ValueError, EOFError, AttributeError):
        number = None
    return number, "" if number is not None else "invalid annotation"


def _iter_listed(path: Path) -> Iterator[_Entry]:
    """Yield an entry for each row of the lists."""
    for file, set_name in _iter_lists(path):
        for row in read_rows(file):
            candidates = [
                root / row.cells["subDirectory_filePath"]
                for root in (path, path / "Manually_Annotated_Images")
            ]
            image = next(filter(is_regular_file, candidates), None)
            number = class_number(row.cells.get("expression", ""))
            problem = "unknown class number" if row.is_complete else "row with too few cells"
            number = number if row.is_complete else None
            yield _Entry(image, number, set_name, f"{file.name}, line {row.line}", problem)


def _iter_lists(path: Path) -> Iterator[tuple[Path, SetName]]:
    for name, set_name in LISTS.items():
        file = path / name
        if file.is_file() and read_header(file)[:1] == ["subDirectory_filePath"]:
            yield file, set_name
