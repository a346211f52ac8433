"""Images of facial expressions with their classes, and one list of classes for all data sets.

Every data set numbers its classes differently. Readers therefore convert numbers to names, and all
other modules use the names. `COMMON_CLASSES` defines their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from milmer_cli.digests import digest
from milmer_cli.errors import InputError, shorten

MAX_PLACES = 5
"""Places named for each reason of an exclusion."""

SetName = Literal["", "training", "validation", "test"]

COMMON_CLASSES = (
    "anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise",
)  # fmt: skip
SYNONYMS = {
    "angry": "anger", "disgusted": "disgust", "fearful": "fear", "afraid": "fear",
    "scared": "fear", "happy": "happiness", "joy": "happiness", "sad": "sadness",
    "surprised": "surprise", "natural": "neutral", "contemptuous": "contempt",
}  # fmt: skip
_SET_NAMES: dict[SetName, tuple[str, ...]] = {
    "training": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev", "development", "eval", "evaluation",
                   "publictest"),
    "test": ("test", "testing", "privatetest", "holdout"),
}  # fmt: skip
"""Names that data sets use for their own training, validation and test set, without ``set``."""


@dataclass(frozen=True)
class LabeledImage:
    """One image with its class.

    Attributes
    ----------
    source
        Image file, its content, or pixels: (height, width) gray or (height, width, 3) RGB, uint8.
    class_name
    name
        Name of the image in messages.
    set_name
        The set to which the data set assigns the image; empty if it does not define sets.
    subject
        Identifier of the person shown, unique over all data sets; empty if unknown.
    """

    source: Path | bytes | np.ndarray
    class_name: str
    name: str
    set_name: SetName = ""
    subject: str = ""


class Exclusions:
    """Collects why entries of a data set are not used, and where they are listed."""

    def __init__(self) -> None:
        self.places: dict[str, list[str]] = {}

    def add(self, reason: str, place: str) -> None:
        """Count one entry."""
        self.places.setdefault(reason, []).append(place)

    def counts(self) -> tuple[tuple[str, int], ...]:
        """Return each reason with the number of its entries."""
        return tuple((reason, len(places)) for reason, places in self.places.items())


@dataclass(frozen=True)
class LabeledImages:
    """The images of one data set.

    Attributes
    ----------
    layout
        Name of the layout, a key of `readers.layouts.LAYOUTS`.
    path
        Folder or CSV file.
    images
    excluded
        Reason and number of listed images that are not used.
    excluded_at
        Reason -> where these images are listed, as ``line 7``.
    """

    layout: str
    path: Path
    images: tuple[LabeledImage, ...]
    excluded: tuple[tuple[str, int], ...] = ()
    excluded_at: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def class_counts(self) -> Counter[str]:
        """Count the images of each class."""
        return Counter(image.class_name for image in self.images)

    def identity(self) -> dict[str, Any]:
        """Return JSON values that distinguish this data set from others."""
        return {
            "name": self.path.name,
            "path": digest(str(self.path.resolve())),  # model folders are shared
            "layout": self.layout,
            "counts": dict(self.class_counts()),
        }

    def describe(self, class_names: Sequence[str]) -> str:
        """Return one sentence with the path, the layout and the number of images by class."""
        counts = self.class_counts()
        listed = ", ".join(
            f"{index} {name} x {counts[name]}"
            for index, name in enumerate(class_names)
            if counts[name]
        )
        excluded = "".join(
            f"; excluded {count} ({reason}{self._places(reason)})"
            for reason, count in self.excluded
        )
        return f"{self.path} ({self.layout}): {listed}{excluded}."

    def _places(self, reason: str) -> str:
        places = self.excluded_at.get(reason, ())
        return f": {shorten(places, MAX_PLACES)}" if places else ""


def set_of(name: str) -> SetName:
    """Return the set that a name as ``train``, ``Valid`` or ``test_set`` stands for, or ""."""
    letters = "".join(filter(str.isalnum, name.lower()))
    plain = letters.removesuffix("set") or letters
    return next((known for known, names in _SET_NAMES.items() if plain in names), "")


def class_number(text: str) -> int | None:
    """Convert the number of a class, as ``3`` or ``3.0000000e+00``; None if it is no integer."""
    try:
        value = float(text)
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError):
        return None


def number_warning(data_set: LabeledImages) -> str:
    """Return a warning if the classes of a data set are numbers instead of names, or ""."""
    numbers = sorted(name for name in data_set.class_counts() if _is_number(name))
    if not numbers:
        return ""
    return (
        f"{data_set.path}: the classes {shorten(numbers)} are numbers, and every data set numbers "
        "its classes differently: rename the folders to the names of the expressions."
    )


def _is_number(name: str) -> bool:
    return any(map(str.isdigit, name)) and all(c.isdigit() or c in ".,_-" for c in name)


def common_class(name: str) -> str:
    """Convert a class name to the common list; an unknown name is returned in lower case.

    A leading number, as in ``1_fearful``, is removed.
    """
    lowered = name.strip().lower().replace(" ", "_")
    if lowered[:1].isdigit() and "_" in lowered:
        lowered = lowered.partition("_")[2]
    return SYNONYMS.get(lowered, lowered)


def merge_classes(data_sets: Sequence[LabeledImages]) -> tuple[str, ...]:
    """Return the classes of several data sets: `COMMON_CLASSES` in their order, then the others.

    Raises
    ------
    InputError
        There is only one class, or a data set whose classes have numbers instead of names is
        combined with another one.
    """
    found = {image.class_name for images in data_sets for image in images.images}
    if len(found) < 2:
        raise InputError(
            f"All images have the class {', '.join(found)}: a classifier needs two or more.",
            "Give images of at least two expressions.",
        )
    numbers = sorted(name for name in found if _is_number(name))
    if len(data_sets) > 1 and numbers:
        raise InputError(
            f"Data sets with class folders named {', '.join(numbers)} cannot be merged with "
            "others, because every data set numbers its classes differently.",
            "Rename the folders to the names of the expressions.",
        )
    common = [name for name in COMMON_CLASSES if name in found]
    return (*common, *sorted(found - set(COMMON_CLASSES)))
