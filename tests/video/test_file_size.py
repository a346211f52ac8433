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


@pytest.mark.parametrize("name", ["v.wmv", "v.asf"])
def test_stated_size_of_asf(tmp_path, name):
    codec = {"v.wmv": "wmv2", "v.asf": "mpeg4"}[name]
    path = write_numbered_video(tmp_path / name, codec=codec)
    content = bytearray(path.read_bytes())

    assert stated_size(path) == len(content)
    path.write_bytes(content[: len(content) * 2 // 3])
    assert stated_size(path) == len(content)
    content[30 + 88] |= 1  # a live stream
    path.write_bytes(content)
    assert stated_size(path) is None


@pytest.mark.parametrize("before", [b"", b"run-in" * 1000])
def test_stated_size_of_mxf_includes_the_footer(tmp_path, before):
    path = write_numbered_video(tmp_path / "v.mxf", codec="mpeg2video")
    content = path.read_bytes()
    footer = content.rindex(bytes.fromhex("060e2b34020501010d01020101040400"))

    for end in (len(content), len(content) // 2):
        path.write_bytes(before + content[:end])
        assert stated_size(path) == len(before) + footer
    path.write_bytes(content[:44] + bytes(8) + content[52:])  # the recording never ended
    assert stated_size(path) is None


@pytest.mark.parametrize("name", ["v.ts", "v.flv", "v.h264"])
def test_stated_size_unknown(tmp_path, name):
    assert stated_size(write_numbered_video(tmp_path / name, count=10)) is None


def test_stated_size_of_a_live_recording_is_unknown(tmp_path):
    path = write_numbered_video(tmp_path / "v.mkv", count=10, muxing={"live": "1"})

    assert stated_size(path) is None


@pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.3gp"])
@pytest.mark.parametrize("muxing", [{}, {"movflags": "faststart"}])
def test_lacks_mp4_index(tmp_path, name, muxing):
    codec = "mpeg4" if name == "v.3gp" else "libx264"
    path = write_numbered_video(tmp_path / name, codec=codec, muxing=muxing)
    content = path.read_bytes()
    start = content.index(b"moov") - 4
    end = start + int.from_bytes(content[start : start + 4], "big")

    for stop in range(end, len(content) + 1, 500):
        path.write_bytes(content[:stop])
        assert not lacks_mp4_index(path)
    for stop in [start, start + 4, start + 8, *range(start, end, 100), end - 1]:
        path.write_bytes(content[:stop])
        assert lacks_mp4_index(path)


def test_lacks_mp4_index_other_format(tmp_path):
    assert not lacks_mp4_index(write_numbered_video(tmp_path / "v.mkv", count=4))
