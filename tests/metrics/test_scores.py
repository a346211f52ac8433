from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.metrics import METRICS, format_p, headline, resampled_unit, score

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")
FAST = {"resamples": 200, "permutations": 200}


def made(
    participants: int = 4, trials: int = 12, per_trial: int = 5, skill: float = 0.6, seed: int = 0
):
    random = np.random.default_rng(seed)
    n = participants * trials
    classes = random.integers(4, size=n)
    trial = np.repeat(np.arange(n), per_trial)
    probabilities = random.dirichlet(np.ones(4), size=len(trial))
    sure = random.random(len(trial)) < skill
    probabilities[sure] = 0.1 + 0.6 * np.eye(4)[classes[trial][sure]]
    who = np.array([f"s{t // trials + 1:02d}" for t in trial])
    names = np.array([f"{p}/{t % trials + 1:02d}" for p, t in zip(who, trial, strict=True)])
    return classes[trial], probabilities, who, names


def test_segment_and_trial_scores_and_counts():
    # two trials of three segments: one all right, the other one right of three and wrong on average
    truth = np.array([0, 0, 0, 1, 1, 1])
    probabilities = np.array([[0.9, 0.1]] * 3 + [[0.3, 0.7], [0.9, 0.1], [0.8, 0.2]])
    found = score(truth, probabilities, np.array(["s01"] * 6), np.repeat(["a", "b"], 3), ["x", "y"])
    assert (found.n_segments, found.n_trials, found.n_participants) == (6, 2, 1)
    assert found.segment["accuracy"].value == pytest.approx(4 / 6)
    assert found.trial["accuracy"].value == 0.5
    assert found.confusion.tolist() == [[3, 0], [2, 1]]
    assert found.trial_confusion.tolist() == [[1, 0], [1, 0]]
    assert found.majority_test == 0.5
    assert [c.recall for c in found.classes] == pytest.approx([1, 1 / 3])


def test_majority_is_that_of_the_training_part():
    truth, probabilities, who, names = made()
    always = np.full(len(truth), 2)
    found = score(truth, probabilities, who, names, QUADRANTS, majority=always, **FAST)
    assert found.majority == pytest.approx(np.mean(truth == 2))
    assert found.majority_test == pytest.approx(np.bincount(truth).max() / len(truth))
    assert math.isnan(score(truth, probabilities, who, names, QUADRANTS, **FAST).majority)


def test_participants_and_their_spread():
    truth, probabilities, who, names = made()
    right = probabilities.argmax(axis=1) == truth
    found = score(truth, probabilities, who, names, QUADRANTS, **FAST)
    wanted = [right[who == name].mean() for name in np.unique(who)]
    assert [p.accuracy for p in found.participants] == pytest.approx(wanted)
    assert [p.n_trials for p in found.participants] == [12] * 4
    mean, deviation, low, high = found.spread
    assert (mean, deviation) == pytest.approx((np.mean(wanted), np.std(wanted, ddof=1)))
    assert (low, high) == (min(wanted), max(wanted))


def test_intervals_hold_the_value_and_widen_with_the_unit():
    truth, probabilities, who, names = made(6)
    probabilities[np.isin(who, ["s01", "s02"])] = 0.25  # two participants at chance
    trials = score(truth, probabilities, who, names, QUADRANTS, **FAST)
    people = score(truth, probabilities, who, names, QUADRANTS, unit="participant", **FAST)
    for found in (trials, people):
        for name in METRICS:
            if name != "calibration_error":  # biased upward by resampling, as is well known
                estimate = found.segment[name]
                assert estimate.low <= estimate.value <= estimate.high
    width = [s.segment["accuracy"].high - s.segment["accuracy"].low for s in (trials, people)]
    assert width[1] > 1.5 * width[0]


def test_order_of_rows_changes_nothing():
    truth, probabilities, who, names = made()
    order = np.random.default_rng(1).permutation(len(truth))
    first = score(truth, probabilities, who, names, QUADRANTS, **FAST).to_json()
    again = score(
        truth[order], probabilities[order], who[order], names[order], QUADRANTS, **FAST
    ).to_json()
    assert again["segment"]["accuracy"] == first["segment"]["accuracy"]
    assert again["chance"] == first["chance"]
    assert again["participants"] == first["participants"]


def test_undefined_is_counted_and_null_in_json():
    truth, probabilities, who, names = made()
    rows = truth != 3
    probabilities[:, 3] = 0
    found = score(truth[rows], probabilities[rows], who[rows], names[rows], QUADRANTS, **FAST)
    assert found.undefined["recall of a class"] == 1
    assert found.undefined["precision of a class"] == 1
    assert found.undefined["auc of a class"] == 1
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["classes"][3]["recall"] is None
    assert plain["majority"] is None
    assert plain["segment"]["accuracy"]["value"] == found.segment["accuracy"].value


def test_one_trial_has_no_interval():
    truth, probabilities, who, names = made(1, 1)
    found = score(truth, probabilities, who, names, QUADRANTS, **FAST)
    assert math.isnan(found.segment["accuracy"].low)
    assert "no interval" in headline(found, "trial")


def test_headline_names_protocol_interval_majority_and_chance():
    truth, probabilities, who, names = made()
    found = score(truth, probabilities, who, names, QUADRANTS, majority=truth * 0, **FAST)
    estimate = dataclasses.replace(found.segment["accuracy"], value=0.417, low=0.331, high=0.502)
    found = dataclasses.replace(
        found,
        segment={**found.segment, "accuracy": estimate},
        majority=0.271,
        chance=dataclasses.replace(found.chance, p=0.012),
    )
    line = "accuracy 41.7 % [33.1, 50.2] (95 % over trials), majority 27.1 %, p = 0.012"
    assert headline(found, "trial") == f"trial protocol: {line}"
    assert headline(found, "segment") == f"segment protocol (LEAKY): {line}"


def test_skill_is_told_from_luck():
    lucky = score(*made(skill=0.0), QUADRANTS, **FAST)
    able = score(*made(skill=0.6), QUADRANTS, **FAST)
    assert able.chance.p == pytest.approx(1 / 201)
    assert lucky.chance.p > 0.05
    assert lucky.chance.low < 0.25 < lucky.chance.high
    assert able.segment["accuracy"].low > able.chance.high


def test_what_cannot_be_scored_is_refused():
    truth, probabilities, who, names = made()
    broken = probabilities.copy()
    broken[3] = np.nan
    with pytest.raises(MilmerError, match="1 of 240 predictions are not finite"):
        score(truth, broken, who, names, QUADRANTS)
    with pytest.raises(MilmerError, match="no prediction"):
        score(truth[:0], probabilities[:0], who[:0], names[:0], QUADRANTS)
    mixed = truth.copy()
    mixed[0] = (mixed[0] + 1) % 4
    with pytest.raises(MilmerError, match="Trial s01/01 has segments of different classes"):
        score(mixed, probabilities, who, names, QUADRANTS)
    with pytest.raises(MilmerError, match="do not fit"):
        score(truth, probabilities, who, names, ["a", "b"])


def test_small_words():
    assert [format_p(p) for p in (0.0005, 0.012, math.nan)] == [
        "p < 0.001",
        "p = 0.012",
        "p undefined",
    ]
    units = [resampled_unit(p) for p in ("segment", "trial", "stimulus", "participant")]
    assert units == ["trial", "trial", "clip", "participant"]
    assert resampled_unit("participant-stimulus") == "participant"


def test_repetitions_are_no_new_trials():
    truth, probabilities, who, names = made(participants=2, trials=10)
    once = score(truth, probabilities, who, names, QUADRANTS, **FAST)
    twice = score(
        np.tile(truth, 2),
        np.tile(probabilities, (2, 1)),
        np.tile(who, 2),
        np.tile(names, 2),
        QUADRANTS,
        repeat=np.repeat([0, 1], len(truth)),
        **FAST,
    )
    assert (twice.n_trials, twice.repeats, twice.n_segments) == (20, 2, 2 * once.n_segments)
    for level in ("segment", "trial"):
        one, two = getattr(once, level)["accuracy"], getattr(twice, level)["accuracy"]
        assert (two.value, two.low, two.high) == pytest.approx((one.value, one.low, one.high))
    assert dataclasses.asdict(twice.chance) == pytest.approx(dataclasses.asdict(once.chance))


def test_a_trial_is_averaged_within_a_repetition_and_never_over_models():
    # each model is wrong on the trial; their mean would be right
    probabilities = np.array([[0.40, 0.45, 0.15], [0.40, 0.15, 0.45]])
    found = score(
        np.array([0, 0]),
        probabilities,
        np.array(["s01", "s01"]),
        np.array(["s01/01", "s01/01"]),
        ["a", "b", "c"],
        repeat=np.array([0, 1]),
        **FAST,
    )
    assert probabilities.mean(axis=0).argmax() == 0
    assert found.trial["accuracy"].value == 0.0


def test_clips_are_resampled_where_clips_are_unseen():
    truth, probabilities, who, names = made(participants=4, trials=12)
    clip = np.array([int(name[-2:]) for name in names])
    over = {
        unit: score(truth, probabilities, who, names, QUADRANTS, unit=unit, clip=clip, **FAST)
        for unit in ("trial", "clip")
    }
    assert over["clip"].unit == "clip"
    assert over["clip"].segment["accuracy"].value == over["trial"].segment["accuracy"].value
    assert "(95 % over clips)" in headline(over["clip"], "stimulus")
    with pytest.raises(MilmerError, match="which clip"):
        score(truth, probabilities, who, names, QUADRANTS, unit="clip", **FAST)
