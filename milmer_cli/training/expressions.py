"""Data sets of facial expressions: recognised by their layout, merged by the names of the classes.

Every set numbers its classes in its own way, so numbers never leave this module: each picture
carries the name of its class on one list, `CANON`, to which names that are not on it are added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

Part = Literal["", "train", "validation", "test"]

CANON = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SYNONYMS = {
    "angry": "anger", "disgusted": "disgust", "fearful": "fear", "afraid": "fear",
    "scared": "fear", "happy": "happiness", "joy": "happiness", "sad": "sadness",
    "surprised": "surprise", "natural": "neutral", "contemptuous": "contempt",
}  # fmt: skip
PARTS: dict[str, Part] = {
    "train": "train", "training": "train", "train_set": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "publictest": "validation", "test": "test", "privatetest": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One picture with its class.

    Attributes
    ----------
    image
        A file, or the grey pixels themselves, (height, width) uint8.
    label
        Name of the class.
    name
        What to call the picture in a message.
    part
        The set's own part for it, or empty.
    person
        Who it shows, unique over all sets; empty where that is not known.
    """

    image: Path | np.ndarray
    label: str
    name: str
    part: Part = ""
    person: str = ""


@dataclass(frozen=True)
class ExpressionSet:
    """A data set that was read.

    Attributes
    ----------
    kind
        Which layout it has.
    path
        Where it is.
    pictures
        Its pictures.
    left_out
        Pictures it lists that are not used: reason and how many.
    """

    kind: str
    path: Path
    pictures: tuple[Picture, ...]
    left_out: tuple[tuple[str, int], ...] = ()

    def counts(self) -> Counter[str]:
        """Pictures of each class."""
        return Counter(picture.label for picture in self.pictures)


def canonical(name: str) -> str:
    """Name of a class on the common list; a name that is not on it stays, in lower case."""
    plain = name.strip().lower().replace(" ", "_")
    plain = plain.partition("_")[2] if plain[:1].isdigit() and "_" in plain else plain
    return SYNONYMS.get(plain, plain)


def class_list(sets: Sequence[ExpressionSet]) -> tuple[str, ...]:
    """Classes of several sets together: those of `CANON` in its order, then the others."""
    seen = {picture.label for found in sets for picture in found.pictures}
    return (*(name for name in CANON if name in seen), *sorted(seen - set(CANON)))
