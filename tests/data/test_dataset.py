from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from milmer_cli.data.dataset import Bags, collate
from milmer_cli.errors import MilmerError


class StoredParticipant:
    """What a PreparedParticipant offers; row r holds the value r everywhere."""

    def __init__(self, rows: int) -> None:
        self.eeg_found = np.arange(rows) != 1
        self.eeg = np.repeat(np.arange(rows, dtype=np.float32), 6).reshape(rows, 2, 3)
        self.eeg[1] = np.nan
        self.found = np.ones((rows, 4), dtype=bool)
        self.found[2] = [True, False, False, True]

    def faces(self, row: int) -> np.ndarray:
        faces = np.full((4, 8, 8, 3), row + 1, dtype=np.uint8)
        faces[~self.found[row]] = 0
        return faces


class Store:
    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.opened: list[str] = []

    def participant(self, name: str) -> StoredParticipant:
        self.opened.append(name)
        return StoredParticipant(self.rows)


@pytest.fixture
def parts(table_of):
    table, labels = table_of(2, 3, 2)
    return Store(6), table, labels


def test_a_batch_is_the_models_arguments_and_the_row(parts):
    store, table, labels = parts
    rows = np.array([8, 1, 2, 7])
    batch = next(iter(DataLoader(Bags(store, table, labels, rows), 4, collate_fn=collate)))
    shapes = {key: tuple(value.shape) for key, value in batch.items()}
    assert shapes == {
        "eeg": (4, 2, 3),
        "eeg_found": (4,),
        "faces": (4, 4, 8, 8, 3),
        "faces_found": (4, 4),
        "labels": (4,),
        "index": (4,),
    }
    assert batch["eeg"].dtype == torch.float32
    assert batch["faces"].dtype == torch.uint8
    assert batch["index"].tolist() == rows.tolist()
    assert batch["labels"].tolist() == labels[rows].tolist()
    # row 8 of the table is row 2 of the second participant's file
    assert batch["eeg"][0].unique().tolist() == [2.0]
    assert batch["faces"][0, 0].unique().tolist() == [3]
    assert sorted(store.opened) == ["s01", "s02"]


def test_what_is_absent_is_a_mask_and_never_a_nan(parts):
    store, table, labels = parts
    batch = collate([Bags(store, table, labels, np.arange(6))[item] for item in range(6)])
    assert batch["eeg_found"].tolist() == [True, False, True, True, True, True]
    assert torch.isfinite(batch["eeg"]).all()
    assert batch["faces_found"][2].tolist() == [True, False, False, True]
    assert batch["faces"][2, 1].max() == 0


@pytest.mark.parametrize(("modalities", "absent"), [("eeg", "faces"), ("face", "eeg")])
def test_one_modality_leaves_the_other_out(parts, modalities, absent):
    bag = Bags(*parts, np.array([0]), modalities=modalities)[0]
    assert not {absent, f"{absent}_found"} & set(bag)
    assert len(bag) == 4


def test_a_row_without_class_is_refused(parts):
    store, table, labels = parts
    with pytest.raises(MilmerError, match="without a class"):
        Bags(store, table, np.where(np.arange(len(labels)) == 3, -1, labels), np.arange(6))
