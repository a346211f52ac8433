"""Whether two boxes may show the same person."""

from itertools import combinations

import numpy as np
import pytest

from milmer_cli.faces.appearance import Appearance
from milmer_cli.faces.boxes import Box


def face_box(landmarks):
    """The box around landmarks, about that of CenterFace."""
    size = 1.2 * np.hypot(*(landmarks[1] - landmarks[0]))
    x, y = landmarks.mean(axis=0)
    return Box(x - size, y - 1.2 * size, x + size, y + 1.2 * size)


def looks(views, portrait, seed, drawings=(), gain=1.0):
    """Appearances of the same face at other places, sizes and tilts."""
    found = []
    for number, (eye_distance, tilt) in enumerate(((55, 0), (60, 12), (50, -12))):
        rng = np.random.default_rng([seed, number])
        light = gain * (1 + 0.01 * tilt)
        view = views.make_view(portrait, rng, drawings, eye_distance, tilt, light)
        found.append(Appearance.of(view.image, face_box(view.landmarks)))
    return found


@pytest.mark.parametrize("covered", [False, True])
def test_appearance_matches_the_same_person_only(views, covered):
    drawings = (views.cap_and_electrodes,) if covered else ()
    collins = looks(views, views.collins(), 1, drawings, 0.35)
    hopper = looks(views, views.hopper(), 2, drawings, 0.35)

    for person in (collins, hopper):
        assert all(a.matches(b) for a, b in combinations(person, 2))
    assert not any(a.matches(b) for a in collins for b in hopper)


def test_appearance_of_a_wall_matches_no_face(views):
    rng = np.random.default_rng(3)
    view = views.make_view(views.collins(), rng, eye_distance=60)
    wall = np.clip(views.background(rng, view.image.shape[:2]), 0, 255).astype(np.uint8)
    box = face_box(view.landmarks)
    gray_face, gray_wall = (
        np.repeat(image.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
        for image in (view.image, wall)
    )

    assert not Appearance.of(view.image, box).matches(Appearance.of(wall, box))
    # without colors, the structure must suffice
    assert not Appearance.of(gray_face, box).matches(Appearance.of(gray_wall, box))


def test_appearance_of_boxes_beyond_the_image():
    image = np.full((100, 100, 3), 90, np.uint8)
    looks = [Appearance.of(image, box) for box in (Box(-50, -50, 20, 20), Box(95, 95, 180, 180))]

    assert looks[0].matches(looks[1])
    assert all(np.isfinite(look.structure).all() for look in looks)
