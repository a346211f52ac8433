"""The participant's face at the right place, nobody else's, and no image where there is none."""

import av
import numpy as np
import pytest
from PIL import Image
from skimage import data

from milmer_cli.errors import InputError
from milmer_cli.recordings.alignment import crop_level, eye_tilt
from milmer_cli.recordings.boxes import Box
from milmer_cli.recordings.detectors import FaceFinder
from milmer_cli.recordings.faces import crop, find_faces, iter_faces, no_faces
from milmer_cli.recordings.tracking import FaceTracks
from milmer_cli.recordings.trial import VideoSpan
from milmer_cli.recordings.video import instance_times
from milmer_cli.settings.schema import FacesSettings

SETTINGS = FacesSettings(detector="dlib", size=64)
FPS = 10
FACE = data.astronaut()[0:280, 90:370]  # eyes at about a third of its height


def film(path, seconds, *actors):
    """A 640x480 video; an actor is (when(t) -> bool, left, top, scale) of the astronaut's head."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for number in range(round(seconds * FPS)):
            frame = np.full((480, 640, 3), 90, np.uint8)
            for when, left, top, scale in actors:
                if when(number / FPS):
                    side = round(280 * scale)
                    head = np.asarray(Image.fromarray(FACE).resize((side, side)))
                    frame[top : top + side, left : left + side] = head
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return VideoSpan(path)


@pytest.fixture(scope="module")
def finder():
    return FaceFinder(SETTINGS)


def test_the_astronaut_is_found_where_her_face_is(finder):
    [box] = finder.find(data.astronaut())

    # Eyes, nose and mouth lie within x 175-265, y 75-190 of the well-known picture.
    assert 150 < box.left < 185
    assert 255 < box.right < 290
    assert 55 < box.top < 90
    assert 165 < box.bottom < 200
    assert np.isnan(box.score)  # dlib tells none


def test_no_face_no_box(finder):
    assert finder.find(np.full((480, 640, 3), 90, np.uint8)) == []
    assert finder.find(data.coffee()) == []


def test_faces_of_a_video_and_frames_without_one(tmp_path, finder):
    span = film(tmp_path / "v.mp4", 6, (lambda t: t < 3 or t > 4.5, 200, 60, 1.0))
    times = instance_times(2, 3.0, 6)

    bag = find_faces(span, times, SETTINGS, finder)

    there = (times < 3) | (times > 4.5)
    np.testing.assert_array_equal(bag.found, there)
    np.testing.assert_allclose(bag.time, np.floor(times * FPS + 1e-6) / FPS, atol=1e-3)
    assert set(bag.reason[there]) == {""}
    assert set(bag.reason[~there]) == {"no face"}
    assert [image is not None for image in bag.images] == there.ravel().tolist()
    assert np.isnan(bag.box[~there]).all()
    centre = bag.box[there][:, :2] / 2 + bag.box[there][:, 2:] / 2
    assert abs(centre - np.median(centre, axis=0)).max() < 20
    assert abs(np.median(centre, axis=0) - (200 + 130, 60 + 125)).max() < 20
    for image in bag.images:
        if image is not None:
            assert image.shape == (64, 64, 3)
            assert image[..., 0].mean() > image[..., 2].mean() + 20  # skin in RGB, not BGR


def test_the_large_face_wins_though_a_bystander_shows_up_first_and_stays(tmp_path, finder):
    span = film(
        tmp_path / "v.mp4",
        9,
        (lambda t: True, 0, 220, 0.9),
        (lambda t: 2 < t < 6.4 or t > 7.1, 215, 20, 1.5),
    )
    times = instance_times(3, 3.0, 10)

    bag = find_faces(span, times, SETTINGS, finder)

    shown = np.floor(times * FPS + 1e-6) / FPS
    large = ((shown > 2) & (shown < 6.4)) | (shown > 7.1)
    np.testing.assert_array_equal(bag.found, large)
    assert (bag.box[large][:, 0] > 250).all()
    assert set(bag.reason[~large]) == {"another face"}


def test_the_end_of_the_video_and_its_onset_are_minded(tmp_path, finder):
    span = film(tmp_path / "v.mp4", 5, (lambda t: t > 2, 200, 60, 1.0))
    late = VideoSpan(span.path, onset_s=2.1)

    bag = find_faces(late, instance_times(2, 3.0, 2), SETTINGS, finder)

    assert bag.found.tolist() == [[True, True], [False, False]]
    np.testing.assert_allclose(bag.time[0], [0.7, 2.2], atol=0.051)
    assert set(bag.reason[1]) == {"after the end of the video"}
    assert np.isnan(bag.time[1]).all()


def test_each_time_is_told_and_no_video_is_an_error(tmp_path, finder):
    span = film(tmp_path / "v.mp4", 3, (lambda t: True, 200, 60, 1.0))
    told = []

    find_faces(span, instance_times(1, 3.0, 5), SETTINGS, finder, lambda: told.append(1))

    assert len(told) == 5
    with pytest.raises(InputError, match=r"nothing\.mp4"):
        find_faces(VideoSpan(tmp_path / "nothing.mp4"), np.zeros((1, 1)), SETTINGS, finder)


def test_no_faces_says_why():
    bag = no_faces((2, 3))
    assert not bag.found.any()
    assert bag.images == [None] * 6
    assert set(bag.reason.ravel()) == {"no video"}


class Scripted:
    """A detector that knows where the faces are, and counts the pixels it was shown."""

    scale_bound = False
    eyes = None

    def __init__(self, *colours):
        self.colours, self.pixels, self.calls = colours, 0, []

    def find(self, image):
        self.pixels += image.shape[0] * image.shape[1]
        self.calls.append(image.shape[:2])
        boxes = []
        for colour in self.colours:
            rows, columns = np.nonzero(abs(image.astype(int) - colour).max(axis=-1) < 25)
            if rows.size > 100:
                edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                boxes.append(Box(*map(float, edges), 0.9))
        return sorted(boxes, key=lambda box: -box.area)


RED, BLUE = (200, 40, 40), (40, 40, 200)


def squares(path, seconds, *actors):
    """A 640x480 video of coloured squares: (colour, place(t) -> (x, y, side) or None)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for number in range(round(seconds * FPS)):
            frame = np.full((480, 640, 3), 90, np.uint8)
            for colour, place in actors:
                if at := place(number / FPS):
                    x, y, side = (round(value) for value in at)
                    frame[y : y + side, x : x + side] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return VideoSpan(path)


def test_between_the_ends_of_a_segment_only_the_neighbourhood_is_searched(tmp_path):
    span = squares(tmp_path / "v.mp4", 3, (RED, lambda t: (200 + 20 * t, 100, 100)))
    finder = Scripted(RED)

    bag = find_faces(span, instance_times(1, 3.0, 10), SETTINGS, finder)

    assert bag.found.all()
    assert finder.calls.count((480, 640)) == 2
    np.testing.assert_allclose(bag.box[0, :, 0], 200 + 20 * bag.time[0], atol=3)
    np.testing.assert_allclose(bag.box[0, :, 3], 200, atol=3)


def test_a_face_that_leaves_its_neighbourhood_is_still_found(tmp_path):
    span = squares(tmp_path / "v.mp4", 3, (RED, lambda t: (430 if 1 < t < 2 else 200, 200, 110)))

    bag = find_faces(span, instance_times(1, 3.0, 10), SETTINGS, Scripted(RED))

    away = (bag.time[0] > 1) & (bag.time[0] < 2)
    assert away.sum() >= 3
    # Two sizes away in 0.3 s may be another face: rather no image than a guess.
    assert set(bag.reason[0][away]) <= {"", "another face"}
    assert bag.found[0][~away].all()


def test_a_fixed_size_detector_sees_whole_frames_only(tmp_path):
    span = squares(tmp_path / "v.mp4", 3, (RED, lambda t: (200, 100, 100)))
    finder = Scripted(RED)
    finder.scale_bound = True

    find_faces(span, instance_times(1, 3.0, 10), SETTINGS, finder)

    assert set(finder.calls) == {(480, 640)}


def test_a_long_trial_comes_in_stretches_that_agree_with_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("milmer_cli.recordings.faces._STRETCH_S", 5.0)
    span = squares(
        tmp_path / "v.mp4",
        24,
        (RED, lambda t: (300, 100, 150) if t < 13 or t > 16 else None),
        (BLUE, lambda t: (30, 30, 80)),
    )
    times = instance_times(8, 3.0, 4)
    finder = Scripted(RED, BLUE)

    parts = list(iter_faces(span, times, SETTINGS, finder))
    whole = find_faces(span, times, SETTINGS, finder)

    assert [len(part.found) for part in parts] == [2, 2, 2, 2]
    np.testing.assert_array_equal(np.concatenate([part.found for part in parts]), whole.found)
    np.testing.assert_array_equal(whole.found, (times < 13) | (times > 16))
    assert all(image[..., 0].mean() > 100 for image in whole.images if image is not None)


def test_overlapping_segments_share_their_frames(tmp_path):
    span = squares(tmp_path / "v.mp4", 6, (RED, lambda t: (100 + 30 * t, 100, 100)))
    onsets = np.array([0.0, 1.5, 3.0])
    times = onsets[:, None] + instance_times(1, 3.0, 4)
    told = []

    bag = find_faces(span, times, SETTINGS, Scripted(RED), lambda: told.append(1))

    np.testing.assert_allclose(bag.time, np.floor(times * FPS + 1e-6) / FPS, atol=1e-3)
    np.testing.assert_allclose(bag.box[..., 0], 100 + 30 * bag.time, atol=3)
    assert bag.images[2] is bag.images[4]  # 1.875 s is in both the first and the second segment
    assert len(told) == 8


def test_tracks_never_put_two_faces_of_a_frame_together():
    tracks = FaceTracks()
    assert tracks.add(0.0, [Box(0, 0, 100, 100), Box(60, 0, 160, 100)]) == [0, 1]
    assert tracks.add(0.3, [Box(62, 0, 162, 100), Box(2, 0, 102, 100)]) == [1, 0]


def test_a_returning_face_is_the_same_and_one_far_away_or_of_another_size_is_not():
    tracks = FaceTracks()
    tracks.add(0.0, [Box(0, 0, 100, 100)])
    assert tracks.add(3.0, [Box(60, 20, 170, 130)]) == [0]
    assert tracks.add(3.3, [Box(500, 0, 600, 100)]) == [1]
    assert tracks.add(3.6, [Box(80, 40, 130, 90)]) == [2]


def test_the_participant_is_the_face_that_is_large_for_long():
    tracks = FaceTracks()
    assert tracks.main() is None
    near = Box(300, 0, 400, 100)
    tracks.add(0.0, [Box(0, 0, 150, 150)])  # larger, but gone at once
    for step in range(1, 9):
        tracks.add(step * 0.3, [near, Box(500, 300, 560, 360)])
    assert tracks.main() == tracks.add(3.0, [near])[0]


def test_a_crop_is_the_widened_square_around_the_face():
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[..., 0] = (np.arange(640) * 255 / 639)[None, :]
    frame[..., 1] = (np.arange(480) * 255 / 479)[:, None]

    image = crop(frame, Box(200, 150, 300, 250), widen=0.1, size=60).astype(float)

    assert image.shape == (60, 60, 3)
    # 100 wide, 10 more on each side: x 190-310, y 140-260.
    np.testing.assert_allclose(image[30, [0, 59], 0], np.array([191, 309]) * 255 / 639, atol=1.5)
    np.testing.assert_allclose(image[[0, 59], 30, 1], np.array([141, 259]) * 255 / 479, atol=1.5)


@pytest.mark.parametrize(
    "box", [Box(-20, -10, 90, 100), Box(600, 430, 660, 500), Box(0, 0, 640, 480)]
)
def test_a_crop_at_the_edge_is_moved_and_invents_no_pixels(box):
    frame = np.full((480, 640, 3), 200, np.uint8)

    image = crop(frame, box, widen=0.3, size=64)

    assert image.min() == 200


def test_an_oblong_box_keeps_its_proportions():
    frame = np.full((480, 640, 3), 255, np.uint8)
    ys, xs = np.mgrid[:480, :640]
    frame[(xs - 300) ** 2 + (ys - 240) ** 2 < 40**2] = 0  # a disc stays a disc

    image = crop(frame, Box(260, 180, 340, 300), widen=0.0, size=120)[..., 0] < 128

    assert abs(int(image.any(axis=0).sum()) - int(image.any(axis=1).sum())) <= 1
    assert image.any(axis=0).sum() == pytest.approx(80, abs=1)


def test_shrinking_antialiases():
    board = ((np.indices((480, 640)).sum(axis=0) % 2) * 255).astype(np.uint8)
    frame = np.repeat(board[..., None], 3, axis=2)

    image = crop(frame, Box(100, 100, 400, 400), widen=0.0, size=50)

    assert abs(image.astype(float) - 127.5).max() < 8  # grey, not a moire pattern


def test_eyes_on_a_slope_tell_the_tilt():
    points = np.zeros((68, 2))
    points[36:42] = (100, 100)
    points[42:48] = (100 + 60 * np.cos(np.radians(20)), 100 + 60 * np.sin(np.radians(20)))

    assert eye_tilt(points) == pytest.approx(20)


def test_a_tilted_face_is_turned_level():
    picture = Image.fromarray(data.astronaut())
    box = Box(170, 70, 275, 180)
    tilted = np.asarray(picture.rotate(-25, Image.Resampling.BICUBIC, center=box.centre))

    straight = crop(data.astronaut(), box, 0.1, 96).astype(float)
    level = crop_level(tilted, box, 25, 0.1, 96).astype(float)
    wrong = crop_level(tilted, box, -25, 0.1, 96).astype(float)

    inner = (slice(8, -8), slice(8, -8))
    assert abs(level - straight)[inner].mean() < 6
    assert abs(wrong - straight)[inner].mean() > 20


def test_a_tilted_face_at_the_edge_is_not_turned_rather_than_invented(tmp_path):
    frame = np.full((480, 640, 3), 200, np.uint8)
    assert crop_level(frame, Box(2, 100, 102, 200), 30, 0.1, 64) is None
    assert crop_level(frame, Box(2, 100, 102, 200), 0, 0.0, 64).min() == 200


def test_faces_are_turned_where_the_eyes_are_known(tmp_path):
    class Eyes:
        def tilt(self, image, box):
            return 90.0

    def quarter(t):
        return (250, 150, 100)

    span = squares(tmp_path / "v.mp4", 3, (RED, quarter), (BLUE, lambda t: (250, 150, 50)))
    finder = Scripted(RED)
    plain = find_faces(span, instance_times(1, 3.0, 2), SETTINGS, finder)
    finder.eyes = Eyes()
    turned = find_faces(span, instance_times(1, 3.0, 2), SETTINGS, finder)

    for before, after in zip(plain.images, turned.images, strict=True):
        assert abs(np.rot90(before).astype(int) - after)[4:-4, 4:-4].mean() < 6
