from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from milmer_cli.data.splits import Fold, check_fold, epoch_on_test, holdout, make_folds
from milmer_cli.errors import InputError, MilmerError

WHOLE = {  # what each protocol must keep whole, and what it may cut
    "segment": [],
    "trial": ["trial_id"],
    "participant": ["trial_id", "participant"],
    "stimulus": ["trial_id", "stimulus"],
    "participant-stimulus": ["trial_id", "participant", "stimulus"],
}


def shared(table, column, first, second):
    names = getattr(table, column)
    return set(names[first].tolist()) & set(names[second].tolist())


@pytest.mark.parametrize("protocol", WHOLE)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_two_parts_share_what_the_protocol_keeps_apart(table_of, protocol, seed):
    table, labels = table_of(9, 12, 3)
    labels = labels.copy()
    labels[5:40] = -1
    folds = make_folds(table, labels, protocol, 3, 0.25, seed)
    one = holdout(table, labels, protocol, 0.3, 0.25, seed)
    for fold in [*folds, one]:
        check_fold(fold, table, protocol, segment_s=3.0)
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            sides = getattr(fold, first), getattr(fold, second)
            assert min(map(len, sides)) > 0
            assert not set(sides[0]) & set(sides[1])
            for column in WHOLE[protocol]:
                assert not shared(table, column, *sides)
        assert np.all(labels[np.concatenate([fold.train, fold.validation, fold.test])] >= 0)


@pytest.mark.parametrize("protocol", ["segment", "trial", "participant", "stimulus"])
def test_every_labelled_row_is_tested_once_and_used_in_every_fold(table_of, protocol):
    table, labels = table_of(6, 10, 2)
    labels = np.where(np.arange(len(labels)) % 11 == 0, -1, labels)
    folds = make_folds(table, labels, protocol, 5, 0.2, 0)
    labelled = np.flatnonzero(labels >= 0).tolist()
    assert sorted(np.concatenate([f.test for f in folds])) == labelled
    for fold in folds:
        assert sorted(np.concatenate([fold.train, fold.validation, fold.test])) == labelled


def test_participant_stimulus_tests_its_block_and_drops_rows_that_share_one_side(table_of):
    table, labels = table_of(6, 10, 2)
    folds = make_folds(table, labels, "participant-stimulus", 2, 0.0, 3)
    for fold in folds:
        assert len(fold.test) == 3 * 5 * 2
        assert len(fold.train) == 3 * 5 * 2
    assert not shared(table, "participant", folds[0].test, folds[1].test)
    assert not shared(table, "stimulus", folds[0].test, folds[1].test)


def test_as_many_folds_as_participants_leaves_one_out(table_of):
    table, labels = table_of(7, 4, 2)
    folds = make_folds(table, labels, "participant", 7, 0.2, 0)
    assert sorted({tuple(np.unique(table.participant[f.test])) for f in folds}) == [
        (f"s{n:02d}",) for n in range(1, 8)
    ]


def test_trial_folds_are_even_in_classes_and_participants(table_of):
    table, labels = table_of(8, 40, 2, seed=4)
    for fold in make_folds(table, labels, "trial", 5, 0.2, 0):
        for part, share in ((fold.test, 0.2), (fold.validation, 0.16)):
            for column in (labels, table.participant):
                for value in np.unique(column):
                    wanted = share * np.sum(column == value) / 2  # two segments a trial
                    assert abs(np.sum(column[part] == value) / 2 - wanted) <= 3


def test_participant_folds_balance_lopsided_participants(table_of):
    table, labels = table_of(8, 10, 1)
    labels = np.where(np.isin(table.participant, ["s01", "s02", "s03", "s04"]), 0, 2)
    for fold in make_folds(table, labels, "participant", 4, 0.0, 0):
        assert np.bincount(labels[fold.test], minlength=3).tolist() == [10, 0, 10]


def test_splits_follow_the_seed_and_not_the_order_of_rows(table_of):
    table, labels = table_of(12, 10, 2)
    order = np.random.default_rng(9).permutation(len(labels))
    shuffled = dataclasses.replace(
        table, **{f.name: getattr(table, f.name)[order] for f in dataclasses.fields(table)}
    )
    for protocol in ("segment", "trial", "participant", "stimulus", "participant-stimulus"):
        here = make_folds(table, labels, protocol, 2, 0.2, 5)
        again = make_folds(table, labels, protocol, 2, 0.2, 5)
        other = make_folds(table, labels, protocol, 2, 0.2, 6)
        moved = make_folds(shuffled, labels[order], protocol, 2, 0.2, 5)
        for fold, same, permuted in zip(here, again, moved, strict=True):
            for part in ("train", "validation", "test"):
                assert np.array_equal(getattr(fold, part), getattr(same, part))
                assert np.array_equal(getattr(fold, part), np.sort(order[getattr(permuted, part)]))
        assert not all(np.array_equal(a.test, b.test) for a, b in zip(here, other, strict=True))


@pytest.mark.parametrize(
    ("protocol", "folds", "message"),
    [
        ("participant", 4, "at least 4 participants, and there are 3"),
        ("stimulus", 6, "at least 6 clips, and there are 5"),
        ("trial", 16, "at least 16 trials, and there are 15"),
        ("participant-stimulus", 4, "at least 4 participants, and there are 3"),
    ],
)
def test_more_folds_than_groups_names_both_numbers(table_of, protocol, folds, message):
    table, labels = table_of(3, 5, 2)
    with pytest.raises(InputError, match=message):
        make_folds(table, labels, protocol, folds, 0.2, 0)


def test_a_training_part_too_small_for_validation_is_said(table_of):
    table, labels = table_of(2, 5, 2)
    with pytest.raises(InputError, match="fold 1 of 2 holds 1 participant, and 2 are needed"):
        make_folds(table, labels, "participant", 2, 0.2, 0)
    with pytest.raises(InputError, match="No segment has a class"):
        make_folds(table, np.full(len(table), -1), "trial", 2, 0.2, 0)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.3, 0.5])
def test_holdout_takes_the_share_that_was_asked(table_of, fraction):
    table, labels = table_of(5, 20, 1)
    fold = holdout(table, labels, "trial", fraction, 0.0, 0)
    assert len(fold.test) == 100 * fraction
    assert len(fold.validation) == 0


def test_holdout_of_a_handful_of_groups_leaves_each_part_something(table_of):
    table, labels = table_of(3, 2, 2)
    fold = holdout(table, labels, "participant", 0.05, 0.05, 0)
    assert [len(np.unique(table.participant[rows])) for _, rows in fold.parts()] == [1, 1, 1]


def test_checker_finds_each_kind_of_leak(table_of):
    table, labels = table_of(4, 4, 2)
    fold = holdout(table, labels, "participant", 0.25, 0.3, 0)
    check_fold(fold, table, "participant")
    with pytest.raises(MilmerError, match=r"share \d+ clips"):
        check_fold(fold, table, "stimulus")
    mixed = Fold(np.array([0, 2, 4]), np.array([6]), np.array([1]))
    check_fold(mixed, table, "segment")
    with pytest.raises(MilmerError, match="training and test parts share 1 trials, s01/01"):
        check_fold(mixed, table, "trial")
    with pytest.raises(MilmerError, match="training and validation parts share 1 participants"):
        check_fold(Fold(np.array([0]), np.array([2]), np.array([9])), table, "participant")
    with pytest.raises(MilmerError, match=r"validation and test parts share \d+ segments"):
        check_fold(epoch_on_test(fold), table, "segment")
    with pytest.raises(MilmerError, match="test part is empty"):
        check_fold(Fold(fold.train, fold.validation, fold.test[:0]), table, "trial")
    with pytest.raises(MilmerError, match="a segment twice"):
        check_fold(Fold(np.array([0, 0]), np.array([2]), np.array([4])), table, "segment")
    with pytest.raises(MilmerError, match="rows that the store does not have"):
        check_fold(Fold(np.array([0]), np.array([2]), np.array([400])), table, "segment")


def test_checker_finds_samples_on_both_sides_of_a_segment_split(table_of):
    table, _ = table_of(1, 1, 6, step_s=1.5)  # 3 s segments every 1.5 s
    far = Fold(np.array([0, 1]), np.array([], dtype=int), np.array([3, 4]))
    check_fold(far, table, "segment", segment_s=3.0)
    near = Fold(np.array([0, 1]), np.array([], dtype=int), np.array([2, 4]))
    with pytest.raises(MilmerError, match=r"training and test parts share samples: 1 pairs"):
        check_fold(near, table, "segment", segment_s=3.0)
    check_fold(near, table, "segment", segment_s=1.5)


def test_epoch_on_test_is_the_published_choice(table_of):
    table, labels = table_of(2, 5, 2)
    fold = epoch_on_test(holdout(table, labels, "segment", 0.2, 0.2, 0))
    assert np.array_equal(fold.validation, fold.test)
    assert len(fold.train) == 16
