"""Faces that the detector missed between two detections of a track."""

import numpy as np
import pytest

from milmer_cli.faces.appearance import Appearance
from milmer_cli.faces.boxes import Box
from milmer_cli.faces.gaps import Detection, GapFiller

STEP_S = 0.3


@pytest.fixture(scope="module")
def scene(views):
    """A frame with a face, its box, and the same frame without the face."""
    rng = np.random.default_rng(0)
    view = views.make_view(views.collins(), rng, eye_distance=50)
    (x, y), size = view.landmarks.mean(axis=0), 60.0
    landmarks = tuple(map(tuple, view.landmarks))
    empty = np.clip(views.background(rng, view.image.shape[:2]), 0, 255).astype(np.uint8)
    return view.image, Box(x - size, y - 70, x + size, y + 70, 0.9, landmarks), empty


def fill(frames):
    """Add frames of (image, box or None); return the (index, box) that are filled in."""
    gaps, filled = GapFiller(), []
    for index, (image, box) in enumerate(frames):
        detections = [Detection(4, box, Appearance.of(image, box))] if box else []
        filled += [
            (face.frame_index, face.box)
            for face in gaps.update(index, STEP_S * index, image, detections)
            if face.track == 4
        ]
    return filled


def shifted(image, box, dx):
    """A scene moved to the right."""
    return np.roll(image, dx, axis=1), box.shifted(dx, 0)


def test_gap_filler_interpolates_the_box(scene):
    image, box, _ = scene
    frames = [shifted(image, box, 6 * number) for number in range(4)]

    filled = fill([frames[0], (frames[1][0], None), (frames[2][0], None), frames[3]])

    assert [index for index, _ in filled] == [1, 2]
    for index, found in filled:
        expected = frames[index][1]
        assert (found.left, found.bottom) == pytest.approx((expected.left, expected.bottom))
        np.testing.assert_allclose(found.landmarks, expected.landmarks)
        assert np.isnan(found.score)


def test_gap_filler_needs_a_face_in_the_frame(scene):
    image, box, empty = scene

    filled = fill([(image, box), (empty, None), (image, None), (image, box)])

    assert [index for index, _ in filled] == [2]


def test_gap_filler_needs_agreement_of_both_ends(scene):
    image, box, _ = scene
    far = shifted(image, box, 60)
    larger = (image, Box(box.left - 20, box.top - 20, box.right + 20, box.bottom + 20))

    assert fill([(image, box), (image, None), far]) == []
    assert fill([(image, box), (image, None), larger]) == []
    assert len(fill([(image, box), (image, None), (image, box)])) == 1


def test_gap_filler_needs_both_ends_within_a_second(scene):
    image, box, _ = scene

    assert fill([(image, box), *[(image, None)] * 3, (image, box)]) == []
    assert fill([(image, None), (image, box), (image, None)]) == []


def test_gap_filler_does_not_join_tracks(scene):
    image, box, _ = scene
    gaps = GapFiller()
    look = Appearance.of(image, box)

    assert list(gaps.update(0, 0.0, image, [Detection(1, box, look)])) == []
    assert list(gaps.update(1, 0.3, image, [])) == []
    assert list(gaps.update(2, 0.6, image, [Detection(2, box, look)])) == []
