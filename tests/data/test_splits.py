from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from milmer_cli.data.split_checks import check_fold
from milmer_cli.data.splits import holdout, make_folds, select_epoch_on_test
from milmer_cli.errors import InputError

KEPT_APART = {  # columns of the table that no two sets may share
    "segment": [],
    "trial": ["trial_id"],
    "session": ["trial_id", "session_id"],
    "participant": ["trial_id", "participant"],
    "stimulus": ["trial_id", "stimulus"],
    "participant-stimulus": ["trial_id", "participant", "stimulus"],
}
EMPTY = np.array([], dtype=int)


def with_labels(labeled, labels):
    return dataclasses.replace(labeled, labels=labels)


def shared(labeled, column, first, second):
    names = getattr(labeled.segments, column)
    return set(names[first].tolist()) & set(names[second].tolist())


@pytest.mark.parametrize("protocol", KEPT_APART)
@pytest.mark.parametrize("seed", [0, 1])
def test_splits_share_nothing_that_the_protocol_keeps_apart(make_labeled, protocol, seed):
    labeled = make_labeled(9, 12, 3, sessions=4)
    labels = labeled.labels.copy()
    labels[5:40] = -1
    labeled = with_labels(labeled, labels)
    folds = make_folds(labeled, protocol, 3, 0.25, seed)
    for fold in [*folds, holdout(labeled, protocol, 0.3, 0.25, seed)]:
        check_fold(fold, labeled, protocol)
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            sides = getattr(fold, first), getattr(fold, second)
            assert min(map(len, sides)) > 0
            assert not set(sides[0]) & set(sides[1])
            for column in KEPT_APART[protocol]:
                assert not shared(labeled, column, *sides)
        assert np.all(labels[np.concatenate([fold.train, fold.validation, fold.test])] >= 0)


@pytest.mark.parametrize("protocol", ["segment", "trial", "participant", "stimulus"])
def test_make_folds_tests_every_labeled_segment_once(make_labeled, protocol):
    labeled = make_labeled(6, 10, 2)
    labels = np.where(np.arange(len(labeled.labels)) % 11 == 0, -1, labeled.labels)
    folds = make_folds(with_labels(labeled, labels), protocol, 5, 0.2, 0)
    rows = np.flatnonzero(labels >= 0).tolist()
    assert sorted(np.concatenate([f.test for f in folds])) == rows
    for fold in folds:
        assert sorted(np.concatenate([fold.train, fold.validation, fold.test])) == rows


def test_make_folds_by_participant_stimulus_drops_rows_that_share_one_side(make_labeled):
    labeled = make_labeled(6, 10, 2)
    folds = make_folds(labeled, "participant-stimulus", 2, 0.0, 3)
    for fold in folds:
        assert len(fold.test) == 3 * 5 * 2
        assert len(fold.train) == 3 * 5 * 2
    assert not shared(labeled, "participant", folds[0].test, folds[1].test)
    assert not shared(labeled, "stimulus", folds[0].test, folds[1].test)


def test_make_folds_with_one_fold_a_participant_leaves_one_out(make_labeled):
    labeled = make_labeled(7, 4, 2)
    folds = make_folds(labeled, "participant", 7, 0.2, 0)
    assert sorted({tuple(np.unique(labeled.segments.participant[f.test])) for f in folds}) == [
        (f"s{n:02d}",) for n in range(1, 8)
    ]


def test_make_folds_by_session_leaves_one_session_of_each_participant_out(make_labeled):
    labeled = make_labeled(7, 12, 2, sessions=3)
    sessions = labeled.segments.session_id
    folds = make_folds(labeled, "session", 3, 0.0, 0)
    tested = [set(sessions[fold.test]) for fold in folds]
    assert sorted(name for names in tested for name in names) == sorted(set(sessions))
    for fold, names in zip(folds, tested, strict=True):
        assert {name.split("/")[0] for name in names} == {f"s{n:02d}" for n in range(1, 8)}
        assert set(sessions[fold.train]) == set(sessions) - names
    # equal labels of two participants are different sessions, and need not be in the same fold
    assert any(len({name.split("/")[1] for name in names}) > 1 for names in tested)


@pytest.mark.parametrize("n_folds", [2, 5])
def test_make_folds_by_session_always_trains_on_another_session(make_labeled, n_folds):
    labeled = make_labeled(8, 12, 2, sessions=3)
    segments = labeled.segments
    folds = make_folds(labeled, "session", n_folds, 0.0, 4)
    assert sorted(np.concatenate([f.test for f in folds])) == list(range(len(segments)))
    for fold in folds:
        assert set(segments.participant[fold.test]) <= set(segments.participant[fold.train])


def with_sessions(labeled, names):
    return dataclasses.replace(
        labeled, segments=dataclasses.replace(labeled.segments, session=np.asarray(names))
    )


def test_make_folds_by_session_separates_the_sessions_of_unbalanced_participants(make_labeled):
    """Sessions of one class each, with 2 to 4 sessions a participant, in other folds each."""
    random = np.random.default_rng(0)
    labeled = make_labeled(12, 24, 1)
    segments = labeled.segments
    for seed in range(20):
        n_sessions = {name: random.integers(2, 5) for name in np.unique(segments.participant)}
        session = [
            f"ses{(t - 1) ** 2 * n_sessions[p] // 24**2}"
            for p, t in zip(segments.participant, segments.trial, strict=True)
        ]
        moved = with_sessions(labeled, session)
        group = np.unique(moved.segments.session_id, return_inverse=True)[1]
        moved = with_labels(moved, random.integers(4, size=group.max() + 1)[group])
        for fold in make_folds(moved, "session", 4, 0.0, seed):
            tested = {name.split("/")[0] for name in moved.segments.session_id[fold.test]}
            assert len(np.unique(moved.segments.session_id[fold.test])) == len(tested)


def test_make_folds_by_session_never_tests_participants_with_one_session(make_labeled):
    labeled = make_labeled(5, 12, 2, sessions=2)
    segments = labeled.segments
    alone = segments.participant == "s02"
    labeled = with_sessions(labeled, np.where(alone, "ses1", segments.session))
    for fold in make_folds(labeled, "session", 2, 0.0, 0):
        assert not alone[fold.test].any()
        assert alone[fold.train].sum() == alone.sum()


def test_make_folds_by_session_validates_on_further_sessions(make_labeled):
    """With three sessions, validation leaves a session of every participant for training."""
    labeled = make_labeled(10, 12, 2, sessions=3)
    segments = labeled.segments
    alone = segments.participant == "s04"
    labeled = with_sessions(labeled, np.where(alone, "ses1", segments.session))
    for seed in range(4):
        for fold in make_folds(labeled, "session", 3, 0.2, seed):
            validated = labeled.segments.session_id[fold.validation]
            assert len(np.unique(validated)) in (3, 4)  # of 18
            assert set(segments.participant[fold.train]) == set(segments.participant)
            assert not alone[fold.validation].any()


@pytest.mark.parametrize("sessions", [0, 1])
def test_splits_by_session_need_several_sessions(make_labeled, sessions):
    labeled = make_labeled(4, 6, 2, sessions=sessions)
    message = "session protocol needs a participant with at least 2 recording sessions"
    with pytest.raises(InputError, match=message):
        make_folds(labeled, "session", 2, 0.2, 0)
    with pytest.raises(InputError, match=message):
        holdout(labeled, "session", 0.2, 0.2, 0)


def test_make_folds_balances_classes_and_participants(make_labeled):
    labeled = make_labeled(8, 40, 2, seed=4)
    for fold in make_folds(labeled, "trial", 5, 0.2, 0):
        for rows, share in ((fold.test, 0.2), (fold.validation, 0.16)):
            for column in (labeled.labels, labeled.segments.participant):
                for value in np.unique(column):
                    wanted = share * np.sum(column == value) / 2  # two segments a trial
                    assert abs(np.sum(column[rows] == value) / 2 - wanted) <= 3


def test_make_folds_balances_participants_of_one_class_each(make_labeled):
    labeled = make_labeled(8, 10, 1)
    first_half = np.isin(labeled.segments.participant, ["s01", "s02", "s03", "s04"])
    labels = np.where(first_half, 0, 2)
    for fold in make_folds(with_labels(labeled, labels), "participant", 4, 0.0, 0):
        assert np.bincount(labels[fold.test], minlength=3).tolist() == [10, 0, 10]


@pytest.mark.parametrize("protocol", KEPT_APART)
def test_make_folds_depends_on_the_seed_and_not_on_the_order_of_rows(make_labeled, protocol):
    labeled = make_labeled(12, 10, 2, sessions=4)
    table, labels = labeled.segments, labeled.labels
    order = np.random.default_rng(9).permutation(len(labels))
    shuffled = dataclasses.replace(
        labeled,
        segments=dataclasses.replace(
            table, **{f.name: getattr(table, f.name)[order] for f in dataclasses.fields(table)}
        ),
        labels=labels[order],
    )
    first = make_folds(labeled, protocol, 2, 0.2, 5)
    again = make_folds(labeled, protocol, 2, 0.2, 5)
    other = make_folds(labeled, protocol, 2, 0.2, 6)
    moved = make_folds(shuffled, protocol, 2, 0.2, 5)
    for fold, same, permuted in zip(first, again, moved, strict=True):
        for name in ("train", "validation", "test"):
            assert np.array_equal(getattr(fold, name), getattr(same, name))
            assert np.array_equal(getattr(fold, name), np.sort(order[getattr(permuted, name)]))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("protocol", "n_folds", "message"),
    [
        ("participant", 4, "at least 4 participants, got 3"),
        ("stimulus", 6, "at least 6 stimuli, got 5"),
        ("trial", 16, "at least 16 trials, got 15"),
        ("session", 7, "at least 7 recording sessions, got 6"),
        ("participant-stimulus", 4, "at least 4 participants, got 3"),
    ],
)
def test_make_folds_refuses_more_folds_than_groups(make_labeled, protocol, n_folds, message):
    with pytest.raises(InputError, match=message):
        make_folds(make_labeled(3, 5, 2, sessions=2), protocol, n_folds, 0.2, 0)


def test_make_folds_does_not_suggest_one_fold(make_labeled):
    with pytest.raises(InputError, match="expected at least 5 trials, got 1") as caught:
        make_folds(make_labeled(1, 1, 2), "trial", 5, 0.2, 0)
    assert caught.value.hint == "Prepare more trials, or use another protocol."


def test_make_folds_refuses_a_training_set_too_small_for_validation(make_labeled):
    with pytest.raises(InputError, match=r"at least 2 participants in .* fold 1 of 2, got 1"):
        make_folds(make_labeled(2, 5, 2), "participant", 2, 0.2, 0)


def test_make_folds_refuses_segments_without_classes(make_labeled):
    labeled = make_labeled(2, 5, 2)
    labels = np.full(len(labeled.labels), -1)
    with pytest.raises(InputError, match="No segment has a class"):
        make_folds(with_labels(labeled, labels), "trial", 2, 0.2, 0)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.3, 0.5])
def test_holdout_tests_the_requested_fraction(make_labeled, fraction):
    fold = holdout(make_labeled(5, 20, 1), "trial", fraction, 0.0, 0)
    assert len(fold.test) == 100 * fraction
    assert len(fold.validation) == 0


def test_holdout_of_few_groups_puts_one_in_each_set(make_labeled):
    labeled = make_labeled(3, 2, 2)
    fold = holdout(labeled, "participant", 0.05, 0.05, 0)
    names = labeled.segments.participant
    assert [len(np.unique(names[rows])) for _, rows in fold.sets()] == [1, 1, 1]


def test_class_counts_of_each_set(make_labeled):
    labeled = make_labeled(5, 20, 1)
    fold = holdout(labeled, "trial", 0.2, 0.2, 0)
    counts = fold.class_counts(labeled)
    assert list(counts) == ["training", "validation", "test"]
    assert counts["test"] == {
        name: int(np.sum(labeled.labels[fold.test] == number))
        for number, name in enumerate(labeled.class_names)
    }


def test_select_epoch_on_test_uses_the_test_set_for_validation(make_labeled):
    fold = select_epoch_on_test(holdout(make_labeled(2, 5, 2), "segment", 0.2, 0.2, 0))
    assert np.array_equal(fold.validation, fold.test)
    assert len(fold.train) == 16
