from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers import RecordingProgress
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.errors import InputError
from milmer_cli.evaluation.folds import evaluation_folds, make_splits
from milmer_cli.settings.schema import EvaluateSettings


@pytest.fixture(scope="module")
def labeled(prepared, small_settings):
    return LabeledSegments.open(prepared, small_settings())


def splits_of(labeled, settings):
    return make_splits(labeled, settings.evaluate, 0.25, settings.seed)


def test_make_splits_has_own_folds_for_every_protocol_and_seed(labeled, small_settings):
    splits = splits_of(
        labeled, small_settings("evaluate.protocols=[segment,trial]", "evaluate.seeds=2")
    )
    assert [(split.protocol, split.seed) for split in splits] == [
        ("segment", 0),
        ("segment", 1),
        ("trial", 0),
        ("trial", 1),
    ]
    folds = evaluation_folds(splits, labeled, "validation")
    assert len(folds) == 8
    seed_0, seed_1 = folds[4], folds[6]
    assert (seed_0.seed, seed_1.seed) == (0, 1)
    assert not np.array_equal(seed_0.fold.test, seed_1.fold.test)


def test_make_splits_rejects_models_per_participant_for_new_participants(labeled, small_settings):
    settings = small_settings("evaluate.protocols=[participant]", "evaluate.per_participant=true")
    with pytest.raises(InputError, match="per_participant cannot be combined with the participant"):
        splits_of(labeled, settings)


def test_evaluation_folds_of_the_published_protocol(labeled, small_settings):
    settings = small_settings(
        "evaluate.protocols=[segment]",
        "evaluate.split=holdout",
        "evaluate.per_participant=true",
        "evaluate.select_epoch_on=test",
    )
    folds = evaluation_folds(splits_of(labeled, settings), labeled, "test")
    assert [fold.label for fold in folds] == ["1 (s01)", "2 (s02)", "3 (s03)"]
    for item, name in zip(folds, ("s01", "s02", "s03"), strict=True):
        fold, segments = item.fold, labeled.segments
        used = np.concatenate([fold.train, fold.test])
        assert set(segments.participant[used]) == {name}
        assert len(np.unique(used)) == 16
        assert item.epoch_selected_on_test
        np.testing.assert_array_equal(fold.validation, fold.test)
        assert len(fold.test) / 16 == pytest.approx(0.2, abs=0.02)
        # segments of the same trial are in both sets: the leak of the segment protocol
        assert np.isin(segments.trial[fold.test], segments.trial[fold.train]).any()


def test_make_splits_skips_a_protocol_that_the_data_do_not_allow(labeled, small_settings):
    one = replace(
        labeled,
        labels=np.where(labeled.segments.participant == "s01", labeled.labels, EXCLUDED),
    )
    settings = small_settings("evaluate.protocols=[participant,trial]")
    progress = RecordingProgress()
    splits = make_splits(one, settings.evaluate, 0.2, 0, progress)
    assert [split.protocol for split in splits] == ["trial"]
    (warning,) = progress.warnings
    assert warning.startswith("The participant protocol is skipped: ")
    alone = small_settings("evaluate.protocols=[participant]")
    with pytest.raises(InputError, match="participant"):
        make_splits(one, alone.evaluate, 0.2, 0)


def test_make_splits_reduces_the_folds_of_a_ladder_to_the_number_of_groups(labeled, small_settings):
    settings = small_settings("evaluate.protocols=[trial,participant]", "evaluate.folds=4")
    progress = RecordingProgress()
    splits = make_splits(labeled, settings.evaluate, 0.2, 0, progress)
    n_participants = len(np.unique(labeled.segments.participant))
    assert {split.protocol: len(split.folds) for split in splits} == {
        "trial": 4,
        "participant": n_participants,
    }
    assert "3 folds instead of 4: one per group" in progress.text


def in_sessions(labeled, n_sessions):
    """The same trials, in sessions of equal size."""
    trial = labeled.segments.trial
    names = np.array([f"ses{1 + (t - 1) * n_sessions // trial.max()}" for t in trial])
    return replace(labeled, segments=replace(labeled.segments, session=names))


def test_make_splits_ladder_contains_sessions_if_there_are_several(labeled, small_settings):
    ladder = small_settings().evaluate.model_copy(
        update={"protocols": EvaluateSettings().protocols, "folds": 3}
    )
    progress = RecordingProgress()
    with_sessions = make_splits(in_sessions(labeled, 2), ladder, 0.25, 0, progress)
    protocols = [split.protocol for split in with_sessions]
    assert protocols == ["trial", "session", "participant", "stimulus"]
    without = make_splits(labeled, ladder, 0.25, 0, progress)
    assert [split.protocol for split in without] == ["trial", "participant", "stimulus"]
    assert not progress.warnings


def test_make_splits_warns_about_sessions_that_were_asked_for(labeled, small_settings):
    progress = RecordingProgress()
    asked = small_settings("evaluate.protocols=[trial,session]").evaluate
    assert len(make_splits(labeled, asked, 0.25, 0, progress)) == 1
    assert progress.warnings[0].startswith("The session protocol is skipped: The session protocol")
    alone = small_settings("evaluate.protocols=[session]").evaluate
    with pytest.raises(InputError, match="every participant has only one"):
        make_splits(labeled, alone, 0.25, 0, progress)


def test_make_splits_by_session_for_each_participant(labeled, small_settings):
    settings = small_settings("evaluate.protocols=[session]", "evaluate.per_participant=true")
    segments = labeled.segments
    labeled = in_sessions(labeled, 2)
    alone = np.where(segments.participant == "s02", "ses1", labeled.segments.session)
    labeled = replace(labeled, segments=replace(labeled.segments, session=alone))
    options = settings.evaluate
    (split,) = make_splits(labeled, options, 0.0, 0)
    tested = [set(segments.participant[fold.test]) for fold in split.folds]
    assert tested == [{"s01"}, {"s01"}, {"s03"}, {"s03"}]
