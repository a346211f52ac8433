"""Frames that carry their number in their brightness: the right one at the right time, or none."""

from fractions import Fraction

import av
import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.probe import probe_video
from milmer_cli.recordings.video import (
    AFTER,
    BEFORE,
    UNDECODABLE,
    Video,
    frames_at,
    instance_times,
)

FPS = 50
COUNT = 150
SIZE = (96, 64)


def grey(number):
    """Brightness of a frame: neighbours differ by far more than coding noise; none repeats soon."""
    return 20 + (number * 37) % 210


def write(path, stamps_ms=None, codec="libx264", count=COUNT, muxing=None, **options):
    """A video; with ``stamps_ms`` of a variable frame rate."""
    with av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        if stamps_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            picture = np.full((SIZE[1], SIZE[0], 3), grey(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if stamps_ms is None:
                frame.pts, frame.time_base = number, Fraction(1, FPS)
            else:
                frame.pts, frame.time_base = stamps_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path, times):
    return [(index, stamp, image.mean()) for index, stamp, image in frames_at(path, times)]


def assert_shows(seen, times, numbers, stamps):
    assert [index for index, _, _ in seen] == list(range(len(times)))
    np.testing.assert_allclose([stamp for _, stamp, _ in seen], stamps, atol=1e-3)
    np.testing.assert_allclose([mean for _, _, mean in seen], [grey(n) for n in numbers], atol=6)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("b-frames.avi", "libx264", {"bf": "3"}),
        ("no-b-frames.avi", "libx264", {"bf": "0"}),
        ("b-frames.mp4", "libx264", {"bf": "3"}),
        ("b-frames.mkv", "libx264", {"bf": "3"}),
        ("mpeg4.avi", "mpeg4", {"b": "3000000"}),
    ],
)
def test_every_frame_is_found_at_its_own_time(tmp_path, name, codec, options):
    path = write(tmp_path / name, codec=codec, **options)
    middle = (np.arange(COUNT) + 0.5) / FPS

    assert_shows(read(path, middle), middle, range(COUNT), np.arange(COUNT) / FPS)


def test_a_frame_is_shown_from_its_stamp_until_the_next(tmp_path):
    path = write(tmp_path / "v.avi")
    times = np.array([0.0, 0.0199, 0.02, 0.0201, 1.0, 1.0, 2.98])

    assert_shows(
        read(path, times), times, [0, 1, 1, 1, 50, 50, 149], [0, 0.02, 0.02, 0.02, 1, 1, 2.98]
    )


def test_a_variable_frame_rate_is_timed_by_the_stamps(tmp_path):
    steps = np.random.default_rng(0).choice([20, 33, 40, 120, 400], COUNT)
    stamps = np.concatenate([[0], np.cumsum(steps)[:-1]])
    path = write(tmp_path / "v.mkv", stamps_ms=stamps.tolist())
    times = np.arange(0.05, stamps[-1] / 1000, 0.11)
    numbers = np.searchsorted(stamps / 1000, times + 1e-3, side="right") - 1

    assert_shows(read(path, times), times, numbers, stamps[numbers] / 1000)


def test_stamps_count_from_the_first_frame(tmp_path):
    stamps = 5000 + 20 * np.arange(COUNT)
    path = write(tmp_path / "v.mkv", stamps_ms=stamps.tolist())

    assert_shows(read(path, np.array([1.01])), [0], [50], [1.0])


def test_an_onset_far_in_gives_the_frames_of_the_long_way(tmp_path, monkeypatch):
    path = write(tmp_path / "v.mp4", count=1500, g="120", bf="3")
    times = np.arange(24.003, 26, 0.1)
    jumped = read(path, times)

    monkeypatch.setattr("milmer_cli.recordings.video._SEEK_AFTER_S", np.inf)
    assert jumped == read(path, times)
    numbers = np.floor((times + 1e-3) * FPS).astype(int)
    assert_shows(jumped, times, numbers, numbers / FPS)


def test_times_outside_the_video_have_no_frame_and_say_why(tmp_path):
    video = Video(write(tmp_path / "v.mp4"))

    samples = list(video.samples_at(np.array([-0.5, 0.0, 2.99, 3.01, 9.0])))

    assert [sample.index for sample in samples] == [0, 1, 2, 3, 4]
    assert [sample.reason for sample in samples] == [BEFORE, "", "", AFTER, AFTER]
    assert [sample.image is None for sample in samples] == [True, False, False, True, True]


def test_a_broken_tail_keeps_the_frames_before_it(tmp_path):
    path = write(tmp_path / "v.mp4", g="25", bf="0", crf="1", muxing={"movflags": "faststart"})
    whole = path.read_bytes()
    data = whole.rindex(b"mdat")
    cut = data + (len(whole) - data) * 6 // 10
    path.write_bytes(whole[:cut])
    middle = (np.arange(COUNT) + 0.5) / FPS

    samples = list(Video(path).samples_at(middle))
    good = [sample for sample in samples if sample.image is not None]

    assert 0.4 * COUNT < len(good) < 0.75 * COUNT
    for sample in good:
        assert sample.image.mean() == pytest.approx(grey(sample.index), abs=6)
        assert sample.time_s == pytest.approx(sample.index / FPS, abs=1e-3)
    assert {sample.reason for sample in samples[len(good) :]} == {UNDECODABLE}


def test_damage_in_the_middle_costs_frames_until_the_next_key_frame_only(tmp_path):
    path = write(tmp_path / "v.mp4", g="25", bf="0", crf="1", sc_threshold="0")
    with av.open(str(path)) as container:
        packets = [(p.pts, p.pos, p.size) for p in container.demux(video=0) if p.size]
    hurt = packets[60]
    content = bytearray(path.read_bytes())
    content[hurt[1] + 4 : hurt[1] + hurt[2]] = b"\xff" * (hurt[2] - 4)
    path.write_bytes(content)

    samples = list(Video(path).samples_at((np.arange(COUNT) + 0.5) / FPS))

    lost = [sample.index for sample in samples if sample.image is None]
    assert lost == list(range(60, 75))
    for sample in samples:
        if sample.image is not None:
            assert sample.image.mean() == pytest.approx(grey(sample.index), abs=6)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "v.avi"
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"v\.avi") as caught:
        next(frames_at(path, np.array([0.0])))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"v\.avi"):
        probe_video(path)


def test_a_truncated_mp4_is_refused(tmp_path):
    path = write(tmp_path / "v.mp4")
    path.write_bytes(path.read_bytes()[:3000])

    with pytest.raises(InputError, match="cannot be opened"):
        Video(path)


def test_a_turned_phone_video_comes_upright(tmp_path):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        picture = np.zeros((64, 96, 3), np.uint8)
        picture[:, :48] = 255  # white on the left
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    matrix = content.index((0x00010000).to_bytes(4, "big"), content.index(b"tkhd") + 40)
    one, none, minus = ((value % 2**32).to_bytes(4, "big") for value in (1 << 16, 0, -(1 << 16)))
    # "Show it turned a quarter clockwise", as phones write it: (x, y) goes to (-y, x).
    turned = none + one + none + minus + none + none
    path.write_bytes(content[:matrix] + turned + content[matrix + len(turned) :])

    _, _, image = next(frames_at(path, np.array([0.0])))

    assert Video(path).size == (64, 96)
    assert image.shape == (96, 64, 3)
    assert image[:44].min() > 200  # the left side is on top now
    assert image[52:].max() < 50


def test_probing_tells_the_facts(tmp_path):
    probe = probe_video(write(tmp_path / "v.avi"))

    assert (probe.fps, probe.size, probe.codec) == (FPS, SIZE, "h264")
    assert probe.duration_s == pytest.approx(3.0, abs=0.05)
    assert probe.first_decodable
    assert probe.last_decodable


def test_probing_sees_a_tail_that_does_not_decode(tmp_path):
    path = write(tmp_path / "v.mp4", g="25", bf="0", crf="1", muxing={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    probe = probe_video(path)

    assert probe.first_decodable
    assert not probe.last_decodable


def test_instance_times_are_the_middles_of_equal_slices():
    np.testing.assert_allclose(instance_times(2, 3.0, 3), [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]])
