"""One folder per class, optionally below folders for the training, validation and test set.

Hidden folders, those of other programs (``__MACOSX``), and folders without images never count. The
name of a set is never a class: if there are folders of sets, the folders beside them are not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from milmer_cli.fer.labeled_images import (
    Exclusions,
    LabeledImage,
    LabeledImages,
    SetName,
    common_class,
    set_of,
)
from milmer_cli.input_files import is_regular_file

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
MAX_DEPTH = 3
"""Folders that may enclose the folders of sets or classes, as in unpacked archives."""
BESIDE_SETS = "folder beside the sets"


def matches(path: Path) -> bool:
    """Return whether ``path`` has a subfolder with images."""
    return path.is_dir() and any(_iter_images(path, set_of(path.name), Exclusions()))


def read(path: Path) -> LabeledImages:
    """Read the images; the name of a folder is the class of all images below it."""
    exclusions = Exclusions()
    images = tuple(_iter_images(path, set_of(path.name), exclusions))
    return LabeledImages("folders", path, images, exclusions.counts(), exclusions.places)


def _iter_images(path: Path, set_name: SetName, exclusions: Exclusions) -> Iterator[LabeledImage]:
    path = _inner_folder(path)
    folders = _image_folders(path)
    sets = [folder for folder in folders if set_of(folder.name)]
    for folder in sets:
        yield from _iter_images(folder, set_of(folder.name), exclusions)
    for folder in folders:
        if sets and folder not in sets:
            exclusions.add(BESIDE_SETS, str(folder))
        elif not sets:
            yield from _class_images(folder, set_name)


def _class_images(folder: Path, set_name: SetName) -> Iterator[LabeledImage]:
    """Yield the images of a class; folders of sets may be below it instead of above."""
    class_name = common_class(folder.name)
    for file in sorted(_image_files(folder)):
        parents = file.relative_to(folder).parts[:-1]
        own_set = next((found for found in map(set_of, parents) if found), set_name)
        yield LabeledImage(file, class_name, str(file), own_set)


def _inner_folder(path: Path) -> Path:
    """Enter the only folder while it encloses folders of sets or of classes."""
    for _ in range(MAX_DEPTH):
        folders = _image_folders(path)
        if len(folders) != 1 or set_of(folders[0].name) or not _is_enclosing(folders[0]):
            return path
        path = folders[0]
    return path


def _is_enclosing(folder: Path) -> bool:
    """Return whether a folder encloses those of sets or classes, and has no image of its own."""
    if any(_is_image(file) for file in folder.iterdir()):
        return False
    inner = _image_folders(folder)
    return len(inner) > 1 or set_of(inner[0].name) != "" or _is_enclosing(inner[0])


def _image_folders(path: Path) -> list[Path]:
    """List the folders in ``path`` that have images at any depth."""
    folders = (child for child in path.iterdir() if child.is_dir() and not _is_ignored(child.name))
    return sorted(folder for folder in folders if any(_image_files(folder)))


def _image_files(folder: Path) -> Iterator[Path]:
    """Yield the images at any depth, without those in ignored folders."""
    for child in folder.iterdir():
        if _is_ignored(child.name):
            continue
        if child.is_dir() and not child.is_symlink():
            yield from _image_files(child)
        elif _is_image(child):
            yield child


def _is_image(file: Path) -> bool:
    is_named = file.suffix.lower() in SUFFIXES and not _is_ignored(file.name)
    return is_named and is_regular_file(file)


def _is_ignored(name: str) -> bool:
    return name.startswith((".", "__"))
