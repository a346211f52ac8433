from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from milmer_cli.data.split_checks import check_fold, check_training_classes, require_protocol
from milmer_cli.data.splits import Fold, holdout, select_epoch_on_test
from milmer_cli.errors import InputError, MilmerError

EMPTY = np.array([], dtype=int)


def test_check_fold_finds_each_kind_of_shared_group(make_labeled):
    labeled = make_labeled(4, 4, 2)
    fold = holdout(labeled, "participant", 0.25, 0.3, 0)
    check_fold(fold, labeled, "participant")
    with pytest.raises(MilmerError, match=r"share \d+ stimuli"):
        check_fold(fold, labeled, "stimulus")
    mixed = Fold(np.array([0, 2, 4]), np.array([6]), np.array([1]))
    check_fold(mixed, labeled, "segment")
    with pytest.raises(MilmerError, match=r"training and test sets share 1 trial, for .* s01/01"):
        check_fold(mixed, labeled, "trial")
    with pytest.raises(MilmerError, match="training and validation sets share 1 participant,"):
        check_fold(Fold(np.array([0]), np.array([2]), np.array([9])), labeled, "participant")
    with pytest.raises(MilmerError, match=r"validation and test sets share \d+ segments"):
        check_fold(select_epoch_on_test(fold), labeled, "segment")


def test_check_fold_finds_a_shared_session(make_labeled):
    labeled = make_labeled(2, 4, 2, sessions=2)
    # trials 1 and 2 of s01 are session 1; trials 3 and 4 of s01 and 1 of s02 are others
    check_fold(Fold(np.array([0]), np.array([4]), np.array([8])), labeled, "session")
    shared = Fold(np.array([0]), EMPTY, np.array([2]))
    check_fold(shared, labeled, "trial")
    with pytest.raises(MilmerError, match=r"share 1 session, for example s01/ses1: protocol ses"):
        check_fold(shared, labeled, "session")


def with_stimuli(labeled, stimulus):
    segments = dataclasses.replace(labeled.segments, stimulus=stimulus)
    return dataclasses.replace(labeled, segments=segments)


def test_require_protocol_refuses_stimuli_that_no_trials_share(make_labeled):
    labeled = make_labeled(3, 4, 2)
    require_protocol(labeled, "stimulus")
    require_protocol(labeled, "participant-stimulus")
    own = np.unique(labeled.segments.trial_id, return_inverse=True)[1]
    unique = with_stimuli(labeled, own)
    with pytest.raises(InputError, match="every stimulus of the store occurs in one trial only"):
        require_protocol(unique, "stimulus")
    # trials 1 and 2 of each participant have the same stimulus, which nobody else saw
    repeated = with_stimuli(labeled, np.where(own % 4 == 1, own - 1, own))
    require_protocol(repeated, "stimulus")
    with pytest.raises(InputError, match="every stimulus of the store was shown to one participa"):
        require_protocol(repeated, "participant-stimulus")
    for protocol in ("segment", "trial", "participant"):
        require_protocol(unique, protocol)


def test_check_fold_refuses_invalid_sets(make_labeled):
    labeled = make_labeled(4, 4, 2)
    fold = holdout(labeled, "participant", 0.25, 0.3, 0)
    with pytest.raises(MilmerError, match="test set is empty"):
        check_fold(Fold(fold.train, fold.validation, fold.test[:0]), labeled, "trial")
    with pytest.raises(MilmerError, match="a segment twice"):
        check_fold(Fold(np.array([0, 0]), np.array([2]), np.array([4])), labeled, "segment")
    with pytest.raises(MilmerError, match="test set contains row 400: expected 0 to 31"):
        check_fold(Fold(np.array([0]), np.array([2]), np.array([400])), labeled, "segment")


def test_check_fold_finds_shared_samples_of_overlapping_segments(make_labeled):
    labeled = make_labeled(1, 1, 6, step_s=1.5, segment_s=3.0)
    check_fold(Fold(np.array([0, 1]), EMPTY, np.array([3, 4])), labeled, "segment")
    near = Fold(np.array([0, 1]), EMPTY, np.array([2, 4]))
    with pytest.raises(MilmerError, match=r"training and test sets share samples: 1 pairs"):
        check_fold(near, labeled, "segment")
    check_fold(near, make_labeled(1, 1, 6, step_s=1.5, segment_s=1.5), "segment")


def test_check_training_classes_needs_two_classes(make_labeled):
    labeled = make_labeled(4, 6, 2)
    fold = holdout(labeled, "trial", 0.2, 0.2, 0)
    constant = dataclasses.replace(labeled, labels=np.full(len(labeled.labels), 2))
    with pytest.raises(InputError, match="are LALV: expected at least two classes"):
        check_training_classes(fold, constant)
