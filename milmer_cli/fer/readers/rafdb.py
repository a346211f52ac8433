"""RAF-DB (Li, Deng & Du 2017), basic emotions: a list of labels and aligned or original images."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.fer.labeled_images import SET_NAMES, LabeledImage, LabeledImages

CLASSES = {
    "1": "surprise", "2": "fear", "3": "disgust", "4": "happiness", "5": "sadness", "6": "anger",
    "7": "neutral",
}  # fmt: skip


def matches(path: Path) -> bool:
    """Return whether ``path``, or its folder ``basic``, contains the list of labels."""
    return _label_file(path).is_file() or _label_file(path / "basic").is_file()


def read(path: Path) -> LabeledImages:
    """Read the images; aligned images are preferred to original ones."""
    root = path if _label_file(path).is_file() else path / "basic"
    images, n_missing = [], 0
    for line in _label_file(root).read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        file_name, _, number = line.strip().partition(" ")
        stem = Path(file_name).stem
        candidates = (
            root / "Image" / "aligned" / f"{stem}_aligned.jpg",
            root / "Image" / "original" / file_name,
        )
        file = next((candidate for candidate in candidates if candidate.is_file()), None)
        class_name = CLASSES.get(number.strip())
        if file is None or class_name is None:
            n_missing += 1
            continue
        set_name = SET_NAMES.get(stem.partition("_")[0], "")
        images.append(LabeledImage(file, class_name, str(file), set_name))
    excluded = (("image missing", n_missing),) if n_missing else ()
    return LabeledImages("rafdb", root, tuple(images), excluded)


def _label_file(root: Path) -> Path:
    return root / "EmoLabel" / "list_patition_label.txt"
