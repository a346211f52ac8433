from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.reports.annotated_video import frame_rate, require_video_target
from milmer_cli.reports.video_overlay import VideoOverlay
from milmer_cli.video.decode import AS_STORED


def test_write_annotated_video_keeps_duration_and_sound(tmp_path, recording_files, model):
    path = tmp_path / "new" / "annotated.mp4"
    result = model.predict(
        recording_files / "face.mp4", video_out=path, video_onset_s=1.5, duration_s=6
    )
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert video.frames == 60
        assert video.width == 400
        assert video.height > 320
        assert float(sound.duration * sound.time_base) == pytest.approx(6.0, abs=0.2)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    left, top, right, _ = result.segments[1].boxes[0].round().astype(int)
    edge = frames[31][top - 1 : top + 2, left + 30 : right - 30].mean(axis=(0, 1))
    inside = frames[31][top + 20 : top + 23, left + 30 : right - 30].mean(axis=(0, 1))
    assert np.abs(edge - inside).max() > 15, "the face has a box"
    assert frames[31][325:].std() > 20, "the panel is not empty"
    assert [p.name for p in path.parent.iterdir()] == ["annotated.mp4"]


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_write_annotated_video_keeps_the_sound_synchronous(tmp_path, model, write_video, codec):
    video = write_video(tmp_path / "tone.mkv", 9.0, sound=codec)  # silent for the first 4.5 s
    path = tmp_path / "annotated.mp4"
    model.predict(video, video_out=path, video_onset_s=1.5, duration_s=6)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        samples = [(frame.time, frame.to_ndarray()) for frame in container.decode(audio=0)]
    loud = [time for time, sound in samples if np.abs(sound).max() > 0.3]
    assert min(loud) == pytest.approx(3.0, abs=0.2)
    assert max(loud) == pytest.approx(6.0, abs=0.3)


def test_write_annotated_video_accepts_names_with_a_colon(
    tmp_path, monkeypatch, recording_files, model
):
    monkeypatch.chdir(tmp_path)
    video = Path(shutil.copy(recording_files / "face.mp4", "12:30:05.mp4"))

    model.predict(video, video_out=Path("12:30.mp4"), duration_s=3)

    with av.open(f"file:{tmp_path}/12:30.mp4") as container:
        assert container.streams.video[0].frames == 30
        assert len(container.streams.audio) == 1


def test_write_annotated_video_leaves_nothing_when_interrupted(
    tmp_path, monkeypatch, recording_files, model
):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoOverlay, "draw", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.predict(
            recording_files / "face.mp4", video_out=tmp_path / "annotated.mp4", duration_s=3
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("face.mp4", "is one of the input files"),
        ("link.mp4", "is one of the input files"),
        ("annotated.webm", "--video-out: expected one of .mp4, .mov, .mkv"),
        ("cap.edf/annotated.mp4", "cap.edf is not a folder"),
    ],
)
def test_require_video_target_rejects(tmp_path, recording_files, name, message):
    video = Path(shutil.copy(recording_files / "face.mp4", tmp_path))
    (tmp_path / "link.mp4").symlink_to("face.mp4")
    eeg = Path(shutil.copy(recording_files / "cap.edf", tmp_path))
    with pytest.raises(InputError, match=message):
        require_video_target(tmp_path / name, (video, eeg))


def test_frame_rate_is_that_of_the_frames_not_of_the_clock(recording_files):
    declared = SimpleNamespace(path=recording_files / "face.mp4", options=AS_STORED, fps=1000.0)
    assert float(frame_rate(declared)) == pytest.approx(10, abs=0.1)
    assert frame_rate(SimpleNamespace(path=None, fps=29.97)) == Fraction(2997, 100)
