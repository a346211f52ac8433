"""predict: what is said of the clocks once the traces of the blinks are there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.stages.predicting import blinks


@pytest.fixture
def compare(monkeypatch):
    """``compare(blinks_s, later_s, video_onset_s, eeg_onset_s)``, of clean traces."""

    def trace(at_s, times):
        return sum(np.exp(-(((times - at) / 0.1) ** 2)) for at in at_s)

    def check(at_s, later_s, video_onset_s, eeg_onset_s):
        times = np.arange(0, 40, 1 / blinks.RATE_HZ)
        around = np.arange(len(times) + 2 * 5 * 25) / blinks.RATE_HZ - blinks.REACH_S
        monkeypatch.setattr(blinks, "_eye_trace", lambda *_: trace(at_s, times))
        felt = trace(np.asarray(at_s) + later_s, around)
        monkeypatch.setattr(blinks, "_eeg_trace", lambda *_: ("VEOG", felt))
        span = VideoSpan(Path("v.mp4"), video_onset_s)
        return blinks.check_clocks(span, None, eeg_onset_s, 40.0, None)

    return check


@pytest.mark.parametrize(
    ("video_s", "eeg_s", "later_s"),
    [(0.0, 2.0, 0.6), (0.0, 0.4, -2.0), (3.0, 0.0, -2.0), (3.0, 0.0, 2.0), (1.0, 9.0, 3.0)],
)
def test_the_advice_on_a_wrong_offset_names_both_onsets(compare, video_s, eeg_s, later_s):
    irregular = np.sort(np.random.default_rng(1).uniform(0, 40, 12))
    check = compare(irregular, later_s, video_s, eeg_s)
    assert check.clear
    assert not check.agrees
    told = re.search(r"--video-onset (\S+) --eeg-onset (\S+)", check.sentence)
    video, eeg = map(float, told.groups())
    assert min(video, eeg) == 0 or video >= 0 < eeg
    assert eeg - video == pytest.approx(eeg_s - video_s + later_s, abs=0.03)


def test_two_shifts_that_fit_as_well_prove_nothing(compare):
    check = compare(np.arange(1.5, 40, 3.5), 0.0, 0.0, 8.0)
    assert not check.clear
    assert not check.agrees
    assert "about as well at a shift of" in check.sentence
    assert "--eeg-onset" not in check.sentence
