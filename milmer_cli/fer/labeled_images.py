"""Images of facial expressions with their classes, and one list of classes for all data sets.

Every data set numbers its classes differently. Readers therefore convert numbers to names, and all
other modules use the names. `COMMON_CLASSES` defines their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from milmer_cli.errors import InputError

SetName = Literal["", "training", "validation", "test"]

COMMON_CLASSES = (
    "anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise",
)  # fmt: skip
SYNONYMS = {
    "angry": "anger", "disgusted": "disgust", "fearful": "fear", "afraid": "fear",
    "scared": "fear", "happy": "happiness", "joy": "happiness", "sad": "sadness",
    "surprised": "surprise", "natural": "neutral", "contemptuous": "contempt",
}  # fmt: skip
SET_NAMES: dict[str, SetName] = {
    "train": "training", "training": "training", "train_set": "training",
    "val": "validation", "valid": "validation", "validation": "validation",
    "publictest": "validation", "test": "test", "privatetest": "test",
}  # fmt: skip
"""Names that data sets use for their own training, validation and test set."""


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
    """

    layout: str
    path: Path
    images: tuple[LabeledImage, ...]
    excluded: tuple[tuple[str, int], ...] = ()

    def class_counts(self) -> Counter[str]:
        """Count the images of each class."""
        return Counter(image.class_name for image in self.images)

    def identity(self) -> dict[str, Any]:
        """Return JSON values that distinguish this data set from others."""
        return {
            "path": str(self.path.resolve()),
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
        excluded = "".join(f"; excluded {count} ({reason})" for reason, count in self.excluded)
        return f"{self.path} ({self.layout}): {listed}{excluded}."


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
    numbers = sorted(name for name in found if name.isdigit())
    if len(data_sets) > 1 and numbers:
        raise InputError(
            f"Data sets with class folders named {', '.join(numbers)} cannot be merged with "
            "others, because every data set numbers its classes differently.",
            "Rename the folders to the names of the expressions.",
        )
    common = [name for name in COMMON_CLASSES if name in found]
    return (*common, *sorted(found - set(COMMON_CLASSES)))
