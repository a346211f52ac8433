"""Faces are linked over time, and the participant is selected."""

from functools import partial

import numpy as np
import pytest

from milmer_cli.faces.appearance import Appearance
from milmer_cli.faces.boxes import Box
from milmer_cli.faces.tracking import FaceTracker


def test_face_tracker_separates_faces_of_one_frame():
    tracker = FaceTracker()
    assert tracker.update(0.0, [Box(0, 0, 100, 100), Box(60, 0, 160, 100)]) == [0, 1]
    assert tracker.update(0.3, [Box(62, 0, 162, 100), Box(2, 0, 102, 100)]) == [1, 0]


def test_face_tracker_gates_on_distance_and_size():
    tracker = FaceTracker()
    tracker.update(0.0, [Box(0, 0, 100, 100)])
    assert tracker.update(3.0, [Box(60, 20, 170, 130)]) == [0]
    assert tracker.update(3.3, [Box(500, 0, 600, 100)]) == [1]
    assert tracker.update(3.6, [Box(80, 40, 130, 90)]) == [2]


def test_face_tracker_main_track_is_large_and_lasting():
    tracker = FaceTracker()
    assert tracker.main_track() is None
    near = Box(300, 0, 400, 100)
    tracker.update(0.0, [Box(0, 0, 150, 150)])  # larger, but only in one frame
    for step in range(1, 9):
        tracker.update(step * 0.3, [near, Box(500, 300, 560, 360)])
    assert tracker.main_track() == tracker.update(3.0, [near])[0]


@pytest.fixture(scope="module")
def people(views):
    """Two people: appearance of a face with a given seed of position and tilt, and light."""

    def look(portrait, seed, light=(1, 1, 1)):
        rng = np.random.default_rng(seed)
        tilt = rng.uniform(-10, 10)
        view = views.make_view(portrait, rng, (views.cap,), eye_distance=60, tilt=tilt)
        (x, y), size = view.landmarks.mean(axis=0), 70
        image = np.clip(view.image * np.array(light), 0, 255).astype(np.uint8)
        return Appearance.of(image, Box(x - size, y - size, x + size, y + size))

    return partial(look, views.collins()), partial(look, views.hopper())


def test_face_tracker_second_person_after_an_absence_is_another_track(people):
    participant, visitor = people
    tracker, place = FaceTracker(), Box(300, 0, 400, 100)
    assert tracker.update(0.0, [place], [participant(0)]) == [0]
    assert tracker.update(2.0, [place], [visitor(1)]) == [1]
    assert tracker.update(4.0, [place], [participant(2)]) == [0]
    assert tracker.update(6.0, [place], [visitor(3)]) == [1]


@pytest.mark.parametrize("absence_s", [0.3, 1.5, 60.0])
@pytest.mark.parametrize("light", [(1.1, 0.95, 0.9), (0.8, 0.9, 1.2), (0.35, 0.35, 0.35)])
def test_face_tracker_change_of_light_keeps_the_track(people, light, absence_s):
    participant, _ = people
    tracker, place = FaceTracker(), Box(300, 0, 400, 100)
    assert tracker.update(0.0, [place], [participant(0)]) == [0]
    assert tracker.update(absence_s, [place.shifted(5, 0)], [participant(0, light)]) == [0]


def test_face_tracker_second_person_between_two_frames_is_another_track(people):
    participant, visitor = people
    tracker, place = FaceTracker(), Box(300, 0, 400, 100)
    assert tracker.update(0.0, [place], [participant(0)]) == [0]
    assert tracker.update(0.3, [place.shifted(5, 0)], [visitor(1)]) == [1]
    assert tracker.update(0.6, [place.shifted(5, 0)], [visitor(2)]) == [1]
    assert tracker.update(6.0, [place], [participant(3)]) == [0]


def test_face_tracker_participant_at_another_place_after_an_absence_keeps_the_track(people):
    participant, visitor = people
    tracker, elsewhere = FaceTracker(), Box(900, 0, 1000, 100)
    tracker.update(0.0, [Box(300, 0, 400, 100)], [participant(0)])
    assert tracker.update(2.0, [elsewhere], [participant(0)]) == [0]
    assert tracker.update(2.3, [Box(300, 0, 400, 100)], [participant(0)]) == [1]  # nobody flies
    assert tracker.update(8.0, [Box(600, 0, 700, 100)], [visitor(1)]) == [2]


def test_face_tracker_reflection_keeps_its_track(people):
    participant, _ = people
    tracker = FaceTracker()
    face, reflection = Box(300, 0, 400, 100), Box(420, 0, 500, 80)
    assert tracker.update(0.0, [face, reflection], [participant(0), participant(1)]) == [0, 1]
    for step in range(1, 10):  # only the reflection is found
        look = participant(step)
        assert tracker.update(0.3 * step, [reflection.shifted(-2 * step, 0)], [look]) == [1]
    assert tracker.update(3.0, [face, reflection], [participant(7), participant(8)]) == [0, 1]


def test_face_tracker_crossing_faces_keep_their_tracks_by_appearance(people):
    participant, visitor = people
    tracker = FaceTracker()
    left, right = Box(300, 0, 400, 100), Box(340, 0, 440, 100)
    tracker.update(0.0, [left, right], [participant(0), visitor(1)])
    assert tracker.update(0.3, [left, right], [visitor(2), participant(3)]) == [1, 0]
