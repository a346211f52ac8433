from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.prediction.request import Request


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"trial": 0}, "--trial: expected a whole number from 1, got 0"),
        ({"trial": -1}, "got -1"),
        ({"trial": 1.0}, r"got 1\.0"),
        ({"video_onset_s": math.nan}, "--video-onset: expected seconds, got nan"),
        ({"eeg_onset_s": math.inf}, "--eeg-onset: expected seconds, got inf"),
        ({"eeg_onset_s": -1.0}, "--eeg-onset: expected 0 or more seconds, got -1"),
        ({"video_onset_s": -1e8}, "--video-onset: expected at least -10000000 seconds, got -1e.08"),
        ({"duration_s": math.nan}, "--duration: expected seconds, got nan"),
        ({"duration_s": math.inf}, "--duration: expected seconds, got inf"),
        ({"duration_s": 0.0}, "--duration: expected more than 0 seconds, got 0"),
        ({"video_stream": 0}, "--video-stream: expected a whole number from 1, got 0"),
        ({"duration_s": 1e20}, "--duration: expected at most 10000000 seconds, got 1e.20"),
        ({"video_fps": 1e9}, "--video-fps: expected at most 10000 per second, got 1e.09"),
        ({"video_fps": 0.0}, "--video-fps: expected frames per second, more than 0, got 0"),
        ({"video_fps": math.nan}, "--video-fps: expected frames per second, more than 0, got nan"),
        ({"video": None, "video_stream": 1}, "--video-stream requires a video"),
        ({"video": None, "video_fps": 25.0}, "--video-fps requires a video"),
        ({"video": None, "video_onset_s": 0.0}, "--video-onset requires a video"),
        ({"eeg": None, "eeg_onset_s": 0.0}, "--eeg-onset requires an EEG recording"),
        ({"eeg": None, "eog": "A-B"}, "--eog requires an EEG recording"),
        ({"eeg": None, "trial": 2}, "--trial and --eeg-event require an EEG recording"),
        ({"video": None, "eeg": None}, "Neither a video nor an EEG recording"),
    ],
)
def test_validate_rejects(fields, message):
    files = {"video": Path("v.mp4"), "eeg": Path("e.edf")}
    with pytest.raises(InputError, match=message):
        Request(**{**files, **fields}).validate()


def test_validate_names_swapped_files(recording_files):
    request = Request(recording_files / "cap.edf", recording_files / "face.mp4")
    with pytest.raises(InputError, match=r"EEG recording and .*face\.mp4 is a video") as caught:
        request.validate()
    assert caught.value.hint.endswith(f"milmer predict {request.eeg} {request.video}")


def test_request_accepts_numpy_numbers():
    request = Request(eeg=Path("e.edf"), trial=np.int64(2), duration_s=np.float32(6))
    request.validate()
    assert json.loads(json.dumps(request.to_json())) == {
        "eeg": "e.edf",
        "trial": 2,
        "duration_s": 6.0,
    }
