"""CK+ (Lucey et al. 2010): image sequences from a neutral face to the peak of an expression."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import Exclusions, LabeledImage, LabeledImages, class_number
from milmer_cli.input_files import is_regular_file, read_input

CLASSES = (
    "neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise",
)  # fmt: skip
"""Class names by number."""
IMAGE_FOLDERS = ("cohn-kanade-images", "extended-cohn-kanade-images", "images")


def matches(path: Path) -> bool:
    """Return whether ``path`` contains the folder ``Emotion`` and a folder of images."""
    return (path / "Emotion").is_dir() and _image_folder(path) is not None


def read(path: Path) -> LabeledImages:
    """Read the last frame of each labeled sequence, and the first one as neutral.

    Raises
    ------
    InputError
        There is no folder of images.
    """
    image_folder = _image_folder(path)
    if image_folder is None:
        raise InputError(f"{path}: expected one of {', '.join(IMAGE_FOLDERS)}, found none.")
    images, exclusions = [], Exclusions()
    for label_file in sorted((path / "Emotion").glob("*/*/*_emotion.txt")):
        subject, sequence = label_file.parts[-3:-1]
        frames = sorted((image_folder / subject / sequence).glob("[!.]*.png"))
        if not frames:
            exclusions.add("sequence without images", str(label_file))
            continue
        class_name = _class_name(label_file)
        if not class_name:
            exclusions.add("unknown class number", str(label_file))
            continue
        identifier = f"ckplus/{subject}"
        images.append(LabeledImage(frames[-1], class_name, str(frames[-1]), subject=identifier))
        if len(frames) > 1:
            images.append(LabeledImage(frames[0], "neutral", str(frames[0]), subject=identifier))
    return LabeledImages("ckplus", path, tuple(images), exclusions.counts(), exclusions.places)


def _class_name(label_file: Path) -> str:
    """Return the class of a sequence; empty if the file contains no number of a class."""
    if not is_regular_file(label_file):
        return ""
    number = class_number(read_input(label_file).decode("latin-1"))
    return CLASSES[number] if number is not None and 0 <= number < len(CLASSES) else ""


def _image_folder(path: Path) -> Path | None:
    return next((path / name for name in IMAGE_FOLDERS if (path / name).is_dir()), None)
