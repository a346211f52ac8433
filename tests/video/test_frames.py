"""Each frame has its own brightness, which shows whether the right frame is rerotated."""

import av
import numpy as np
import pytest

from helpers import COUNT, FPS, SIZE, brightness, write_numbered_video
from milmer_cli.errors import InputError
from milmer_cli.video.frames import (
    AFTER_END,
    BEFORE_START,
    UNDECODABLE,
    VideoReader,
)


def read(path, times):
    """(index, timestamp, mean brightness) of each frame."""
    return [
        (frame.index, frame.time_s, frame.image.mean())
        for frame in VideoReader(path).frames_at(times)
    ]


def assert_frames(frames, times, numbers, timestamps):
    assert [index for index, _, _ in frames] == list(range(len(times)))
    np.testing.assert_allclose([time_s for _, time_s, _ in frames], timestamps, atol=1e-3)
    expected = [brightness(number) for number in numbers]
    np.testing.assert_allclose([mean for _, _, mean in frames], expected, atol=6)


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
def test_frames_at_returns_each_frame_at_its_own_time(tmp_path, name, codec, options):
    path = write_numbered_video(tmp_path / name, codec=codec, **options)
    middle = (np.arange(COUNT) + 0.5) / FPS

    assert_frames(read(path, middle), middle, range(COUNT), np.arange(COUNT) / FPS)


def test_frames_at_shows_a_frame_until_the_next_timestamp(tmp_path):
    path = write_numbered_video(tmp_path / "v.avi")
    times = np.array([0.0, 0.0199, 0.02, 0.0201, 1.0, 1.0, 2.98])

    assert_frames(
        read(path, times), times, [0, 1, 1, 1, 50, 50, 149], [0, 0.02, 0.02, 0.02, 1, 1, 2.98]
    )


def test_frames_at_variable_frame_rate(tmp_path):
    steps = np.random.default_rng(0).choice([20, 33, 40, 120, 400], COUNT)
    stamps = np.concatenate([[0], np.cumsum(steps)[:-1]])
    path = write_numbered_video(tmp_path / "v.mkv", stamps_ms=stamps.tolist())
    times = np.arange(0.05, stamps[-1] / 1000, 0.11)
    numbers = np.searchsorted(stamps / 1000, times + 1e-3, side="right") - 1

    assert_frames(read(path, times), times, numbers, stamps[numbers] / 1000)


def test_frames_at_counts_from_the_first_frame(tmp_path):
    stamps = 5000 + 20 * np.arange(COUNT)
    path = write_numbered_video(tmp_path / "v.mkv", stamps_ms=stamps.tolist())

    assert_frames(read(path, np.array([1.01])), [0], [50], [1.0])


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.ts"])
@pytest.mark.parametrize("start_ms", [0, 5000])
def test_video_reader_duration_counts_from_the_first_frame(tmp_path, name, start_ms):
    stamps = start_ms + 20 * np.arange(COUNT)
    video = VideoReader(write_numbered_video(tmp_path / name, stamps_ms=stamps.tolist()))

    (last, after) = video.frames_at(np.array([2.99, 3.01]))

    assert video.duration_s == pytest.approx(3.0, abs=0.021)
    assert video.last_frame_decodes()
    assert last.image.mean() == pytest.approx(brightness(COUNT - 1), abs=6)
    assert after.reason == AFTER_END


def test_frames_at_seeking_returns_the_same_frames(tmp_path, monkeypatch):
    path = write_numbered_video(tmp_path / "v.mp4", count=1500, g="120", bf="3")
    times = np.arange(24.003, 26, 0.1)
    sought = read(path, times)

    monkeypatch.setattr("milmer_cli.video.frames._SEEK_AFTER_S", np.inf)
    assert sought == read(path, times)
    numbers = np.floor((times + 1e-3) * FPS).astype(int)
    assert_frames(sought, times, numbers, numbers / FPS)


def test_frames_at_outside_the_video_gives_the_reason(tmp_path):
    video = VideoReader(write_numbered_video(tmp_path / "v.mp4"))

    frames = list(video.frames_at(np.array([-0.5, 0.0, 2.99, 3.01, 9.0])))

    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.reason for frame in frames] == [BEFORE_START, "", "", AFTER_END, AFTER_END]
    assert [frame.image is None for frame in frames] == [True, False, False, True, True]


def test_frames_at_truncated_file_returns_the_frames_before(tmp_path):
    path = write_numbered_video(
        tmp_path / "v.mp4", g="25", bf="0", crf="1", muxing={"movflags": "faststart"}
    )
    whole = path.read_bytes()
    data = whole.rindex(b"mdat")
    cut = data + (len(whole) - data) * 6 // 10
    path.write_bytes(whole[:cut])
    middle = (np.arange(COUNT) + 0.5) / FPS

    frames = list(VideoReader(path).frames_at(middle))
    good = [frame for frame in frames if frame.image is not None]

    assert 0.4 * COUNT < len(good) < 0.75 * COUNT
    for frame in good:
        assert frame.image.mean() == pytest.approx(brightness(frame.index), abs=6)
        assert frame.time_s == pytest.approx(frame.index / FPS, abs=1e-3)
    assert {frame.reason for frame in frames[len(good) :]} == {UNDECODABLE}


@pytest.mark.parametrize("closed", [True, False])
def test_frames_at_truncated_mxf_without_its_index(tmp_path, monkeypatch, closed):
    monkeypatch.setattr("milmer_cli.video.frames._SEEK_AFTER_S", 1.0)
    path = write_numbered_video(tmp_path / "v.mxf", codec="mpeg2video", count=400, g="5")
    content = path.read_bytes()[: path.stat().st_size * 7 // 10]
    path.write_bytes(content if closed else content[:44] + bytes(8) + content[52:])
    video = VideoReader(path)

    for first in range(60, 200, 46):
        times = (first + 0.5 + np.arange(3)) / FPS
        numbers = first + np.arange(3)
        assert_frames(read(path, times), times, numbers, numbers / FPS)
    assert not video.last_frame_decodes()


def test_frames_at_damage_loses_frames_until_the_next_key_frame(tmp_path):
    path = write_numbered_video(tmp_path / "v.mp4", g="25", bf="0", crf="1", sc_threshold="0")
    with av.open(str(path)) as container:
        packets = [(p.pts, p.pos, p.size) for p in container.demux(video=0) if p.size]
    hurt = packets[60]
    content = bytearray(path.read_bytes())
    content[hurt[1] + 4 : hurt[1] + hurt[2]] = b"\xff" * (hurt[2] - 4)
    path.write_bytes(content)

    frames = list(VideoReader(path).frames_at((np.arange(COUNT) + 0.5) / FPS))

    lost = [frame.index for frame in frames if frame.image is None]
    assert lost == list(range(60, 75))
    for frame in frames:
        if frame.image is not None:
            assert frame.image.mean() == pytest.approx(brightness(frame.index), abs=6)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_video_reader_not_a_video(tmp_path, content):
    path = tmp_path / "v.avi"
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"v\.avi") as caught:
        VideoReader(path)
    assert "\n" not in str(caught.value)


def test_video_reader_mp4_without_index(tmp_path):
    path = write_numbered_video(tmp_path / "v.mp4")
    path.write_bytes(path.read_bytes()[:3000])

    with pytest.raises(InputError, match="cannot be opened"):
        VideoReader(path)


@pytest.mark.parametrize(
    ("matrix", "bright"),
    [
        # where the white left half is shown; the matrix (a, b, c, d) maps (x, y) to
        # (a x + c y, b x + d y): phones store rotations, and front cameras mirror images as well
        ((0, 1, -1, 0), "top"),
        ((0, -1, 1, 0), "bottom"),
        ((-1, 0, 0, -1), "right"),
        ((-1, 0, 0, 1), "right"),
        ((1, 0, 0, -1), "left"),
        ((0, 1, 1, 0), "top"),
        ((0, -1, -1, 0), "bottom"),
    ],
)
def test_video_reader_rotated_or_mirrored_video_is_upright(tmp_path, matrix, bright):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        image = np.zeros((64, 96, 3), np.uint8)
        image[:, :48] = 255  # white on the left
        image[:8, :8] = 120  # gray in the top left corner
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    start = content.index((0x00010000).to_bytes(4, "big"), content.index(b"tkhd") + 40)
    a, b, c, d = ((value * 2**16 % 2**32).to_bytes(4, "big") for value in matrix)
    stored = a + b + bytes(4) + c + d
    path.write_bytes(content[:start] + stored + content[start + len(stored) :])

    reader = VideoReader(path)
    (frame,) = reader.frames_at(np.array([0.0]))
    shown = frame.image

    height, width = shown.shape[:2]
    assert reader.size == (width, height) == ((64, 96) if matrix[0] == 0 else (96, 64))
    halves = {
        "left": shown[:, : width // 2 - 4],
        "right": shown[:, width // 2 + 4 :],
        "top": shown[: height // 2 - 4],
        "bottom": shown[height // 2 + 4 :],
    }
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[bright]
    assert halves[bright].mean() > 200
    assert halves[opposite].max() < 50
    # the corner shows whether the image is mirrored as well
    x, y = np.array([[matrix[0], matrix[2]], [matrix[1], matrix[3]]]) @ [-1, -1]
    corner = shown[-4 if y > 0 else 3, -4 if x > 0 else 3]
    np.testing.assert_allclose(corner, 120, atol=25)


def test_frames_at_edit_list_starts_at_the_first_shown_frame(tmp_path):
    path = write_numbered_video(tmp_path / "v.mp4", bf="0", g="25")
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12  # after the type, the version and the count
    content[entry : entry + 4] = (2800).to_bytes(4, "big")  # duration in milliseconds
    content[entry + 4 : entry + 8] = (10 * 256).to_bytes(4, "big")  # the first 10 frames are cut
    path.write_bytes(content)
    times = (np.arange(COUNT - 10) + 0.5) / FPS

    assert_frames(read(path, times), times, range(10, COUNT), np.arange(COUNT - 10) / FPS)


@pytest.mark.parametrize(
    ("name", "start_ms", "first"),
    # frames before time 0 are not shown, as in a player
    [("v.mov", -500, 25), ("v.mp4", -500, 25), ("v.mp4", 700, 0)],
)
def test_frames_at_stored_start_time(tmp_path, name, start_ms, first):
    stamps = (start_ms + 20 * np.arange(COUNT)).tolist()
    path = write_numbered_video(
        tmp_path / name, stamps, muxing={"avoid_negative_ts": "disabled"}, bf="0"
    )
    times = (np.arange(COUNT - first) + 0.5) / FPS

    assert_frames(read(path, times), times, range(first, COUNT), np.arange(COUNT - first) / FPS)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("ffv1", "gray"),
        ("ffv1", "gray10le"),
        ("ffv1", "gray16le"),
        ("ffv1", "yuv420p10le"),
        ("ffv1", "yuv444p16le"),
        ("png", "rgb24"),
        ("png", "rgb48be"),
        ("png", "ya8"),
        ("ffv1", "bgra"),
        ("libx264", "yuv420p10le"),
        ("libx264", "yuvj420p"),
        ("mjpeg", "yuvj422p"),
    ],
)
def test_frames_at_pixel_formats(tmp_path, codec, pix_fmt):
    name = "v.mov" if codec == "png" else "v.mkv"
    path = write_numbered_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt, count=50)
    times = (np.arange(50) + 0.5) / FPS

    assert_frames(read(path, times), times, range(50), np.arange(50) / FPS)


@pytest.mark.parametrize(
    ("colorspace", "red"), [(1, (63, 102, 240)), (5, (81, 90, 240)), (6, (81, 90, 240))]
)
def test_frames_at_color_matrix_of_the_stream(tmp_path, colorspace, red):
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv444p"
        stream.codec_context.colorspace = colorspace
        frame = av.VideoFrame(*SIZE, "yuv444p")
        for plane, value in zip(frame.planes, red, strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.colorspace, frame.pts = colorspace, 0
        container.mux([*stream.encode(frame), *stream.encode()])

    (frame,) = VideoReader(path).frames_at(np.array([0.0]))

    np.testing.assert_allclose(frame.image[10, 10], [255, 0, 0], atol=3)


def test_frames_at_interlaced_video(tmp_path):
    path = write_numbered_video(tmp_path / "v.mkv", flags="+ildct+ilme", **{"x264-params": "tff=1"})
    times = (np.arange(COUNT) + 0.5) / FPS

    assert_frames(read(path, times), times, range(COUNT), np.arange(COUNT) / FPS)


def test_frames_at_very_large_frame(tmp_path):
    path = tmp_path / "v.mkv"
    image = np.zeros((1088, 8192, 3), np.uint8)
    image[:, 4096:] = 200
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 8192, 1088, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())

    (frame,) = VideoReader(path).frames_at(np.array([0.0]))

    assert frame.image.shape == image.shape
    assert frame.image[:, 4200:].mean() == pytest.approx(200, abs=3)
    assert frame.image[:, :4000].mean() == pytest.approx(0, abs=3)
