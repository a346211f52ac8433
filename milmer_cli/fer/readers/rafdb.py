"""RAF-DB (Li, Deng & Du 2017), basic emotions: a list of labels and aligned or original images."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.fer.labeled_images import (
    Exclusions,
    LabeledImage,
    LabeledImages,
    class_number,
    set_of,
)
from milmer_cli.fer.readers.csv_file import read_lines

CLASSES: dict[int | None, str] = {
    1: "surprise", 2: "fear", 3: "disgust", 4: "happiness", 5: "sadness", 6: "anger", 7: "neutral",
}  # fmt: skip
"""Class names by number."""


def matches(path: Path) -> bool:
    """Return whether ``path``, or its folder ``basic``, contains the list of labels."""
    return _label_file(path).is_file() or _label_file(path / "basic").is_file()


def read(path: Path) -> LabeledImages:
    """Read the images; aligned images are preferred to original ones."""
    root = path if _label_file(path).is_file() else path / "basic"
    images, exclusions = [], Exclusions()
    for line_number, line in enumerate(read_lines(_label_file(root)), start=1):
        if not line.strip():
            continue
        file_name, _, label = line.strip().rpartition(" ")
        file_name = file_name.strip()
        place = f"line {line_number}"
        stem = Path(file_name).stem
        candidates = (
            root / "Image" / "aligned" / f"{stem}_aligned.jpg",
            root / "Image" / "original" / file_name,
        )
        file = next((candidate for candidate in candidates if candidate.is_file()), None)
        class_name = CLASSES.get(class_number(label))
        if class_name is None:
            exclusions.add("unknown class number", place)
            continue
        if file is None:
            exclusions.add("image missing", place)
            continue
        set_name = set_of(stem.partition("_")[0])
        images.append(LabeledImage(file, class_name, str(file), set_name))
    return LabeledImages("rafdb", root, tuple(images), exclusions.counts(), exclusions.places)


def _label_file(root: Path) -> Path:
    return root / "EmoLabel" / "list_patition_label.txt"
