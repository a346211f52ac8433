from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from milmer_cli.data import named_splits
from milmer_cli.data.named_splits import SHA256, NamedSplit
from milmer_cli.errors import InputError, MilmerError

N_FOLDS = {
    "deap-trial-5fold": 5,
    "deap-participant-loo": 32,
    "deap-stimulus-5fold": 5,
    "deap-participant-stimulus-5fold": 5,
}


@pytest.fixture(scope="module")
def deap(make_labeled):
    """Segments as in DEAP, two per trial."""
    return make_labeled(32, 40, 2)


@pytest.mark.parametrize("name", SHA256)
def test_named_split_keeps_its_protocol_on_deap(name, deap):
    split = NamedSplit.open(name).split(deap, 3)  # checks every fold
    assert (split.protocol, split.seed) == (NamedSplit.open(name).protocol, 3)
    assert len(split.folds) == N_FOLDS[name]
    tested = np.concatenate([fold.test for fold in split.folds])
    assert len(np.unique(tested)) == len(tested)
    if name != "deap-participant-stimulus-5fold":
        assert len(tested) == len(deap.segments)
        sizes = {tuple(len(rows) for _, rows in fold.sets()) for fold in split.folds}
        assert sizes == {(2000, 480, 80)} if "loo" in name else {(1536, 512, 512)}


def test_named_split_refers_to_stimuli_and_not_to_trials(deap):
    split = NamedSplit.open("deap-stimulus-5fold").split(deap, 0)
    stimuli = [set(deap.segments.stimulus[fold.test]) for fold in split.folds]
    assert [len(own) for own in stimuli] == [8] * 5
    assert sorted(set().union(*stimuli)) == list(range(1, 41))
    assert {len(set(deap.segments.trial[fold.test])) for fold in split.folds} == {40}


@pytest.mark.parametrize("name", SHA256)
def test_named_split_on_the_participants_with_video(name, make_labeled):
    labeled = make_labeled(22, 40, 1)
    folds = NamedSplit.open(name).split(labeled, 0).folds
    assert len(folds) == {32: 22}.get(N_FOLDS[name], N_FOLDS[name])
    assert min(len(rows) for fold in folds for _, rows in fold.sets()) >= 4 * 8


def test_named_split_leaves_out_segments_without_a_class(deap):
    labels = deap.labels.copy()
    labels[:50] = -1
    folds = NamedSplit.open("deap-trial-5fold").split(dataclasses.replace(deap, labels=labels), 0)
    assert sorted(np.concatenate([fold.test for fold in folds.folds])) == list(range(50, 2560))


def test_named_split_refuses_other_data_sets(make_labeled):
    with pytest.raises(InputError, match=r"expected a store of DEAP with stimulus 1 to 40, got 41"):
        NamedSplit.open("deap-trial-5fold").split(make_labeled(2, 41, 1), 0)
    with pytest.raises(InputError, match=r"participant s01 to s32, got s33"):
        NamedSplit.open("deap-trial-5fold").split(make_labeled(33, 4, 1), 0)
    with pytest.raises(InputError, match=r"deap-participant-loo: the (training|validation) set"):
        NamedSplit.open("deap-participant-loo").split(make_labeled(1, 40, 1), 0)


def test_named_split_refuses_a_changed_file(tmp_path, monkeypatch):
    name = "deap-trial-5fold"
    content = (named_splits.FOLDER / f"{name}.json").read_bytes()
    (tmp_path / f"{name}.json").write_bytes(content.replace(b"VTTTT", b"TVTTT", 1))
    monkeypatch.setattr(named_splits, "FOLDER", tmp_path)
    with pytest.raises(MilmerError, match=f"was changed: expected SHA-256 {SHA256[name]}, got "):
        NamedSplit.open(name)
