"""Square face images: position, proportions, aliasing, alignment."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from milmer_cli.faces.boxes import Box
from milmer_cli.faces.crop import crop_aligned_face, crop_face


def test_crop_face_widens_the_box_to_a_square():
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[..., 0] = (np.arange(640) * 255 / 639)[None, :]
    frame[..., 1] = (np.arange(480) * 255 / 479)[:, None]

    image = crop_face(frame, Box(200, 150, 300, 250), margin=0.1, size=60).astype(float)

    assert image.shape == (60, 60, 3)
    # 100 wide, 10 more on each side: x 190-310, y 140-260.
    np.testing.assert_allclose(image[30, [0, 59], 0], np.array([191, 309]) * 255 / 639, atol=1.5)
    np.testing.assert_allclose(image[[0, 59], 30, 1], np.array([141, 259]) * 255 / 479, atol=1.5)


@pytest.mark.parametrize(
    "box", [Box(-20, -10, 90, 100), Box(600, 430, 660, 500), Box(0, 0, 640, 480)]
)
def test_crop_face_at_the_edge_is_moved_into_the_frame(box):
    frame = np.full((480, 640, 3), 200, np.uint8)

    image = crop_face(frame, box, margin=0.3, size=64)

    assert image.min() == 200


def test_crop_face_keeps_proportions():
    frame = np.full((480, 640, 3), 255, np.uint8)
    ys, xs = np.mgrid[:480, :640]
    frame[(xs - 300) ** 2 + (ys - 240) ** 2 < 40**2] = 0  # must stay a disc

    image = crop_face(frame, Box(260, 180, 340, 300), margin=0.0, size=120)[..., 0] < 128

    assert abs(int(image.any(axis=0).sum()) - int(image.any(axis=1).sum())) <= 1
    assert image.any(axis=0).sum() == pytest.approx(80, abs=1)


def test_crop_face_is_free_of_aliasing():
    board = ((np.indices((480, 640)).sum(axis=0) % 2) * 255).astype(np.uint8)
    frame = np.repeat(board[..., None], 3, axis=2)

    image = crop_face(frame, Box(100, 100, 400, 400), margin=0.0, size=50)

    assert abs(image.astype(float) - 127.5).max() < 8  # gray, not a moire pattern


LANDMARKS = np.array([(202.5, 101), (247, 104), (223, 125), (204, 142), (242, 143)])
"""Landmarks of the photograph, read from an enlarged crop."""


def rotated(points, angle, center):
    """Rotate points clockwise, as PIL does with a negative angle."""
    turn = np.exp(1j * np.radians(angle))
    moved = (points @ (1, 1j) - complex(*center)) * turn + complex(*center)
    return tuple(zip(moved.real, moved.imag, strict=True))


def test_crop_aligned_face_levels_the_eyes():
    photo = Image.fromarray(data.astronaut())
    box = Box(170, 70, 275, 180)
    tilted = np.asarray(photo.rotate(-25, Image.Resampling.BICUBIC, center=box.center))

    def aligned(image, angle):
        landmarks = rotated(LANDMARKS, angle, box.center)
        return crop_aligned_face(image, replace(box, landmarks=landmarks), 0.1, 96).astype(float)

    straight = aligned(data.astronaut(), 0)
    level, wrong = aligned(tilted, 25), aligned(tilted, -25)

    inner = (slice(8, -8), slice(8, -8))
    assert abs(level - straight)[inner].mean() < 6
    assert abs(wrong - straight)[inner].mean() > 20


def test_crop_aligned_face_puts_the_landmarks_into_place():
    box = Box(181, 58, 270, 178, landmarks=tuple(map(tuple, LANDMARKS)))
    marked = np.zeros((512, 512, 3), np.uint8)
    for x, y in LANDMARKS:
        marked[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 255

    image = crop_aligned_face(marked, box, 0.1, 112)[..., 0].astype(float)

    # The two eyes and the nose of ArcFace's template, around the center of the face box.
    for x, y in ((40.0, 41.2), (71.9, 41.0), (56.0, 59.4)):
        near = image[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6]
        assert near.max() > 100
    rows, columns = np.nonzero(image > 100)
    assert (columns.mean(), rows.mean()) == pytest.approx((56.0, 59.5), abs=1.5)


def test_crop_aligned_face_covers_about_the_box():
    box = Box(181, 58, 270, 178, landmarks=tuple(map(tuple, LANDMARKS)))

    aligned = crop_face(data.astronaut(), box, 0.1, 96, align=True).astype(float)
    unaligned = crop_face(data.astronaut(), box, 0.1, 96).astype(float)

    assert abs(aligned - unaligned).mean() < 30


def test_crop_aligned_face_at_the_edge_is_none():
    frame = np.full((480, 640, 3), 200, np.uint8)
    at_edge = Box(2, 100, 102, 200, landmarks=tuple(map(tuple, LANDMARKS - (190, 0))))

    assert crop_aligned_face(frame, at_edge, 0.1, 64) is None
    assert crop_aligned_face(frame, Box(200, 100, 300, 200), 0.1, 64) is None  # no landmarks
    assert crop_face(frame, at_edge, 0.1, 64, align=True).min() == 200
