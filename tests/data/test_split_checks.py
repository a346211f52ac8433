from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from milmer_cli.data.split_checks import check_fold, check_training_classes
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
