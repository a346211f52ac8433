"""Of several video streams, the one with a face is selected."""

import av
import numpy as np
import pytest
from skimage import data

from milmer_cli.faces.video_stream import select_video_stream
from milmer_cli.video.decode import VideoOptions
from milmer_cli.video.frames import VideoSpan

FACE = data.astronaut()[0:240, 90:410]
EMPTY = np.full_like(FACE, 90)


def write_streams(path, *shown):
    """Write a video of 6 s with one stream per function ``shown(t)`` -> image."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=5) for _ in shown]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(30):
            for stream, image in zip(streams, shown, strict=True):
                frame = av.VideoFrame.from_ndarray(image(number / 5), format="rgb24")
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return VideoSpan(path)


def test_select_video_stream_with_the_face(tmp_path, centerface):
    video = write_streams(
        tmp_path / "v.mkv",
        lambda t: EMPTY,
        lambda t: FACE if t < 1 else EMPTY,
        lambda t: FACE,
    )

    selected, note = select_video_stream(video, centerface)

    assert selected.options.stream == 3
    assert "Stream 3 is used" in note
    assert "1: 0, 2: 1, 3: 3" in note


@pytest.mark.parametrize("shown", [FACE, EMPTY])
def test_select_video_stream_first_of_equal_ones(tmp_path, centerface, shown):
    video = write_streams(tmp_path / "v.mkv", lambda t: shown, lambda t: shown)

    selected, note = select_video_stream(video, centerface)

    assert selected.options.stream == 1
    assert note


def test_select_video_stream_keeps_a_stated_or_single_stream(tmp_path, centerface):
    stated = VideoOptions(stream=1)
    video = write_streams(tmp_path / "v.mkv", lambda t: EMPTY, lambda t: FACE)
    single = write_streams(tmp_path / "single.mkv", lambda t: EMPTY)

    chosen, note = select_video_stream(VideoSpan(video.path, 0.0, stated), centerface)
    assert (chosen.options, note) == (stated, "")
    assert select_video_stream(single, centerface) == (single, "")
