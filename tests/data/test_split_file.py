from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from milmer_cli.data.split_file import Splits, segments_fingerprint
from milmer_cli.data.splits import Fold, epoch_on_test, make_folds
from milmer_cli.errors import InputError, MilmerError


@pytest.fixture
def stored(table_of, tmp_path):
    table, labels = table_of(4, 6, 2)
    folds = tuple(make_folds(table, labels, "trial", 3, 0.2, 7))
    path = tmp_path / "splits.json"
    Splits("trial", 7, folds, segments_fingerprint(table)).save(path)
    return table, labels, folds, path


def test_folds_come_back_as_they_were(stored):
    table, labels, folds, path = stored
    again = Splits.load(path, table, labels, segment_s=3.0)
    assert (again.protocol, again.seed) == ("trial", 7)
    for fold, wanted in zip(again.folds, folds, strict=True):
        for (_, rows), (_, expected) in zip(fold.parts(), wanted.parts(), strict=True):
            assert np.array_equal(rows, expected)
    assert [p.name for p in path.parent.iterdir()] == ["splits.json"]


def test_another_store_is_refused(stored):
    table, labels, _, path = stored
    moved = dataclasses.replace(table, onset=table.onset + 0.5)
    with pytest.raises(InputError, match="made for other segments"):
        Splits.load(path, moved, labels)


def test_a_segment_that_has_lost_its_class_is_refused(stored):
    table, labels, folds, path = stored
    labels = labels.copy()
    labels[folds[0].test[0]] = -1
    with pytest.raises(InputError, match="no class now"):
        Splits.load(path, table, labels)


def test_an_edited_file_cannot_leak(stored):
    table, _, _, path = stored
    content = json.loads(path.read_text())
    fold = content["folds"][0]
    fold["training"].append(fold["test"].pop())
    path.write_text(json.dumps(content))
    with pytest.raises(MilmerError, match="training and test parts share 1 trials"):
        Splits.load(path, table)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format": 9}', '{"format": 1, "protocol": "trial"}']
)
def test_something_else_is_named(table_of, tmp_path, content):
    path = tmp_path / "splits.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"splits\.json is no"):
        Splits.load(path, table_of(1, 2, 2)[0])
    with pytest.raises(InputError, match="cannot be read"):
        Splits.load(tmp_path / "none.json", table_of(1, 2, 2)[0])


def test_epoch_on_test_is_allowed_under_the_leaky_protocol_only(table_of, tmp_path):
    table, _ = table_of(2, 4, 2)
    leaky = epoch_on_test(Fold(np.array([0, 1]), np.array([2]), np.array([8, 9])))
    path = tmp_path / "splits.json"
    Splits("segment", 0, (leaky,), segments_fingerprint(table)).save(path)
    Splits.load(path, table)
    Splits("trial", 0, (leaky,), segments_fingerprint(table)).save(path)
    with pytest.raises(MilmerError, match="validation and test"):
        Splits.load(path, table)
