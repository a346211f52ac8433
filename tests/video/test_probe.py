"""Properties of a video file without decoding all of it."""

import datetime
import re

import av
import numpy as np
import pytest

from helpers import COUNT, FPS, SIZE, write_numbered_video
from milmer_cli.errors import InputError
from milmer_cli.video.probe import (
    measure_duration,
    measure_frame_rate,
    probe_video,
    recording_start,
    video_notes,
)


def test_probe_video_properties(tmp_path):
    probe = probe_video(write_numbered_video(tmp_path / "v.avi"))

    assert (probe.fps, probe.size, probe.codec) == (FPS, SIZE, "h264")
    assert probe.duration_s == pytest.approx(3.0, abs=0.05)
    assert probe.first_decodable
    assert probe.last_decodable


def test_probe_video_truncated_file(tmp_path):
    path = tmp_path / "v.mp4"
    write_numbered_video(path, g="25", bf="0", crf="1", muxing={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    probe = probe_video(path)

    assert probe.first_decodable
    assert not probe.last_decodable


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_probe_video_not_a_video(tmp_path, content):
    path = tmp_path / "v.avi"
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"v\.avi"):
        probe_video(path)


def test_measure_frame_rate_and_duration_count_the_packets(tmp_path):
    stamps_ms = (40 * np.arange(COUNT)).tolist()  # 25 fps under a header that says 50
    path = write_numbered_video(tmp_path / "v.mkv", stamps_ms=stamps_ms)

    assert measure_frame_rate(path) == pytest.approx(25, rel=0.01)
    assert measure_duration(path) == pytest.approx(COUNT / 25, rel=0.01)


@pytest.mark.parametrize(
    ("creation_time", "expected"),
    [
        (
            "2024-05-06T07:08:09+00:00",
            datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC),
        ),
        ("1970-01-01T00:00:00+00:00", None),
        ("", None),
    ],
)
def test_recording_start_from_metadata(tmp_path, creation_time, expected):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        if creation_time:
            container.metadata["creation_time"] = creation_time
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())

    assert recording_start(path) == expected


def incomplete(path):
    return probe_video(path).incomplete


@pytest.mark.parametrize(
    ("name", "codec", "muxing"),
    [
        ("v.mp4", "libx264", {"movflags": "faststart"}),
        ("v.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("v.mkv", "libx264", {}),
        ("v.webm", "libvpx", {}),
        ("v.avi", "mpeg4", {}),
        ("v.flv", "libx264", {}),
    ],
)
def test_probe_video_reports_a_partly_copied_file(tmp_path, name, codec, muxing):
    options = {"crf": "1"} if codec == "libx264" else {"b": "2000000"}
    path = write_numbered_video(tmp_path / name, codec=codec, g="25", muxing=muxing, **options)
    content = path.read_bytes()

    assert incomplete(path) == ""
    start = content.rindex(b"mdat") if "faststart" in muxing.values() else 0
    path.write_bytes(content[: (start + len(content)) // 2])
    assert "is incomplete" in incomplete(path)
    if name != "v.flv":  # it does not state its size
        assert re.search(r"about the first (0\.[5-9]|1\.\d) s", incomplete(path))


def test_probe_video_slightly_wrong_size_is_complete(tmp_path):
    path = write_numbered_video(tmp_path / "v.avi", codec="mpeg4", b="2000000")
    content = bytearray(path.read_bytes())
    content[4:8] = (len(content) + 100).to_bytes(4, "little")
    path.write_bytes(content)

    assert incomplete(path) == ""


def test_probe_video_reports_a_file_whose_end_was_reserved_only(tmp_path):
    # programs that download in pieces reserve the whole file, filled with zeros, first
    path = tmp_path / "v.mp4"
    write_numbered_video(path, g="25", bf="0", crf="1", muxing={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))

    assert "cannot be decoded" in incomplete(path)


def test_probe_video_mp4_without_index_names_the_cause(tmp_path):
    path = write_numbered_video(tmp_path / "v.mp4")
    path.write_bytes(path.read_bytes()[:3000])

    with pytest.raises(InputError, match="partly copied or downloaded"):
        probe_video(path)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_probe_video_still_picture_at_the_end_is_complete(tmp_path, name):
    stamps_ms = [*range(0, 1000, 20), 9000]  # the last but one frame lasts 8 s
    path = write_numbered_video(tmp_path / name, stamps_ms, count=len(stamps_ms))

    assert incomplete(path) == ""


def test_probe_video_long_last_frame_is_complete(tmp_path):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for _ in range(10)]
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        packets[-1].duration = round(8 / packets[-1].time_base)
        container.mux(packets)

    probe = probe_video(path)

    assert probe.duration_s == pytest.approx(8.18, abs=0.01)
    assert probe.incomplete == ""


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    # the last key frame is at least 3.5 s before the end
    [
        ("v.ts", "libx264", {"sc_threshold": "0"}),
        ("v.m2ts", "libx264", {"sc_threshold": "0", "g": "500", "bf": "0"}),
        ("v.ts", "libx264", {"x264-params": "intra-refresh=1:keyint=500:scenecut=0"}),
        ("v.ts", "libx265", {"x265-params": "log-level=0:scenecut=0"}),
        ("v.m2ts", "mpeg2video", {"g": "250", "sc_threshold": "1000000000"}),
    ],
)
def test_probe_video_distant_key_frames_are_complete(tmp_path, name, codec, options):
    path = write_numbered_video(tmp_path / name, codec=codec, count=425, **options)

    assert incomplete(path) == ""
    assert probe_video(path).last_decodable


def test_probe_video_damage_after_distant_key_frames_is_reported(tmp_path):
    path = write_numbered_video(tmp_path / "v.ts", g="100", bf="0", count=300, sc_threshold="0")
    with av.open(str(path)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for start in range(positions[230], len(content), 188):  # each ends with the frame
        content[start + 164 : start + 188] = b"\xff" * 24
    path.write_bytes(content)

    assert "cannot be decoded" in incomplete(path)


@pytest.mark.parametrize("name", ["v.mkv", "v.flv", "v.avi", "v.mp4"])
def test_probe_video_longer_sound_is_complete(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        track = container.add_stream("aac" if name != "v.avi" else "mp3", rate=44100)
        for _ in range(50):
            image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
        for first in range(0, 44100 * 8, 1152):
            sound = av.AudioFrame.from_ndarray(
                np.zeros((1, 1152), np.float32), format="fltp", layout="mono"
            )
            sound.rate, sound.pts = 44100, first
            container.mux(track.encode(sound))
        container.mux(track.encode())

    assert incomplete(path) == ""
    if name != "v.flv":  # it states one duration for all streams
        assert probe_video(path).duration_s == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG"), (1, "")])
def test_video_notes_hdr(tmp_path, transfer, name):
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=FPS, options={"x265-params": "log-level=0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p10le"
        stream.codec_context.color_trc = transfer
        stream.codec_context.color_primaries = stream.codec_context.colorspace = 9
        image = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())

    assert [f"HDR video ({name})" in note for note in video_notes(path)] == [True] * bool(name)
