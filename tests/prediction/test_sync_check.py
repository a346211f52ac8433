from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.prediction import sync_check
from milmer_cli.prediction.blinks import MAX_LAG_S, RATE_HZ
from milmer_cli.prediction.onsets import Onset
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.video.frames import VideoSpan


@pytest.fixture
def check(monkeypatch):
    """``check(blinks_s, lag_s, video_onset_s, eeg_onset_s)`` with noise-free traces."""

    def trace(blinks, times):
        return sum(np.exp(-(((times - at) / 0.1) ** 2)) for at in blinks)

    def check(blinks, lag_s, video_onset_s, eeg_onset_s):
        times = np.arange(0, 40, 1 / RATE_HZ)
        margin = round(MAX_LAG_S * RATE_HZ)
        extended = np.arange(len(times) + 2 * margin) / RATE_HZ - MAX_LAG_S
        in_eeg = trace(np.asarray(blinks) + lag_s, extended)
        monkeypatch.setattr(sync_check, "video_trace", lambda *_: trace(blinks, times))
        monkeypatch.setattr(sync_check, "eeg_trace", lambda *_: ("VEOG", in_eeg))
        timing = StimulusTiming(None, Onset(eeg_onset_s, "given"), 40.0)
        return sync_check.check_sync(VideoSpan(Path("v.mp4"), video_onset_s), None, timing, None)

    return check


@pytest.mark.parametrize(
    ("video_s", "eeg_s", "lag_s"),
    [(0.0, 2.0, 0.6), (0.0, 0.4, -2.0), (3.0, 0.0, -2.0), (3.0, 0.0, 2.0), (1.0, 9.0, 3.0)],
)
def test_check_sync_recommends_both_onsets(check, video_s, eeg_s, lag_s):
    irregular = np.sort(np.random.default_rng(1).uniform(0, 40, 12))
    result = check(irregular, lag_s, video_s, eeg_s)
    assert result.clear
    assert not result.synchronous
    flags = re.search(r"--video-onset (\S+) --eeg-onset (\S+)", result.sentence)
    video, eeg = map(float, flags.groups())
    assert min(video, eeg) == 0 or video >= 0 < eeg
    assert eeg - video == pytest.approx(eeg_s - video_s + lag_s, abs=0.03)


def test_check_sync_confirms_correct_onsets(check):
    irregular = np.sort(np.random.default_rng(1).uniform(0, 40, 12))
    assert check(irregular, 0.0, 1.0, 2.0).synchronous


def test_check_sync_of_regular_blinks_is_ambiguous(check):
    result = check(np.arange(1.5, 40, 3.5), 0.0, 0.0, 8.0)
    assert not result.clear
    assert not result.synchronous
    assert "about equally well at a lag of" in result.sentence
    assert "--eeg-onset" not in result.sentence
