"""FER2013 (Goodfellow et al. 2013) and FER+ (Barsoum et al. 2016): CSV files with gray pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import (
    Exclusions,
    LabeledImage,
    LabeledImages,
    class_number,
    set_of,
)
from milmer_cli.fer.readers.csv_file import Row, read_header, read_rows

FER2013_CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""Class names by number."""
FERPLUS_CLASSES = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
)  # fmt: skip
"""Columns with the votes of ten raters."""
FER2013_NAMES = ("fer2013.csv", "icml_face_data.csv")
FERPLUS_NAME = "fer2013new.csv"
INCOMPLETE = "row with too few cells"


def matches_fer2013(path: Path) -> bool:
    """Return whether ``path`` is, or contains, the CSV file of FER2013."""
    return _find_fer2013(path) is not None


def read_fer2013(path: Path) -> LabeledImages:
    """Read FER2013; PublicTest is its validation set and PrivateTest its test set.

    Raises
    ------
    InputError
        The file is missing.
    """
    file = _find_fer2013(path)
    if file is None:
        raise InputError(
            f"{path}: expected FER2013's CSV file with the columns emotion and pixels, found none."
        )
    images, exclusions = [], Exclusions()
    for row in read_rows(file):
        pixels, reason = _read_pixels(row)
        number = class_number(row.cells["emotion"])
        place = f"line {row.line}"
        if pixels is None:
            exclusions.add(reason, place)
        elif number is None or not 0 <= number < len(FER2013_CLASSES):
            exclusions.add("unknown class number", place)
        else:
            name, set_name = f"{file}, {place}", set_of(row.cells.get("Usage", ""))
            images.append(LabeledImage(pixels, FER2013_CLASSES[number], name, set_name))
    return LabeledImages("fer2013", file, tuple(images), exclusions.counts(), exclusions.places)


def matches_ferplus(path: Path) -> bool:
    """Return whether ``path`` is, or contains, the CSV file of FER+."""
    return _find_ferplus(path) is not None


def read_ferplus(path: Path) -> LabeledImages:
    """Read FER+: the votes of fer2013new.csv for the pixels of fer2013.csv, row by row.

    An image has the class with most votes. It is excluded if several classes have most votes, or if
    most raters chose "unknown" or "not a face".

    Raises
    ------
    InputError
        One of the two files is missing, or they have different numbers of rows.
    """
    votes_file = _find_ferplus(path)
    pixels_file = _find_fer2013(path if path.is_dir() else path.parent)
    if votes_file is None or pixels_file is None:
        raise InputError(
            f"{path}: FER+ needs {FERPLUS_NAME} (votes) and {FER2013_NAMES[0]} (pixels).",
            "Put both files into one folder.",
        )
    vote_rows, pixel_rows = list(read_rows(votes_file)), list(read_rows(pixels_file))
    if len(vote_rows) != len(pixel_rows):
        raise InputError(
            f"{votes_file} has {len(vote_rows)} rows and {pixels_file} has {len(pixel_rows)}: "
            "expected equal numbers.",
            "Use files of the same release.",
        )
    images, exclusions = [], Exclusions()
    for votes, face in zip(vote_rows, pixel_rows, strict=True):
        class_name, no_class = _majority_vote(votes)
        pixels, no_pixels = _read_pixels(face)
        place = f"line {votes.line}"
        if no_class or pixels is None:
            exclusions.add(no_class or no_pixels, place)
        else:
            name, set_name = f"{votes_file}, {place}", set_of(votes.cells.get("Usage", ""))
            images.append(LabeledImage(pixels, class_name, name, set_name))
    counts, places = exclusions.counts(), exclusions.places
    return LabeledImages("ferplus", votes_file, tuple(images), counts, places)


def _majority_vote(row: Row) -> tuple[str, str]:
    """Return the class with most votes, or an empty class and the reason why there is none."""
    if not row.is_complete:
        return "", INCOMPLETE
    if not row.cells.get("Image name", "-"):
        return "", "no image name"
    names = (*FERPLUS_CLASSES, "unknown", "NF")
    votes = {name: class_number(row.cells.get(name) or "0") for name in names}
    counts = {name: count for name, count in votes.items() if count is not None and count >= 0}
    if len(counts) < len(names):
        return "", "invalid number of votes"
    winners = [name for name, count in counts.items() if count == max(counts.values())]
    if len(winners) > 1:
        return "", "no class has most votes"
    if winners[0] not in FERPLUS_CLASSES:
        return "", "voted unknown or not a face"
    return winners[0], ""


def _find_fer2013(path: Path) -> Path | None:
    candidates = (path,) if path.is_file() else tuple(path / name for name in FER2013_NAMES)
    return next((file for file in candidates if _has_columns(file, {"emotion", "pixels"})), None)


def _find_ferplus(path: Path) -> Path | None:
    file = path if path.is_file() else path / FERPLUS_NAME
    return file if _has_columns(file, {"NF", "contempt"}) else None


def _has_columns(file: Path, names: set[str]) -> bool:
    return file.suffix == ".csv" and file.is_file() and names <= set(read_header(file))


def _read_pixels(row: Row) -> tuple[np.ndarray | None, str]:
    """Return the image of a row, or None and the reason why there is none."""
    if not row.is_complete:
        return None, INCOMPLETE
    pixels = _parse_pixels(row.cells["pixels"])
    return pixels, "" if pixels is not None else "invalid pixels"


def _parse_pixels(text: str) -> np.ndarray | None:
    """Return the square gray image of a list of pixel values; None if they form no square."""
    try:
        values = np.array(text.split(), dtype=np.uint8)
    except (ValueError, OverflowError):
        return None
    size = round(len(values) ** 0.5)
    return values.reshape(size, size) if size and size**2 == len(values) else None
