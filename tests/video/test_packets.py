"""Time stamps that restart in a joined transport stream."""

import numpy as np
import pytest

from helpers import COUNT, FPS, brightness, write_numbered_video
from milmer_cli.video.decode import AS_STORED
from milmer_cli.video.frames import VideoReader
from milmer_cli.video.packets import scan_packets
from milmer_cli.video.probe import probe_video, video_notes

DURATION_S = COUNT / FPS


def join(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def part(folder, name, first_ms=0, counts=range(COUNT), **options):
    """A transport stream; its first time stamp is ``first_ms``."""
    stamps = [first_ms + round(1000 * number / FPS) for number in counts]
    return write_numbered_video(folder / name, stamps, count=len(stamps), **options)


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_scan_packets_single_recording(tmp_path, suffix):
    codec = "libx264" if suffix == ".ts" else "mpeg1video"
    path = write_numbered_video(tmp_path / f"v{suffix}", codec=codec)

    packets = scan_packets(path, AS_STORED)

    assert (packets.count, packets.restarts_s) == (COUNT, ())
    assert packets.duration_s == pytest.approx(DURATION_S, abs=0.03)
    assert video_notes(path) == []


@pytest.mark.parametrize(
    ("first_ms", "second_ms"),
    # back; far back, which FFmpeg takes for an overflow of the 33-bit counter; far ahead
    [(20_000, 0), (20_000, 1400), (700_000, 0), (20_000, 700_000)],
)
def test_joined_file_continues_without_a_gap(tmp_path, first_ms, second_ms):
    first = part(tmp_path, "a.ts", first_ms)
    path = join(tmp_path / "v.ts", first, part(tmp_path, "b.ts", second_ms), first)
    times = (np.arange(3 * COUNT) + 0.5) / FPS

    video = VideoReader(path)
    frames = list(video.frames_at(times))

    assert video.duration_s == pytest.approx(3 * DURATION_S, abs=1e-3)
    np.testing.assert_allclose(video.restarts_s, [DURATION_S, 2 * DURATION_S], atol=1e-3)
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(3 * COUNT) / FPS, atol=1e-3)
    expected = [brightness(number) for number in [*range(COUNT)] * 3]
    np.testing.assert_allclose([f.image.mean() for f in frames], expected, atol=6)


def test_joined_file_late_times_are_read_from_the_start(tmp_path):
    first = part(tmp_path, "a.ts", counts=range(600), g="25")
    path = join(tmp_path / "v.ts", first, first, first)
    times = 30 + (np.arange(20) + 0.5) / FPS

    frames = list(VideoReader(path).frames_at(times))

    expected = [brightness(300 + number) for number in range(20)]
    np.testing.assert_allclose([f.image.mean() for f in frames], expected, atol=6)


def test_joined_file_keeps_a_variable_frame_rate_within_its_parts(tmp_path):
    slow = [*range(0, COUNT, 5), COUNT]  # a frame every 0.1 s
    path = join(tmp_path / "v.ts", part(tmp_path, "a.ts"), part(tmp_path, "b.ts", counts=slow))

    frames = list(VideoReader(path).frames_at(np.array([DURATION_S + 1.05, DURATION_S + 2.05])))

    np.testing.assert_allclose([f.time_s - DURATION_S for f in frames], [1.0, 2.0], atol=1e-3)
    expected = [brightness(10), brightness(20)]
    np.testing.assert_allclose([f.image.mean() for f in frames], expected, atol=6)


def test_transport_stream_keeps_a_gap_in_a_single_recording(tmp_path):
    counts = [*range(100), *range(300, 350)]  # 4 s are lost
    path = part(tmp_path, "v.ts", counts=counts)

    frames = list(VideoReader(path).frames_at(np.array([1.99, 6.01])))

    np.testing.assert_allclose([f.time_s for f in frames], [1.98, 6.0], atol=1e-3)
    assert VideoReader(path).restarts_s == ()


@pytest.mark.parametrize("wrong_s", [0.5, 7.0, 60.0])
def test_transport_stream_ignores_a_single_wrong_time_stamp(tmp_path, wrong_s):
    path = part(tmp_path, "v.ts", 2000, bf="0")
    content = bytearray(path.read_bytes())
    header = b"\x00\x00\x01\xe0"  # of a packet with a frame; its time stamp has 5 bytes
    start = content.index(header)
    for _ in range(80):
        start = content.index(header, start + 1)
    ticks = round(wrong_s * 90_000)
    content[start + 9 : start + 14] = bytes(
        [
            0x21 | (ticks >> 29 & 0x0E),
            ticks >> 22 & 0xFF,
            ticks >> 14 & 0xFE | 1,
            ticks >> 7 & 0xFF,
            ticks << 1 & 0xFE | 1,
        ]
    )
    path.write_bytes(content)
    times = (np.arange(COUNT) + 0.5) / FPS

    video = VideoReader(path)
    frames = list(video.frames_at(times))

    assert video.restarts_s == ()
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(COUNT) / FPS, atol=1e-3)
    expected = [brightness(number) for number in range(COUNT)]
    np.testing.assert_allclose([f.image.mean() for f in frames], expected, atol=6)


def test_joined_file_is_noted(tmp_path):
    first = part(tmp_path, "a.ts")
    path = join(tmp_path / "v.ts", first, first)

    probe = probe_video(path)

    assert "restart at 3.0 s" in " ".join(probe.notes)
    assert probe.incomplete == ""
    assert probe.duration_s == pytest.approx(6.0, abs=1e-3)
