from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.data.splits import Fold
from milmer_cli.evaluation.probes import NOT_PREDICTED, predict_probe, score_probe
from milmer_cli.store import PreparedStore

NONE = np.array([], dtype=int)


@pytest.fixture(scope="module")
def segments(prepared):
    return PreparedStore.open(prepared).segments()


def by_trial(segments) -> Fold:
    test = segments.trial > 6
    return Fold(np.flatnonzero(~test), NONE, np.flatnonzero(test))


def informative(segments, column: str) -> np.ndarray:
    numbers = np.unique(getattr(segments, column), return_inverse=True)[1]
    random = np.random.default_rng(0)
    return np.eye(numbers.max() + 1)[numbers] * 9 + random.normal(size=(len(segments), 1))


def test_score_probe_of_participant_features(segments):
    fold = by_trial(segments)
    features = informative(segments, "participant")
    predictions = predict_probe(segments, fold, features, "participant")
    result = score_probe("x", "participant", segments, [fold], [predictions])
    assert result.accuracy == result.trial_accuracy == 1
    assert (result.n_targets, result.n_trials, result.n_segments) == (3, 6, 12)
    assert result.majority_rate == pytest.approx(1 / 3)
    random = np.random.default_rng(0).normal(size=(len(segments), 3))
    predictions = predict_probe(segments, fold, random, "participant")
    assert score_probe("x", "participant", segments, [fold], [predictions]).accuracy < 0.9


def test_predict_probe_skips_targets_that_are_not_in_the_training_set(segments):
    test = segments.participant == "s03"
    fold = Fold(np.flatnonzero(~test), NONE, np.flatnonzero(test))
    features = informative(segments, "stimulus")
    predictions = predict_probe(segments, fold, features, "participant")
    assert set(predictions) == {NOT_PREDICTED}
    assert score_probe("x", "participant", segments, [fold], [predictions]) is None
    predictions = predict_probe(segments, fold, features, "stimulus")
    assert score_probe("x", "stimulus", segments, [fold], [predictions]).accuracy == 1


def test_predict_probe_does_not_depend_on_the_test_set(segments):
    fold = by_trial(segments)
    features = informative(segments, "participant")
    changed = features.copy()
    changed[fold.validation] = np.nan
    changed[fold.test[1:]] = 1e5
    first = predict_probe(segments, fold, features, "participant")[0]
    assert predict_probe(segments, fold, changed, "participant")[0] == first
