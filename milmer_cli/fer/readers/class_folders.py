"""One folder per class, optionally below folders for the training, validation and test set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from milmer_cli.fer.labeled_images import SET_NAMES, LabeledImage, LabeledImages, common_class

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def matches(path: Path) -> bool:
    """Return whether ``path`` has a subfolder with images."""
    return path.is_dir() and any(True for _ in _iter_images(path))


def read(path: Path) -> LabeledImages:
    """Read the images; the name of a folder is the class of all images below it."""
    return LabeledImages("folders", path, tuple(_iter_images(path)))


def _iter_images(path: Path) -> Iterator[LabeledImage]:
    folders = sorted(child for child in path.iterdir() if child.is_dir())
    set_names = {folder: SET_NAMES.get(folder.name.lower(), "") for folder in folders}
    if folders and all(set_names.values()):
        for folder, set_name in set_names.items():
            for image in _iter_images(folder):
                yield replace(image, set_name=set_name)
        return
    set_name = SET_NAMES.get(path.name.lower(), "")
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in SUFFIXES:
                yield LabeledImage(file, common_class(folder.name), str(file), set_name)
