from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest

from milmer_cli.datasets.synthetic import ListedConfig
from milmer_cli.datasets.synthetic.listed.eav_writer import plan_eav
from milmer_cli.datasets.synthetic.listed.trial_marks import (
    draw_time_mark,
    mark_wave,
    read_time_mark,
)
from milmer_cli.datasets.synthetic.listed.trial_video import FaceVideo, write_face_video

SECONDS = np.arange(384) / 128


def test_mark_wave_identifies_the_trial_and_the_time():
    wave = mark_wave(7, SECONDS)
    others = [mark_wave(code, SECONDS) for code in range(1, 100) if code != 7]
    assert max(abs(np.corrcoef(wave, other)[0, 1]) for other in others) < 0.6
    later = [mark_wave(7, SECONDS + shift_s) for shift_s in (0.25, 0.5, 1.0, 5.0, 30.0)]
    assert max(abs(np.corrcoef(wave, other)[0, 1]) for other in later) < 0.6
    assert not mark_wave(7, SECONDS - 5.0).any()


@pytest.mark.parametrize(("code", "seconds"), [(1, 0.0), (85, 12.49), (255, 63.9)])
def test_draw_time_mark_is_read_back(code, seconds):
    frame = np.full((384, 480, 3), 120, np.uint8)
    assert read_time_mark(frame) is None
    draw_time_mark(frame, code, seconds)
    assert read_time_mark(frame) == (code, np.floor(seconds * 4) / 4)


@pytest.mark.parametrize("onset_s", [0.75, -0.75])
def test_write_face_video_shows_the_mark_during_the_stimulus_only(tmp_path, onset_s):
    config = ListedConfig("eav", participants=1, trials=10, stimulus_s=3.0)
    trial = plan_eav(config).trials[3]
    shown = FaceVideo(1, 1, 4.5, [replace(trial, video_onset_s=onset_s)], fps=4)
    write_face_video(tmp_path / "face.mp4", config, shown)
    with av.open(str(tmp_path / "face.mp4")) as container:
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    assert len(frames) == 18
    for time_s, image in frames:
        since_s = time_s - onset_s
        expected = (trial.code, since_s) if 0 <= since_s < 3.0 else None
        assert read_time_mark(image) == expected
