from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from milmer_cli.demo import DemoSpec
from milmer_cli.demo.plan import plan
from milmer_cli.demo.spec import QUADRANTS
from milmer_cli.errors import InputError


def test_every_set_of_two_or_more_has_both_recording_sites():
    for participants in (2, 3, 4, 20, 32):
        truth = plan(DemoSpec(participants=participants))
        numbers = [p.number for p in truth.participants]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == participants
        assert all((p.number <= 22) == (p.site == "A") for p in truth.participants)
        assert {p.site for p in truth.participants} == {"A", "B"}
    assert [p.name for p in plan(DemoSpec()).participants] == ["s01", "s02", "s24", "s29"]


def test_quadrants_are_balanced_and_the_ratings_lie_in_them():
    truth = plan(DemoSpec(participants=4, trials=12))
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


def test_even_the_smallest_set_has_a_tie():
    truth = plan(DemoSpec(participants=2, trials=4))
    assert any(trial.tied for p in truth.participants for trial in p.trials)


def test_everybody_sees_the_same_stimuli_in_an_order_of_their_own():
    truth = plan(DemoSpec(participants=4, trials=12))
    orders = [tuple(t.stimulus for t in p.trials) for p in truth.participants]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(1, 13)) for order in orders)
    assert tuple(range(1, 13)) not in orders
    quadrants = [{t.stimulus: t.quadrant for t in p.trials} for p in truth.participants]
    assert quadrants[0] == quadrants[1] == quadrants[3]


def test_three_of_ten_slots_are_expressive_and_one_has_no_face():
    for trial in plan(DemoSpec(stimulus_s=6.0)).participants[0].trials:
        for start in (0.0, 3.0):
            block = [s for s in trial.spans if start <= s.start_s < start + 3.0]
            assert sum(s.pattern is None for s in block) == 1
            assert sum(s.pattern is not None for s in block) == 3
            assert all(s.stop_s - s.start_s == pytest.approx(0.3) for s in block)


def _own_share(spec: DemoSpec) -> tuple[int, int]:
    shown = [
        (span.pattern, QUADRANTS.index(trial.quadrant))
        for participant in plan(spec).participants
        for trial in participant.trials
        for span in trial.spans
        if span.pattern is not None
    ]
    return sum(pattern == own for pattern, own in shown), len(shown)


def test_expressions_are_the_trials_own_with_signal_and_anybodys_without():
    # Half of them are the trial's own, the others anybody's: a quarter of those by chance.
    own, total = _own_share(DemoSpec(signal=1.0, trials=40, participants=8))
    assert stats.binomtest(own, total, 0.625).pvalue > 0.01
    assert _own_share(DemoSpec(signal=2.0)) == _own_share(DemoSpec(signal=1.0))
    own, total = _own_share(DemoSpec(signal=0.0, trials=40, participants=8))
    assert stats.binomtest(own, total, 0.25).pvalue > 0.01
    own, total = _own_share(DemoSpec(signal=0.5, trials=40, participants=8))
    assert stats.binomtest(own, total, 0.4375).pvalue > 0.01


def test_twins_name_the_trial_or_the_clip_only():
    by_trial = plan(DemoSpec(signal_kind="trial", trials=40))
    patterns = [t.pattern for p in by_trial.participants for t in p.trials]
    assert len(set(patterns)) == len(patterns)
    by_clip = plan(DemoSpec(signal_kind="stimulus", trials=40))
    for participant in by_clip.participants:
        assert all(t.pattern == t.stimulus for t in participant.trials)


def test_exactly_one_video_is_missing_and_none_is_promised_without_video():
    truth = plan(DemoSpec())
    missing = [(p.name, t.trial) for p in truth.participants for t in p.trials if not t.video]
    assert missing == [("s02", 12)]
    silent = plan(DemoSpec(video=False))
    assert not any(t.video for p in silent.participants for t in p.trials)


def test_marks_are_one_frequency_a_stimulus_whoever_sees_it():
    truth = plan(DemoSpec(marks=True, trials=40))
    pairs = {(t.stimulus, t.mark_hz) for p in truth.participants for t in p.trials}
    assert len(pairs) == 40
    hertz = np.sort([hz for _, hz in pairs])
    assert hertz[0] > 4
    assert hertz[-1] < 45
    assert np.diff(hertz).min() > 1 / 3  # told apart in a 3-s segment


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
def test_an_impossible_set_is_refused_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        DemoSpec(**wrong)
