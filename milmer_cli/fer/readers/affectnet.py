"""AffectNet (Mollahosseini, Hasani & Mahoor 2017): NumPy annotations or lists in CSV files.

AffectNet publishes no test set. Its validation set is the test set here, as in the literature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from milmer_cli.fer.labeled_images import LabeledImage, LabeledImages, SetName
from milmer_cli.fer.readers.csv_file import read_header, read_rows

CLASSES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
)  # fmt: skip
"""Class names by number; higher numbers mean uncertain, none, or no face."""
FOLDERS: dict[str, SetName] = {"train_set": "training", "val_set": "test"}
LISTS: dict[str, SetName] = {"training.csv": "training", "validation.csv": "test"}


def matches(path: Path) -> bool:
    """Return whether ``path`` contains annotations or lists of AffectNet."""
    has_annotations = any((path / folder / "annotations").is_dir() for folder in FOLDERS)
    return has_annotations or any(True for _ in _iter_lists(path))


def read(path: Path) -> LabeledImages:
    """Read the images of both forms of the data set."""
    images: list[LabeledImage] = []
    excluded: Counter[str] = Counter()
    for file, number, set_name in (*_iter_annotated(path), *_iter_listed(path)):
        if number is None:
            excluded["annotation missing"] += 1
        elif file is None:
            excluded["image missing"] += 1
        elif number >= len(CLASSES):
            excluded["uncertain, or no face"] += 1
        else:
            images.append(LabeledImage(file, CLASSES[number], str(file), set_name))
    return LabeledImages("affectnet", path, tuple(images), tuple(excluded.items()))


def _iter_annotated(path: Path) -> Iterator[tuple[Path, int | None, SetName]]:
    """Yield the image, class number and set of each image with a NumPy annotation."""
    for folder, set_name in FOLDERS.items():
        for file in sorted((path / folder / "images").glob("*.jpg")):
            annotation = path / folder / "annotations" / f"{file.stem}_exp.npy"
            number = None
            if annotation.is_file():
                number = int(np.load(annotation, allow_pickle=False).item())
            yield file, number, set_name


def _iter_listed(path: Path) -> Iterator[tuple[Path | None, int, SetName]]:
    """Yield the image, class number and set of each row of the lists."""
    for file, set_name in _iter_lists(path):
        for row in read_rows(file):
            candidates = [
                root / row["subDirectory_filePath"]
                for root in (path, path / "Manually_Annotated_Images")
            ]
            image = next((candidate for candidate in candidates if candidate.is_file()), None)
            yield image, int(row["expression"]), set_name


def _iter_lists(path: Path) -> Iterator[tuple[Path, SetName]]:
    for name, set_name in LISTS.items():
        file = path / name
        if file.is_file() and read_header(file)[:1] == ["subDirectory_filePath"]:
            yield file, set_name
