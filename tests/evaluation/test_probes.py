from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.data.splits import Fold
from milmer_cli.evaluation.probes import UNASKED, named, probe
from milmer_cli.store import PreparedStore

NONE = np.array([], dtype=int)


@pytest.fixture(scope="module")
def segments(prepared):
    return PreparedStore.open(prepared).segments()


def by_trial(segments) -> Fold:
    test = segments.trial > 6
    return Fold(np.flatnonzero(~test), NONE, np.flatnonzero(test))


def telling(segments, column: str) -> np.ndarray:
    numbers = np.unique(getattr(segments, column), return_inverse=True)[1]
    random = np.random.default_rng(0)
    return np.eye(numbers.max() + 1)[numbers] * 9 + random.normal(size=(len(segments), 1))


def test_features_that_name_the_participant_are_found_out(segments):
    fold = by_trial(segments)
    features = telling(segments, "participant")
    answers = named(segments, fold, features, "participant")
    found = probe("x", "participant", segments, [fold], [answers])
    assert found.accuracy == found.trial_accuracy == 1
    assert (found.n_names, found.n_trials, found.n_segments) == (3, 6, 12)
    assert found.p == pytest.approx((1 / 3) ** 6)
    assert found.commonest == pytest.approx(1 / 3)
    blind = np.random.default_rng(0).normal(size=(len(segments), 3))
    answers = named(segments, fold, blind, "participant")
    assert probe("x", "participant", segments, [fold], [answers]).p > 0.01


def test_only_what_was_in_the_training_part_is_asked_for(segments):
    people = segments.participant == "s03"
    fold = Fold(np.flatnonzero(~people), NONE, np.flatnonzero(people))
    features = telling(segments, "stimulus")
    answers = named(segments, fold, features, "participant")
    assert set(answers) == {UNASKED}
    assert probe("x", "participant", segments, [fold], [answers]) is None
    answers = named(segments, fold, features, "clip")
    assert probe("x", "clip", segments, [fold], [answers]).accuracy == 1


def test_the_probe_does_not_see_the_test_part(segments):
    fold = by_trial(segments)
    features = telling(segments, "participant")
    changed = features.copy()
    changed[fold.validation] = np.nan
    changed[fold.test[1:]] = 1e5
    first = named(segments, fold, features, "participant")[0]
    assert named(segments, fold, changed, "participant")[0] == first
