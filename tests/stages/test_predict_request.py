"""predict: what is asked for, and what is refused before any file is read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.stages.predicting.request import Request


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"trial": 0}, "There is no trial 0"),
        ({"trial": -1}, "There is no trial -1"),
        ({"trial": 1.0}, r"There is no trial 1\.0"),
        ({"video_onset_s": math.nan}, "--video-onset nan is no number"),
        ({"eeg_onset_s": math.inf}, "--eeg-onset inf is no number"),
        ({"duration_s": math.nan}, "--duration nan is no number"),
        ({"duration_s": math.inf}, "--duration inf is no number"),
        ({"video": None, "video_onset_s": 0.0}, "--video-onset is about the video"),
        ({"eeg": None, "eeg_onset_s": 0.0}, "--eeg-onset is about the EEG"),
        ({"eeg": None, "eog": "A-B"}, "--eog is about the EEG"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked, message):
    files = {"video": Path("v.mp4"), "eeg": Path("e.edf")}
    with pytest.raises(InputError, match=message):
        Request(**{**files, **asked}).check()


def test_numbers_of_numpy_are_numbers():
    request = Request(eeg=Path("e.edf"), trial=np.int64(2), duration_s=np.float32(6))
    request.check()
    assert json.loads(json.dumps(request.to_json())) == {
        "eeg": "e.edf",
        "trial": 2,
        "duration_s": 6.0,
    }
