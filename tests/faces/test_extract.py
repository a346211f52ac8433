"""The participant's face is extracted, no other face, and no image without a face."""

import threading

import av
import numpy as np
import pytest
from PIL import Image
from skimage import data

from milmer_cli.errors import InputError
from milmer_cli.faces.boxes import Box
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.extract import extract_faces, iter_faces
from milmer_cli.faces.jpeg import decode_face
from milmer_cli.preprocessing import instance_times
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.video.frames import VideoSpan

SETTINGS = FacesSettings(detector="centerface", image_size=64)
FPS = 10
FACE = data.astronaut()[0:280, 90:370]  # eyes at about a third of its height


def times_of(n_segments, n_instances):
    """Times of the instances of consecutive segments of 3 s."""
    return instance_times(3.0 * np.arange(n_segments), 3.0, n_instances)


def film(path, seconds, *actors, edit=lambda frame, t: None):
    """A 640x480 video; an actor is (when(t) -> bool, left, top, scale) of the astronaut's head.

    ``edit(frame, t)`` changes the frame at last.
    """
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
            edit(frame, number / FPS)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return VideoSpan(path)


@pytest.fixture(scope="module")
def detector():
    return FaceDetector(SETTINGS)


def test_extract_faces_with_and_without_a_face(tmp_path, detector):
    span = film(tmp_path / "v.mp4", 6, (lambda t: t < 3 or t > 4.5, 200, 60, 1.0))
    times = times_of(2, 6)

    faces = extract_faces(span, times, SETTINGS, detector)

    present = (times < 3) | (times > 4.5)
    np.testing.assert_array_equal(faces.found, present)
    np.testing.assert_allclose(faces.time, np.floor(times * FPS + 1e-6) / FPS, atol=1e-3)
    assert set(faces.reason[present]) == {""}
    assert set(faces.reason[~present]) == {"no face"}
    assert [bool(image) for image in faces.images] == present.ravel().tolist()
    assert np.isnan(faces.box[~present]).all()
    center = faces.box[present][:, :2] / 2 + faces.box[present][:, 2:] / 2
    assert abs(center - np.median(center, axis=0)).max() < 20
    assert abs(np.median(center, axis=0) - (200 + 130, 60 + 125)).max() < 20
    for encoded in faces.images:
        if encoded:
            image = decode_face(encoded)
            assert image.shape == (64, 64, 3)
            assert image[..., 0].mean() > image[..., 2].mean() + 20  # skin in RGB, not BGR


def test_extract_faces_prefers_the_large_face_to_a_bystander(tmp_path, detector):
    span = film(
        tmp_path / "v.mp4",
        9,
        (lambda t: True, 0, 220, 0.9),
        (lambda t: 2 < t < 6.4 or t > 7.1, 215, 20, 1.5),
    )
    times = times_of(3, 10)

    faces = extract_faces(span, times, SETTINGS, detector)

    shown = np.floor(times * FPS + 1e-6) / FPS
    large = ((shown > 2) & (shown < 6.4)) | (shown > 7.1)
    np.testing.assert_array_equal(faces.found, large)
    assert (faces.box[large][:, 0] > 250).all()
    assert set(faces.reason[~large]) == {"another face"}


def test_extract_faces_onset_and_end_of_the_video(tmp_path, detector):
    span = film(tmp_path / "v.mp4", 5, (lambda t: t > 2, 200, 60, 1.0))
    late = VideoSpan(span.path, onset_s=2.1)

    faces = extract_faces(late, times_of(2, 2), SETTINGS, detector)

    assert faces.found.tolist() == [[True, True], [False, False]]
    np.testing.assert_allclose(faces.time[0], [0.7, 2.2], atol=0.051)
    assert set(faces.reason[1]) == {"after the end of the video"}
    assert np.isnan(faces.time[1]).all()


def test_extract_faces_of_a_video_that_starts_after_the_stimulus(tmp_path, detector):
    span = film(tmp_path / "v.mp4", 5, (lambda t: t > 0.95, 200, 60, 1.0))
    late = VideoSpan(span.path, onset_s=-1.3)
    times = times_of(2, 6)

    faces = extract_faces(late, times, SETTINGS, detector)

    before = times < 1.3
    assert set(faces.reason[before]) == {"before the start of the video"}
    assert np.isnan(faces.time[before]).all()
    shown = np.floor((times - 1.3) * FPS + 1e-6) / FPS + 1.3  # the frame at each time
    np.testing.assert_allclose(faces.time[~before], shown[~before], atol=1e-4)
    np.testing.assert_array_equal(faces.found, shown > 2.25)


def test_extract_faces_missing_video(tmp_path, detector):
    with pytest.raises(InputError, match=r"missing\.mp4"):
        extract_faces(VideoSpan(tmp_path / "missing.mp4"), np.zeros((1, 1)), SETTINGS, detector)


class Scripted:
    """Detects squares of given colors and records the sizes of the images it gets."""

    fixed_input_size = False
    frame_side = region_side = 0
    batched = False

    def __init__(self, *colors):
        self.colors, self.calls = colors, []

    def detect(self, image):
        self.calls.append(image.shape[:2])
        boxes = []
        for color in self.colors:
            rows, columns = np.nonzero(abs(image.astype(int) - color).max(axis=-1) < 25)
            if rows.size > 100:
                edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                boxes.append(Box(*map(float, edges), 0.9))
        return sorted(boxes, key=lambda box: -box.area)


RED, BLUE, GREEN = (200, 40, 40), (40, 40, 200), (40, 200, 40)


def squares(path, seconds, *actors):
    """A 640x480 video of colored squares: (color, place(t) -> (x, y, side) or None)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for number in range(round(seconds * FPS)):
            frame = np.full((480, 640, 3), 90, np.uint8)
            for color, place in actors:
                if at := place(number / FPS):
                    x, y, side = (round(value) for value in at)
                    frame[y : y + side, x : x + side] = color
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return VideoSpan(path)


def test_extract_faces_searches_neighborhoods_between_first_and_last_frame(tmp_path):
    span = squares(tmp_path / "v.mp4", 3, (RED, lambda t: (200 + 20 * t, 100, 100)))
    detector = Scripted(RED)

    faces = extract_faces(span, times_of(1, 10), SETTINGS, detector)

    assert faces.found.all()
    assert detector.calls.count((480, 640)) == 2
    np.testing.assert_allclose(faces.box[0, :, 0], 200 + 20 * faces.time[0], atol=3)
    np.testing.assert_allclose(faces.box[0, :, 3], 200, atol=3)


def test_extract_faces_searches_the_frame_if_the_face_left_its_neighborhood(tmp_path):
    span = squares(tmp_path / "v.mp4", 3, (RED, lambda t: (430 if 1 < t < 2 else 200, 200, 110)))

    faces = extract_faces(span, times_of(1, 10), SETTINGS, Scripted(RED))

    away = (faces.time[0] > 1) & (faces.time[0] < 2)
    assert away.sum() >= 3
    # Two sizes away in 0.3 s may be another face: rather no image than a guess.
    assert set(faces.reason[0][away]) <= {"", "another face"}
    assert faces.found[0][~away].all()


def test_extract_faces_fixed_input_size_gets_whole_frames(tmp_path):
    span = squares(tmp_path / "v.mp4", 3, (RED, lambda t: (200, 100, 100)))
    detector = Scripted(RED)
    detector.fixed_input_size = True

    extract_faces(span, times_of(1, 10), SETTINGS, detector)

    assert set(detector.calls) == {(480, 640)}


def test_extract_faces_searches_changed_copies_around_the_neighbors(tmp_path):
    class InHalfSize(Scripted):
        """Misses the blue face except in copies of half the size."""

        def detect(self, image):
            boxes = super().detect(image)
            blue = (abs(image.astype(int) - BLUE).max(axis=-1) < 25).sum()
            return boxes if blue < 60 * 60 else []

    def red(t):
        return (200, 100, 100) if not 1 < t < 1.3 else None

    span = squares(
        tmp_path / "v.mp4",
        3,
        (RED, red),
        (BLUE, lambda t: None if red(t) else (200, 100, 100)),
    )

    faces = extract_faces(span, times_of(1, 10), SETTINGS, InHalfSize(RED, BLUE))

    np.testing.assert_allclose(faces.box[0][:, 0], 200, atol=4)
    assert faces.found[0].all()


def test_extract_faces_bystander_does_not_end_the_search(tmp_path):
    class InHalfSize(Scripted):
        """Finds the red face in some frames only in copies of half the size."""

        def detect(self, image):
            boxes = super().detect(image)
            marked = (abs(image.astype(int) - GREEN).max(axis=-1) < 25).sum()
            return [box for box in boxes if box.width < 60] if marked > 300 else boxes

    span = squares(
        tmp_path / "v.mp4",
        3,
        (RED, lambda t: (200, 100, 100)),
        (BLUE, lambda t: (500, 400, 50)),
        (GREEN, lambda t: (240, 205, 20) if 1 < t < 2 else None),
    )

    faces = extract_faces(span, times_of(1, 10), SETTINGS, InHalfSize(RED, BLUE))

    assert faces.found[0].all()
    np.testing.assert_allclose(faces.box[0][:, 0], 200, atol=4)
    assert set(faces.reason[0]) == {""}


def test_extract_faces_without_any_face_searches_two_frames_in_changed_copies(tmp_path):
    span = squares(tmp_path / "v.mp4", 3)
    detector = Scripted(RED)

    faces = extract_faces(span, times_of(1, 10), SETTINGS, detector)

    assert set(faces.reason[0]) == {"no face"}
    assert len(detector.calls) == 10 + 2 * 4  # half the size, equalized, two rotations


def test_extract_faces_batched_detector_gets_all_frames_at_once(tmp_path):
    class Batched(Scripted):
        batched = True

        def detect_batch(self, images):
            batches.append(len(images))
            return [Scripted.detect(self, image) for image in images]

    batches = []
    span = squares(tmp_path / "v.mp4", 6, (RED, lambda t: (200, 100, 100) if t < 5 else None))
    detector = Batched(RED)

    faces = extract_faces(span, times_of(2, 10), SETTINGS, detector)

    np.testing.assert_array_equal(faces.found, faces.time < 5)
    assert batches == [10, 10]
    assert len(detector.calls) > 20  # frames without a face are searched in changed copies


def test_extract_faces_batched_detector_searches_at_its_usual_size(tmp_path):
    class Batched(Scripted):
        batched, frame_side = True, 320

        def detect_batch(self, images):
            shapes.update(image.shape[:2] for image in images)
            return [Scripted.detect(self, image) for image in images]

    shapes = set()
    span = squares(tmp_path / "v.mp4", 3, (RED, lambda t: (200, 100, 100)))

    faces = extract_faces(span, times_of(1, 10), SETTINGS, Batched(RED))

    assert {max(shape) for shape in shapes} == {320}
    np.testing.assert_allclose(faces.box[0, 0], [200, 100, 300, 200], atol=4)


@pytest.mark.slow
def test_iter_faces_chunks_equal_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("milmer_cli.faces.extract._CHUNK_S", 5.0)
    span = squares(
        tmp_path / "v.mp4",
        24,
        (RED, lambda t: (300, 100, 150) if t < 13 or t > 16 else None),
        (BLUE, lambda t: (30, 30, 80)),
    )
    times = times_of(8, 4)
    detector = Scripted(RED, BLUE)

    parts = list(iter_faces(span, times, SETTINGS, detector))
    whole = extract_faces(span, times, SETTINGS, detector)

    assert [len(part.found) for part in parts] == [2, 2, 2, 2]
    np.testing.assert_array_equal(np.concatenate([part.found for part in parts]), whole.found)
    np.testing.assert_array_equal(whole.found, (times < 13) | (times > 16))
    assert all(decode_face(image)[..., 0].mean() > 100 for image in whole.images if image)


def test_iter_faces_stops_within_a_chunk(tmp_path):
    span = squares(tmp_path / "v.mp4", 24, (RED, lambda t: (300, 100, 150)))
    stop = threading.Event()

    class Stopping(Scripted):
        def detect(self, image):
            stop.set()
            return super().detect(image)

    detector = Stopping(RED)
    assert list(iter_faces(span, times_of(8, 4), SETTINGS, detector, stop)) == []
    assert len(detector.calls) == 4  # the frames of the first segment


def test_extract_faces_overlapping_segments_share_frames(tmp_path):
    span = squares(tmp_path / "v.mp4", 6, (RED, lambda t: (100 + 30 * t, 100, 100)))
    times = instance_times(np.array([0.0, 1.5, 3.0]), 3.0, 4)
    detector = Scripted(RED)

    faces = extract_faces(span, times, SETTINGS, detector)

    np.testing.assert_allclose(faces.time, np.floor(times * FPS + 1e-6) / FPS, atol=1e-3)
    np.testing.assert_allclose(faces.box[..., 0], 100 + 30 * faces.time, atol=3)
    assert faces.images[2] is faces.images[4]  # 1.875 s is in the first and the second segment
    assert len(detector.calls) == 8  # distinct times


class Blind:
    """A detector that misses the faces of frames with a blue mark."""

    fixed_input_size = True
    frame_side = region_side = 0
    batched = False

    def __init__(self, detector):
        self.detector = detector

    def detect(self, image):
        red, green, blue = np.moveaxis(image.astype(int), -1, 0)
        marked = (blue > red + 90) & (blue > green + 90)
        return [] if marked.mean() > 5e-4 else self.detector.detect(image)


def test_extract_faces_missed_by_the_detector_are_tracked(tmp_path, detector):
    def draw(frame, t):
        if 0.4 <= t < 0.6 or 1.3 <= t < 1.5:
            frame[380:420, 300:340] = (0, 0, 255)  # the detector misses the face
        if 1.3 <= t < 1.5 or t >= 2.5:
            frame[60:340, 200:480] = 90  # and there is none

    span = film(tmp_path / "v.mp4", 3, (lambda t: True, 200, 60, 1.0), edit=draw)
    times = np.array([[0.15, 0.45, 0.75, 1.05, 1.35, 1.65]])

    faces = extract_faces(span, times, SETTINGS, Blind(detector))

    assert faces.reason[0].tolist() == ["", "tracked", "", "", "no face", ""]
    assert faces.found[0].tolist() == [True, True, True, True, False, True]
    assert np.isnan(faces.score[0, 1])
    np.testing.assert_allclose(faces.box[0, 1], faces.box[0, [0, 2]].mean(axis=0), atol=1e-3)
    tracked, detected = (decode_face(faces.images[index]).astype(float) for index in (1, 0))
    assert abs(tracked - detected).mean() < 8  # the still face, cut out of its own frame


def test_extract_faces_second_person_does_not_replace_the_participant(tmp_path, detector, views):
    visitor = Image.fromarray(views.hopper().image[0:512]).resize((280, 280))

    def draw(frame, t):
        if t >= 5.5:  # after an absence, in the place of the participant
            frame[60:340, 200:480] = visitor

    span = film(tmp_path / "v.mp4", 9, (lambda t: t < 4, 200, 60, 1.0), edit=draw)
    times = times_of(3, 5)

    faces = extract_faces(span, times, SETTINGS, detector)

    shown = np.floor(times * FPS + 1e-6) / FPS
    np.testing.assert_array_equal(faces.found, shown < 4)
    assert set(faces.reason[shown >= 5.5]) == {"another face"}
