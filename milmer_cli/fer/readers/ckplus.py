"""CK+ (Lucey et al. 2010): image sequences from a neutral face to the peak of an expression."""

from __future__ import annotations

from pathlib import Path

from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import LabeledImage, LabeledImages

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
    images, n_missing = [], 0
    for label_file in sorted((path / "Emotion").glob("*/*/*_emotion.txt")):
        subject, sequence = label_file.parts[-3:-1]
        frames = sorted((image_folder / subject / sequence).glob("*.png"))
        if not frames:
            n_missing += 1
            continue
        class_name = CLASSES[round(float(label_file.read_text(encoding="utf-8")))]
        identifier = f"ckplus/{subject}"
        images.append(LabeledImage(frames[-1], class_name, str(frames[-1]), subject=identifier))
        if len(frames) > 1:
            images.append(LabeledImage(frames[0], "neutral", str(frames[0]), subject=identifier))
    excluded = (("sequence without images", n_missing),) if n_missing else ()
    return LabeledImages("ckplus", path, tuple(images), excluded)


def _image_folder(path: Path) -> Path | None:
    return next((path / name for name in IMAGE_FOLDERS if (path / name).is_dir()), None)
