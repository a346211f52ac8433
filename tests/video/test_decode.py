"""Which files are opened, and which of their streams is read."""

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from helpers import FPS, SIZE, brightness, write_numbered_video
from milmer_cli.errors import InputError
from milmer_cli.video.decode import VideoOptions, open_container
from milmer_cli.video.frames import VideoReader
from milmer_cli.video.probe import probe_video, video_notes


def write_streams(path, levels, count=10, attached=()):
    """Write one stream per brightness; ``attached`` are the indices of attached pictures."""
    with av.open(str(path), "w") as container:
        streams = []
        for index in range(len(levels)):
            codec = "mjpeg" if index in attached else "libx264"
            stream = container.add_stream(codec, rate=FPS)
            stream.width, stream.height = SIZE
            stream.pix_fmt = "yuvj420p" if index in attached else "yuv420p"
            if index in attached:
                stream.disposition = Disposition.attached_pic
            streams.append(stream)
        for number in range(count):
            for index, (stream, level) in enumerate(zip(streams, levels, strict=True)):
                if number and index in attached:
                    continue
                image = np.full((SIZE[1], SIZE[0], 3), level, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


def mean_brightness(path, options=VideoOptions(), time_s=0.0):  # noqa: B008
    (frame,) = VideoReader(path, options).frames_at(np.array([time_s]))
    return frame.image.mean()


@pytest.mark.parametrize(
    "name",
    ["12:30:05.mp4", "-v.mp4", "http:face.mp4", "concat:a|b.mp4", "pipe:0.mp4", "ä b%03d.mp4"],
)
def test_video_reader_opens_any_file_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_numbered_video(tmp_path / name, count=4)

    assert mean_brightness(type(tmp_path)(name), time_s=0.05) == pytest.approx(brightness(2), abs=6)


@pytest.mark.parametrize("suffix", [".m3u8", ".mp4", ".mpd", ".sdp"])
@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{video}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {video}\n",
        '<?xml version="1.0"?>\n<MPD><BaseURL>{video}</BaseURL></MPD>',
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    ],
)
@pytest.mark.parametrize("video", ["http://127.0.0.1:9/v.ts", "v.ts"])
def test_open_container_rejects_playlists(tmp_path, monkeypatch, suffix, content, video):
    monkeypatch.setattr("milmer_cli.video.decode.av.open", lambda *_, **__: pytest.fail("opened"))
    path = tmp_path / f"list{suffix}"
    path.write_text(content.format(video=video))

    with pytest.raises(InputError, match="is a playlist"):
        open_container(path)


def test_open_container_follows_no_reference_to_the_network(tmp_path):
    # FFmpeg reads this, too, as a list of files, although its start looks like no known playlist
    path = tmp_path / "v.mp4"
    path.write_text("#comment\nffconcat version 1.0\nfile http://127.0.0.1:9/v.mp4\n")

    with pytest.raises(InputError):
        open_container(path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", r"is empty \(0 bytes\)"), (b"x" * 99, "cannot be opened")]
)
def test_open_container_file_without_content(tmp_path, content, message):
    path = tmp_path / "v.mp4"
    path.write_bytes(content)

    with pytest.raises(InputError, match=message):
        open_container(path)


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "libx264"), ("v.3gp", "mpeg4")])
@pytest.mark.parametrize("muxing", [{}, {"movflags": "faststart"}])
def test_probe_video_cut_inside_the_index_names_the_cause(tmp_path, name, codec, muxing):
    path = write_numbered_video(tmp_path / name, codec=codec, muxing=muxing)
    content = path.read_bytes()
    start = content.index(b"moov") - 4
    length = int.from_bytes(content[start : start + 4], "big")

    # without streams, without the format of the stream, without the positions of the frames
    for stop in range(start + 6, start + length * 9 // 10, 60):
        path.write_bytes(content[:stop])
        with pytest.raises(InputError, match=r"index \(moov\) is missing or incomplete"):
            probe_video(path)


def test_open_container_format_without_a_decoder(tmp_path):
    path = write_numbered_video(tmp_path / "v.mov")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))

    with pytest.raises(InputError, match="a video stream in a format without a decoder"):
        open_container(path)


def test_open_container_image_or_sound(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "face.png")
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), layout="mono")
        frame.rate = 8000
        container.mux([*stream.encode(frame), *stream.encode()])

    with pytest.raises(InputError, match="contains an image"):
        open_container(tmp_path / "face.png")
    with pytest.raises(InputError, match="contains only audio"):
        open_container(tmp_path / "sound.mkv")


def test_video_reader_selects_a_stream(tmp_path):
    path = write_streams(tmp_path / "v.mkv", [40, 200])

    assert mean_brightness(path) == pytest.approx(40, abs=6)
    assert mean_brightness(path, VideoOptions(stream=2), 0.1) == pytest.approx(200, abs=6)
    with pytest.raises(InputError, match=r"no video stream 3.*1 \(h264, 96x64\), 2 \(h264, 96x64"):
        VideoReader(path, VideoOptions(stream=3))
    assert "2 (h264, 96x64)" in video_notes(path)[0]
    assert video_notes(path, VideoOptions(stream=1)) == []


def test_video_reader_ignores_an_attached_picture(tmp_path):
    path = write_streams(tmp_path / "v.mp4", [200, 40], attached=[0])
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2

    assert mean_brightness(path, time_s=0.1) == pytest.approx(40, abs=6)
    assert video_notes(path) == []


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("v.h264", "libx264", {"bf": "3"}),
        ("v.mjpeg", "mjpeg", {"pix_fmt": "yuvj420p", "container_format": "mjpeg"}),
        ("v.m1v", "mpeg1video", {"bf": "2"}),
    ],
)
@pytest.mark.parametrize("fps", [50.0, 29.97])
def test_video_reader_raw_stream_uses_the_stated_frame_rate(tmp_path, name, codec, options, fps):
    path = write_numbered_video(tmp_path / name, codec=codec, **options)
    times = (np.arange(150) + 0.5) / fps

    with pytest.raises(InputError, match=r"no time stamps.*--video-fps"):
        VideoReader(path)
    frames = list(VideoReader(path, VideoOptions(fps=fps)).frames_at(times))

    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(150) / fps)
    shown = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(shown, [brightness(i) for i in range(150)], atol=8)


def test_video_reader_rejects_a_frame_rate_beside_time_stamps(tmp_path):
    path = write_numbered_video(tmp_path / "v.mp4", count=4)

    with pytest.raises(InputError, match="has time stamps"):
        VideoReader(path, VideoOptions(fps=25.0))
