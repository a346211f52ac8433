from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from milmer_cli.metrics import (
    MajorityRates,
    ResamplingOptions,
    Scores,
    SegmentPredictions,
    format_p,
    headline,
    score,
)

LINE = (
    "accuracy 41.7 % [33.1, 50.2] (95 % interval over stimuli), "
    "majority 27.1 % (of the participant 30.0 %), p = 0.012; "
)
SAME_PARTICIPANTS = "generalizes to new trials with new stimuli of the same participants"


@pytest.fixture(scope="module")
def scores() -> Scores:
    truth = np.arange(24) % 2
    predictions = SegmentPredictions(
        truth, np.eye(2)[truth], np.arange(24) % 6, np.arange(24), ("low", "high")
    )
    scores = score(predictions, ResamplingOptions(n_bootstraps=20, n_permutations=20))
    estimate = replace(scores.accuracy, value=0.417, low=0.331, high=0.502)
    return replace(
        scores,
        segment={**scores.segment, "accuracy": estimate},
        majority=MajorityRates(0.271, 0.3, math.nan, 0.26),
        chance=replace(scores.chance, p_value=0.012),
    )


def test_headline_has_protocol_interval_majority_rates_p_value_and_scope(scores):
    assert headline(scores, "trial") == f"trial protocol: {LINE}{SAME_PARTICIPANTS}"


def test_headline_marks_leaky_results(scores):
    segment, trial = headline(scores, "segment"), headline(scores, "trial", leaky=True)
    assert f"protocol (LEAKY): {LINE}generalizes to nobody: segments" in segment
    assert f"protocol (LEAKY): {LINE}generalizes to nobody: the test set was used" in trial


def test_headline_names_the_sampled_axes(scores):
    options = replace(scores.resampling, axes=("participant", "stimulus"), confidence_level=0.9)
    line = headline(replace(scores, resampling=options), "participant-stimulus")
    assert "(90 % interval over participants and stimuli)" in line


def test_headline_without_interval(scores):
    estimate = replace(scores.accuracy, low=math.nan, high=math.nan)
    changed = replace(scores, segment={**scores.segment, "accuracy": estimate})
    assert "no interval" in headline(changed, "trial")


def test_format_p():
    texts = [format_p(p_value) for p_value in (0.0005, 0.012, math.nan)]
    assert texts == ["p < 0.001", "p = 0.012", "p undefined"]
