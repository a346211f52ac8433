"""The size in the headers of a file equals that of the complete file."""

import pytest

from helpers import write_numbered_video
from milmer_cli.video.file_size import lacks_mp4_index, stated_size


@pytest.mark.parametrize("name", ["v.avi", "v.mp4", "v.mov", "v.mkv", "v.webm"])
def test_stated_size_of_a_complete_and_a_truncated_file(tmp_path, name):
    codec = {"v.webm": "libvpx", "v.avi": "mpeg4"}.get(name, "libx264")
    path = write_numbered_video(tmp_path / name, codec=codec, count=30)
    content = path.read_bytes()

    assert stated_size(path) == len(content)
    path.write_bytes(content[: len(content) * 2 // 3])
    assert stated_size(path) > len(content) * 2 // 3


@pytest.mark.parametrize("name", ["v.ts", "v.flv", "v.h264"])
def test_stated_size_unknown(tmp_path, name):
    assert stated_size(write_numbered_video(tmp_path / name, count=10)) is None


def test_stated_size_of_a_live_recording_is_unknown(tmp_path):
    path = write_numbered_video(tmp_path / "v.mkv", count=10, muxing={"live": "1"})

    assert stated_size(path) is None


def test_lacks_mp4_index(tmp_path):
    path = write_numbered_video(tmp_path / "v.mp4")

    assert not lacks_mp4_index(path)
    path.write_bytes(path.read_bytes()[:3000])
    assert lacks_mp4_index(path)
    assert not lacks_mp4_index(write_numbered_video(tmp_path / "v.mkv", count=4))
