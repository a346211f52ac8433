from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.metrics import (
    METRICS,
    ResamplingOptions,
    SegmentPredictions,
    headline,
    score,
)

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")
FAST = ResamplingOptions(n_bootstraps=200, n_permutations=200)


def simulate(
    participants: int = 4, trials: int = 12, per_trial: int = 5, skill: float = 0.6, seed: int = 0
) -> SegmentPredictions:
    """A fraction ``skill`` of the segments is predicted correctly, the others at random."""
    random = np.random.default_rng(seed)
    n_trials = participants * trials
    classes = random.integers(4, size=n_trials)
    trial = np.repeat(np.arange(n_trials), per_trial)
    probabilities = random.dirichlet(np.ones(4), size=len(trial))
    correct = random.random(len(trial)) < skill
    probabilities[correct] = 0.1 + 0.6 * np.eye(4)[classes[trial][correct]]
    participant = np.array([f"s{t // trials + 1:02d}" for t in trial])
    trial_id = np.array(
        [f"{p}/{t % trials + 1:02d}" for p, t in zip(participant, trial, strict=True)]
    )
    return SegmentPredictions(classes[trial], probabilities, participant, trial_id, QUADRANTS)


def take(predictions: SegmentPredictions, rows: np.ndarray) -> SegmentPredictions:
    """The given rows of predictions, in the given order."""
    columns = ("truth", "probabilities", "participant", "trial_id")
    return replace(predictions, **{name: getattr(predictions, name)[rows] for name in columns})


def test_score_segments_trials_and_counts():
    # One trial is entirely correct; of the other, one segment is correct and the mean is wrong.
    scores = score(
        SegmentPredictions(
            truth=np.array([0, 0, 0, 1, 1, 1]),
            probabilities=np.array([[0.9, 0.1]] * 3 + [[0.3, 0.7], [0.9, 0.1], [0.8, 0.2]]),
            participant=np.array(["s01"] * 6),
            trial_id=np.repeat(["a", "b"], 3),
            class_names=["x", "y"],
        )
    )
    assert (scores.n_segments, scores.n_trials, scores.n_participants) == (6, 2, 1)
    assert scores.accuracy.value == pytest.approx(4 / 6)
    assert scores.trial["accuracy"].value == 0.5
    assert scores.confusion.tolist() == [[3, 0], [2, 1]]
    assert scores.trial_confusion.tolist() == [[1, 0], [1, 0]]
    assert scores.majority.test == 0.5
    assert [c.recall for c in scores.classes] == pytest.approx([1, 1 / 3])


def test_score_majority_rates_of_the_training_set():
    predictions = simulate()
    truth = predictions.truth
    scores = score(
        replace(
            predictions,
            majority_class=np.full(len(truth), 2),
            participant_majority_class=(truth + 1) % 4,
            stimulus_majority_class=truth,
        ),
        FAST,
    )
    majority = scores.majority
    assert majority.overall == majority.reference == pytest.approx(np.mean(truth == 2))
    assert (majority.participant, majority.stimulus) == (0, 1)
    assert majority.test == pytest.approx(np.bincount(truth).max() / len(truth))
    assert "(of the participant 0.0 %, of the stimulus 100.0 %)" in headline(scores, "trial")
    unknown = score(predictions, FAST).majority
    assert math.isnan(unknown.overall)
    assert unknown.reference == unknown.test


def test_score_majority_rates_over_trials_count_each_trial_once():
    # Trial a has three segments of class 0, trial b one of class 1; always predict class 0.
    scores = score(
        SegmentPredictions(
            truth=np.array([0, 0, 0, 1]),
            probabilities=np.full((4, 2), 0.5),
            participant=np.array(["s01"] * 4),
            trial_id=np.array(["a", "a", "a", "b"]),
            class_names=["x", "y"],
            majority_class=np.zeros(4, int),
        ),
        FAST,
    )
    assert (scores.majority.overall, scores.trial_majority.overall) == (0.75, 0.5)
    (participant,) = scores.participants
    assert (participant.majority_rate, participant.trial_majority_rate) == (0.75, 0.5)


def test_score_of_five_trials_has_an_undefined_p_value_at_both_levels():
    predictions = simulate(participants=5, trials=1)
    scores = score(predictions, FAST)
    assert math.isnan(scores.chance.p_value_trial)
    assert "5 test trials allow too few different" in scores.undefined["p_value_trial"]
    assert "at least 14 test trials are needed" in headline(scores, "trial")


def test_score_participants():
    predictions = simulate()
    correct = predictions.probabilities.argmax(axis=1) == predictions.truth
    scores = score(predictions, FAST)
    expected = [
        correct[predictions.participant == name].mean()
        for name in np.unique(predictions.participant)
    ]
    assert [p.accuracy for p in scores.participants] == pytest.approx(expected)
    assert [p.n_trials for p in scores.participants] == [12] * 4
    assert scores.participant_accuracy == pytest.approx(
        {
            "mean": np.mean(expected),
            "sd": np.std(expected, ddof=1),
            "min": min(expected),
            "max": max(expected),
        }
    )


def test_score_intervals_are_wider_over_participants_than_over_stimuli():
    predictions = simulate(6)
    # two participants at chance level
    predictions.probabilities[np.isin(predictions.participant, ["s01", "s02"])] = 0.25
    over_stimuli = score(predictions, FAST)
    over_participants = score(predictions, replace(FAST, axes=("participant",)))
    for scores in (over_stimuli, over_participants):
        for name in METRICS:
            estimate = scores.segment[name]
            if name == "calibration_error":  # resampling would bias it upward
                assert math.isnan(estimate.low)
            else:
                assert estimate.low < estimate.value < estimate.high
    widths = [s.accuracy.high - s.accuracy.low for s in (over_stimuli, over_participants)]
    assert widths[1] > 1.5 * widths[0]


def test_score_two_axes_are_wider_than_each():
    predictions = simulate(8)
    stimulus = np.array([int(name[-2:]) for name in predictions.trial_id])
    predictions = replace(predictions, stimulus=stimulus)
    predictions.probabilities[np.isin(predictions.participant, ["s01", "s02"])] = 0.25
    predictions.probabilities[np.isin(stimulus, [1, 2, 3])] = 0.25
    axes = (("participant",), ("stimulus",), ("participant", "stimulus"))
    intervals = [score(predictions, replace(FAST, axes=a)).accuracy for a in axes]
    widths = [estimate.high - estimate.low for estimate in intervals]
    assert widths[2] > max(widths[:2])


def test_score_auc_of_the_majority_class_is_one_half_under_leave_one_participant_out():
    # The majority class of the other participants is anticorrelated with the class of this one.
    truth = np.repeat([0, 0, 1, 1, 1, 0], 10)
    truth[::5] = 1 - truth[::5]
    participant = np.repeat(np.arange(6), 10)
    probabilities = np.empty((60, 2))
    for left_out in range(6):
        others = truth[participant != left_out]
        probabilities[participant == left_out] = np.bincount(others, minlength=2) / len(others)
    predictions = SegmentPredictions(
        truth, probabilities, participant, np.arange(60), ["a", "b"], fold=participant
    )
    scores = score(predictions, replace(FAST, axes=("participant",)))
    assert scores.segment["auc"].value == 0.5
    assert [c.auc for c in scores.classes] == [0.5, 0.5]
    assert score(replace(predictions, fold=None), FAST).segment["auc"].value < 0.4


def test_score_too_few_participants_have_no_interval():
    scores = score(simulate(4), replace(FAST, axes=("participant",)))
    assert math.isnan(scores.accuracy.low)
    assert scores.undefined["intervals"] == "4 participants, at least 5 are needed"
    assert "no interval: 4 participants" in headline(scores, "participant")
    approximate = headline(score(simulate(4), FAST), "trial")
    assert "approximate interval over stimuli: fewer than 5 participants" in approximate
    assert "95 %" not in approximate


def test_score_segment_protocol_generalizes_to_nobody():
    scores = score(simulate(6), replace(FAST, axes=()))
    assert math.isnan(scores.accuracy.low)
    assert "generalizes to nobody" in headline(scores, "segment")


def test_score_does_not_depend_on_the_order_of_rows():
    predictions = simulate()
    order = np.random.default_rng(1).permutation(len(predictions.truth))
    expected = score(predictions, FAST).to_json()
    scores = score(take(predictions, order), FAST).to_json()
    assert scores["segment"]["accuracy"] == expected["segment"]["accuracy"]
    assert scores["chance"] == expected["chance"]
    assert scores["participants"] == expected["participants"]


def test_score_counts_undefined_values():
    predictions = simulate()
    predictions.probabilities[:, 3] = 0
    scores = score(take(predictions, np.flatnonzero(predictions.truth != 3)), FAST)
    for name in ("recall", "precision", "auc"):
        assert scores.undefined[f"{name} of a class"].startswith("1 class ")
    values = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert values["classes"][3]["recall"] is None
    assert values["majority"]["overall"] is None
    assert values["segment"]["accuracy"]["value"] == scores.accuracy.value


def test_score_one_trial_has_no_interval():
    assert math.isnan(score(simulate(1, 1), FAST).accuracy.low)


def test_score_separates_skill_from_chance():
    chance, skill = score(simulate(skill=0.0), FAST), score(simulate(skill=0.6), FAST)
    assert skill.chance.p_value == pytest.approx(1 / 201)
    assert chance.chance.p_value > 0.05
    assert chance.chance.low < 0.25 < chance.chance.high
    assert skill.accuracy.low > skill.chance.high


def test_score_rejects_invalid_predictions():
    predictions = simulate()
    not_finite = predictions.probabilities.copy()
    not_finite[3] = np.nan
    with pytest.raises(MilmerError, match="1 of 240 predictions are not finite"):
        score(replace(predictions, probabilities=not_finite))
    with pytest.raises(MilmerError, match="at least one prediction"):
        score(take(predictions, np.array([], dtype=int)))
    mixed = predictions.truth.copy()
    mixed[0] = (mixed[0] + 1) % 4
    with pytest.raises(MilmerError, match="Trial s01/01 has segments of different classes"):
        score(replace(predictions, truth=mixed))
    with pytest.raises(MilmerError, match=r"expected shape \(240, 2\).* got \(240, 4\)"):
        score(replace(predictions, class_names=["a", "b"]))
    with pytest.raises(MilmerError, match="expected 0 to 3, got -1 to 3"):
        score(replace(predictions, truth=np.where(predictions.truth == 2, -1, predictions.truth)))


def test_score_repeats_do_not_add_trials():
    once = simulate(participants=6, trials=10)
    n = len(once.truth)
    twice = replace(take(once, np.tile(np.arange(n), 2)), repeat=np.repeat([0, 1], n))
    single, double = score(once, FAST), score(twice, FAST)
    assert (double.n_trials, double.n_repeats, double.n_segments) == (60, 2, 2 * n)
    for level in ("segment", "trial"):
        expected, estimate = (asdict(getattr(s, level)["accuracy"]) for s in (single, double))
        assert estimate == pytest.approx(expected)
    assert asdict(double.chance) == pytest.approx(asdict(single.chance))


def test_score_averages_a_trial_within_a_repeat_only():
    # Both models are wrong about the trial, but the mean of their probabilities is correct.
    probabilities = np.array([[0.40, 0.45, 0.15], [0.40, 0.15, 0.45]])
    scores = score(
        SegmentPredictions(
            truth=np.array([0, 0]),
            probabilities=probabilities,
            participant=np.array(["s01", "s01"]),
            trial_id=np.array(["s01/01", "s01/01"]),
            class_names=["a", "b", "c"],
            repeat=np.array([0, 1]),
        ),
        FAST,
    )
    assert probabilities.mean(axis=0).argmax() == 0
    assert scores.trial["accuracy"].value == 0.0


def test_score_resamples_stimuli_and_not_trials():
    predictions = simulate(participants=4, trials=12)
    stimulus = np.array([int(name[-2:]) for name in predictions.trial_id])
    over_trials = score(predictions, FAST)
    over_stimuli = score(replace(predictions, stimulus=stimulus), FAST)
    assert (over_trials.n_stimuli, over_stimuli.n_stimuli) == (48, 12)
    assert over_stimuli.accuracy.value == over_trials.accuracy.value
    assert over_stimuli.accuracy.low != over_trials.accuracy.low


def test_score_under_the_session_protocol_exchanges_labels_within_sessions():
    """Sessions differ in their majority class, and a model that knows it is not above chance."""
    participant = np.repeat(np.arange(4), 24)
    session = np.repeat(np.arange(8), 12)
    truth = np.where(np.arange(96) % 4 == 0, 1 - session % 2, session % 2)
    probabilities = np.eye(2)[session % 2] * 0.5 + 0.25
    predictions = SegmentPredictions(
        truth, probabilities, participant, np.arange(96), ("a", "b"),
        stimulus=np.arange(96), session=session,
    )  # fmt: skip
    over_stimuli = score(predictions, ResamplingOptions(axes=("stimulus",)))
    assert over_stimuli.chance.p_value_trial < 0.01
    over_sessions = score(predictions, ResamplingOptions(axes=("session",)))
    assert not over_sessions.chance.p_value_trial < 0.5  # each permutation gives the same accuracy
    assert over_sessions.resampling.axes == ("session",)
