"""Split images into training, validation and test set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from milmer_cli.data.splits import Fold
from milmer_cli.errors import InputError
from milmer_cli.fer.labeled_images import LabeledImage

MAX_FOLDS = 20


def split_images(
    images: Sequence[LabeledImage], labels: np.ndarray, fraction: float, seed: int
) -> Fold:
    """Split images: by the sets of the data sets, then by subject.

    Images without a set of their own count as training images. If there is no validation set, it is
    split off the training images, stratified by class. All images of a subject stay in one set; an
    image of an unknown subject is treated as a subject of its own.

    Parameters
    ----------
    images
    labels
        (n,) class indices.
    fraction
        Fraction of the training images to split off for validation.
    seed

    Returns
    -------
    Fold
        Rows of ``images``; the test set is empty if no data set has one.

    Raises
    ------
    InputError
        There is no training image, all show the same subject, or every class has only one.
    """
    sets = np.array([image.set_name or "training" for image in images])
    train, validation, test = (
        np.flatnonzero(sets == name) for name in ("training", "validation", "test")
    )
    if not len(train):
        raise InputError(
            "No image belongs to a training set.",
            "Give the folder that contains train/ and test/, or the training folder itself.",
        )
    if not len(validation):
        subjects = np.array([images[row].subject or f"image {row}" for row in train.tolist()])
        n_subjects, most = len(np.unique(subjects)), int(np.bincount(labels[train]).max())
        n_folds = min(max(2, round(1 / fraction)), MAX_FOLDS, n_subjects, most)
        if n_folds < 2:
            raise InputError(
                "No validation set can be split off: expected training images of at least two "
                f"subjects and two images of a class, got {n_subjects} and {most}.",
                "Add images.",
            )
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        kept, held_out = next(folds.split(train, labels[train], subjects))
        train, validation = train[kept], train[held_out]
    return Fold(train, validation, test)


def describe_separation(images: Sequence[LabeledImage], scored_set: str) -> str:
    """Return in words how the set on which scores are computed is separated from training."""
    if any(image.set_name == scored_set for image in images):
        separation = f"the data sets' own {scored_set} set"
    elif all(image.subject for image in images):
        separation = "no subject occurs in two sets"
    else:
        separation = "subjects are unknown, so one may occur in two sets"
    if scored_set != "test":
        separation += "; the epoch was selected on this set, so the scores are optimistic"
    return separation
