"""All labeled segments of a prepared store, for training and prediction in one's own code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from milmer_cli.data.dataset import Bag, BagDataset
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.settings import Settings, load_settings


class PreparedDataset(BagDataset):
    """The segments of a prepared store that have a class; a batch is the arguments of the model.

    Items are those of `BagDataset` without ``index``, so that ``model(**batch)`` works for the
    batches of a ``DataLoader``, and transformers' ``Trainer`` accepts the data set.

    Parameters
    ----------
    prepared
        Folder of the store.
    settings
        Sections ``data``, ``quality`` and ``model``, by default those of `load_settings`. For a
        trained model, use the settings of its run.

    Attributes
    ----------
    segments
        Table of the segments, one row per item; to split by participant, trial or stimulus.
    labels
        (n_items,) int64, the class of each item.
    class_names
        Names of the classes, in the order of the logits: those of ``config.id2label``.

    Raises
    ------
    InputError
        The store cannot be used, or has no segment that the model can use.
    """

    def __init__(self, prepared: Path | str, settings: Settings | None = None) -> None:
        settings = settings or load_settings()
        labeled = LabeledSegments.open(Path(prepared), settings)
        rows = np.flatnonzero(labeled.labels != EXCLUDED)
        super().__init__(labeled, rows, settings.model.modalities)
        self.segments = labeled.segments.take(rows)
        self.labels = labeled.labels[rows]
        self.class_names = labeled.class_names

    def __getitem__(self, item: int) -> Bag:
        bag = super().__getitem__(item)
        del bag["index"]
        return bag
