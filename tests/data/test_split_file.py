from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from milmer_cli.data.split_file import ProtocolFolds, load_splits, save_splits
from milmer_cli.data.splits import Fold, make_folds, select_epoch_on_test
from milmer_cli.errors import InputError, MilmerError


@pytest.fixture
def stored(make_labeled, tmp_path):
    labeled = make_labeled(4, 6, 2)
    splits = [
        ProtocolFolds(protocol, 7, tuple(make_folds(labeled, protocol, 3, 0.2, 7)))
        for protocol in ("trial", "participant")
    ]
    path = tmp_path / "splits.json"
    save_splits(path, splits, labeled)
    return labeled, splits, path


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_load_splits_returns_what_save_splits_wrote(stored):
    labeled, splits, path = stored
    loaded = load_splits(path, labeled)
    assert [(s.protocol, s.seed) for s in loaded] == [("trial", 7), ("participant", 7)]
    for split, expected in zip(loaded, splits, strict=True):
        for fold, wanted in zip(split.folds, expected.folds, strict=True):
            for (_, rows), (_, others) in zip(fold.sets(), wanted.sets(), strict=True):
                assert np.array_equal(rows, others)
    assert [p.name for p in path.parent.iterdir()] == ["splits.json"]


def test_load_splits_refuses_another_store(stored):
    labeled, _, path = stored
    moved = dataclasses.replace(labeled.segments, onset=labeled.segments.onset + 0.5)
    with pytest.raises(InputError, match="made for other segments"):
        load_splits(path, dataclasses.replace(labeled, segments=moved))


def test_load_splits_refuses_segments_without_a_class(stored):
    labeled, splits, path = stored
    labels = labeled.labels.copy()
    labels[splits[0].folds[0].test[0]] = -1
    with pytest.raises(InputError, match="test set contains segments that have no class"):
        load_splits(path, dataclasses.replace(labeled, labels=labels))


def test_load_splits_refuses_an_edited_file_that_leaks(stored):
    labeled, _, path = stored

    def leak(content):
        fold = content["splits"][0]["folds"][0]
        fold["training"].append(fold["test"].pop())

    edit(path, leak)
    with pytest.raises(MilmerError, match="training and test sets share 1 trial, for example"):
        load_splits(path, labeled)


def test_load_splits_refuses_an_unknown_protocol(stored):
    labeled, _, path = stored
    edit(path, lambda content: content["splits"][0].update(protocol="nobody"))
    with pytest.raises(InputError, match=r"expected one of the protocols segment, .* got 'nobody'"):
        load_splits(path, labeled)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "expected format 2, got None"),
        ('{"format": 1, "protocol": "trial"}', "expected format 2, got 1"),
        ('{"format": 2}', "segments and splits missing"),
    ],
)
def test_load_splits_refuses_another_format(make_labeled, tmp_path, content, reason):
    path = tmp_path / "splits.json"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"splits\.json is not a valid splits file: .*{reason}"):
        load_splits(path, make_labeled(1, 2, 2))


def test_load_splits_refuses_incomplete_splits(stored):
    labeled, _, path = stored
    edit(path, lambda content: content["splits"][0].pop("seed"))
    with pytest.raises(InputError, match=r"not a valid splits file: KeyError\('seed'\)"):
        load_splits(path, labeled)
    edit(path, lambda content: content.update(splits=[]))
    with pytest.raises(InputError, match="contains no splits"):
        load_splits(path, labeled)


def test_load_splits_refuses_an_unreadable_file(make_labeled, tmp_path):
    (tmp_path / "empty.json").write_text("")
    with pytest.raises(InputError, match="not valid JSON"):
        load_splits(tmp_path / "empty.json", make_labeled(1, 2, 2))
    with pytest.raises(InputError, match="cannot be read"):
        load_splits(tmp_path / "none.json", make_labeled(1, 2, 2))


def test_load_splits_allows_epoch_selection_on_test_under_segment_only(make_labeled, tmp_path):
    labeled = make_labeled(2, 4, 2)
    leaky = select_epoch_on_test(Fold(np.array([0, 1]), np.array([2]), np.array([8, 9])))
    path = tmp_path / "splits.json"
    save_splits(path, [ProtocolFolds("segment", 0, (leaky,))], labeled)
    load_splits(path, labeled)
    save_splits(path, [ProtocolFolds("trial", 0, (leaky,))], labeled)
    with pytest.raises(MilmerError, match="validation and test"):
        load_splits(path, labeled)
