from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from milmer_cli.datasets.synthetic import SyntheticConfig
from milmer_cli.datasets.synthetic.config import QUADRANTS
from milmer_cli.datasets.synthetic.schedule import draw_truth, quadrant_signs
from milmer_cli.errors import InputError


def test_draw_truth_two_or_more_participants_are_from_both_sites():
    for participants in (2, 3, 4, 20, 32):
        truth = draw_truth(SyntheticConfig(participants=participants))
        numbers = [p.number for p in truth.participants]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == participants
        assert all((p.number <= 22) == (p.site == "A") for p in truth.participants)
        assert {p.site for p in truth.participants} == {"A", "B"}
    truth = draw_truth(SyntheticConfig(participants=4))
    assert [p.name for p in truth.participants] == ["s01", "s02", "s24", "s29"]


def test_draw_truth_quadrants_are_balanced_and_contain_the_ratings():
    truth = draw_truth(SyntheticConfig(participants=4, trials=12))
    ties = 0
    for participant in truth.participants:
        assert set(Counter(t.quadrant for t in participant.trials).values()) == {3}
        for trial in participant.trials:
            valence, arousal = trial.ratings[:2]
            assert trial.tied == (5.0 in (valence, arousal))
            ties += trial.tied
            assert min(trial.ratings) >= 1
            assert max(trial.ratings) <= 9
            high = "HA" in trial.quadrant, "HV" in trial.quadrant
            assert arousal == 5.0 or (arousal > 5) == high[0]
            assert valence == 5.0 or (valence > 5) == high[1]
    assert ties == 3


def test_draw_truth_the_smallest_set_has_a_tie():
    truth = draw_truth(SyntheticConfig(participants=2, trials=4))
    assert any(trial.tied for p in truth.participants for trial in p.trials)


def test_draw_truth_all_participants_see_the_same_stimuli_in_individual_order():
    truth = draw_truth(SyntheticConfig(participants=4, trials=12))
    orders = [tuple(t.stimulus for t in p.trials) for p in truth.participants]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(1, 13)) for order in orders)
    assert tuple(range(1, 13)) not in orders


def _quadrants(config: SyntheticConfig) -> np.ndarray:
    """Return the quadrants as the participants rated them, (participants, stimuli)."""
    participants = draw_truth(config).participants
    return np.array([[trial.quadrant for trial in p.by_stimulus] for p in participants])


def _agreement(quadrants: np.ndarray) -> float:
    """Return how often a quadrant is the most frequent one of its stimulus."""
    return float(np.mean([max(Counter(stimulus).values()) for stimulus in quadrants.T])) / len(
        quadrants
    )


def test_draw_truth_participants_mostly_agree_on_the_emotion_of_a_stimulus():
    agreement = _agreement(_quadrants(SyntheticConfig(participants=20, trials=40)))
    assert 0.6 < agreement < 0.85
    for kind in ("trial", "stimulus"):
        assert _agreement(_quadrants(SyntheticConfig(signal_kind=kind))) == 1.0


def test_draw_truth_participant_signal_is_the_preferred_quadrant_of_the_participant():
    config = SyntheticConfig(signal_kind="participant", participants=8, trials=40)
    quadrants = _quadrants(config)
    shares = [Counter(row)[QUADRANTS[index % 4]] / 40 for index, row in enumerate(quadrants)]
    assert shares == pytest.approx([0.7] * 8)  # a quarter of the other trials is in it, too
    assert _agreement(quadrants) < 0.6
    patterns = [{t.pattern for t in p.trials} for p in draw_truth(config).participants]
    assert [len(own) for own in patterns] == [1] * 8
    assert len(set.union(*patterns)) == 8
    without = _quadrants(replace(config, signal=0.0))
    assert all(set(Counter(row).values()) == {10} for row in without)


def test_draw_truth_three_of_ten_slots_have_an_expression_and_one_no_face():
    for trial in draw_truth(SyntheticConfig(stimulus_s=6.0)).participants[0].trials:
        for start in (0.0, 3.0):
            block = [s for s in trial.spans if start <= s.start_s < start + 3.0]
            assert sum(s.pattern is None for s in block) == 1
            assert sum(s.pattern is not None for s in block) == 3
            assert all(s.stop_s - s.start_s == pytest.approx(0.3) for s in block)


def _shown_and_rated(config: SyntheticConfig) -> np.ndarray:
    """Return the quadrant of each expression and that of its trial, (n_expressions, 2)."""
    return np.array(
        [
            (span.pattern, QUADRANTS.index(trial.quadrant))
            for participant in draw_truth(config).participants
            for trial in participant.trials
            for span in trial.spans
            if span.pattern is not None
        ]
    )


@pytest.mark.parametrize(("signal", "share"), [(0.0, 0.5), (0.5, 0.725), (1.0, 0.95), (2.0, 0.95)])
def test_draw_truth_signal_sets_the_share_of_expressions_with_the_valence_of_the_trial(
    signal, share
):
    # Nine tenths of them match at signal 1, and half of the random ones matches by chance.
    shown, rated = _shown_and_rated(SyntheticConfig(signal=signal, trials=40, participants=8)).T
    valence = [[quadrant_signs(q)[0] for q in quadrants] for quadrants in (shown, rated)]
    matching = int(np.equal(*valence).sum())
    assert stats.binomtest(matching, len(shown), share).pvalue > 0.01


def test_draw_truth_expressions_do_not_depend_on_arousal():
    shown, rated = _shown_and_rated(SyntheticConfig(trials=40, participants=8)).T
    arousal = [[quadrant_signs(q)[1] for q in quadrants] for quadrants in (shown, rated)]
    assert stats.binomtest(int(np.equal(*arousal).sum()), len(shown), 0.5).pvalue > 0.01


def test_draw_truth_signal_kind_trial_and_stimulus():
    by_trial = draw_truth(SyntheticConfig(signal_kind="trial", trials=40))
    patterns = [t.pattern for p in by_trial.participants for t in p.trials]
    assert len(set(patterns)) == len(patterns)
    by_stimulus = draw_truth(SyntheticConfig(signal_kind="stimulus", trials=40))
    for participant in by_stimulus.participants:
        assert all(t.pattern == t.stimulus for t in participant.trials)


def test_draw_truth_one_video_is_missing_and_all_without_video():
    truth = draw_truth(SyntheticConfig())
    missing = [(p.name, t.trial) for p in truth.participants for t in p.trials if not t.video]
    assert missing == [("s02", 16)]
    silent = draw_truth(SyntheticConfig(video=False))
    assert not any(t.video for p in silent.participants for t in p.trials)


def test_draw_truth_marks_have_one_frequency_per_stimulus():
    truth = draw_truth(SyntheticConfig(marks=True, trials=40))
    pairs = {(t.stimulus, t.mark_hz) for p in truth.participants for t in p.trials}
    assert len(pairs) == 40
    hertz = np.sort([hz for _, hz in pairs])
    assert hertz[0] > 4
    assert hertz[-1] < 45
    assert np.diff(hertz).min() > 1 / 3  # the frequency resolution of a 3-s segment


@pytest.mark.parametrize(
    "wrong",
    [
        {"participants": 0},
        {"trials": 41},
        {"stimulus_s": 0.1},
        {"signal": -1.0},
        {"signal_kind": "person"},
        {"formats": ("edf",)},
    ],
)
def test_synthetic_config_rejects_a_value_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SyntheticConfig(**wrong)
