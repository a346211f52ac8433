"""What is tried before an image counts as one without a face."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from milmer_cli.faces.boxes import Box
from milmer_cli.faces.search import USUAL, Attempt, find_faces, find_faces_in_batch

NOSE = (223.0, 125.0)
FACE = data.astronaut()[0:300, 60:380]


def frame(size, left, top, scale, angle=0.0, gain=1.0):
    """A gray frame, (width, height), with the astronaut's head; returns it and the nose."""
    head = Image.fromarray(FACE).resize((round(320 * scale), round(300 * scale)))
    canvas = Image.new("RGB", size, (110, 110, 110))
    canvas.paste(head, (left, top))
    nose = (left + (NOSE[0] - 60) * scale, top + NOSE[1] * scale)
    canvas = canvas.rotate(angle, Image.Resampling.BICUBIC, center=nose, fillcolor=(110,) * 3)
    return (np.asarray(canvas) * gain).astype(np.uint8), nose


@pytest.mark.parametrize(
    "case",
    [
        frame((720, 576), 400, 300, 0.2),
        frame((1920, 1080), 1300, 700, 0.35),
        frame((720, 576), -944, -712, 8.0),
        frame((720, 576), 200, 150, 0.9, angle=-100),
        frame((720, 576), 200, 150, 0.7, gain=0.02),
    ],
    ids=["small", "small in a large frame", "larger than the frame", "tilted", "dark"],
)
def test_find_faces_tries_more_than_one_copy(centerface, case):
    image, nose = case
    assert find_faces(centerface, image, 320, USUAL) == []

    [box] = find_faces(centerface, image, 320)

    assert abs(np.array(box.landmarks[2]) - nose).max() < 0.15 * max(box.width, box.height)
    assert abs(np.array(box.center) - nose).max() < 0.2 * max(box.width, box.height)


@pytest.mark.parametrize("angle", [35.0, -35.0])
def test_find_faces_rotates_boxes_and_landmarks_back(centerface, angle):
    image, nose = frame((720, 576), 200, 150, 0.9, angle=-angle)

    [box] = find_faces(centerface, image, 320, (Attempt(angle=angle),))

    (x0, y0), (x1, y1) = box.landmarks[:2]
    upright = np.degrees(np.arctan2(3, 44.5))
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(upright + angle, abs=4)
    assert abs(np.array(box.landmarks[2]) - nose).max() < 8
    assert (box.width, box.height) == pytest.approx((82, 110), abs=16)


class Counting:
    """Finds nothing and records what it gets."""

    frame_side = region_side = 0

    def __init__(self, fixed_input_size=False):
        self.fixed_input_size = fixed_input_size
        self.sides = []

    def detect(self, image):
        self.sides.append(max(image.shape[:2]))
        return []


@pytest.mark.parametrize(
    ("longer", "side", "fixed_input_size", "expected"),
    [
        (720, 320, False, [320, 640, 160, 320, 320, 320]),
        (3840, 320, False, [320, 640, 160, 320, 320, 320, 1280]),
        (320, 320, False, [320, 640, 160, 320, 320, 320]),
        (720, 0, False, [720, 360, 720, 720, 720]),
        (720, 0, True, [720, 720, 720, 720]),
        (80, 0, False, [80, 160, 80, 80, 80, 320]),
    ],
)
def test_find_faces_sizes(longer, side, fixed_input_size, expected):
    detector = Counting(fixed_input_size)

    assert find_faces(detector, np.zeros((longer // 2, longer, 3), np.uint8), side) == []
    assert detector.sides == expected


THIN = [(1, 1000), (3, 1500), (1000, 1), (2, 2000), (1, 1), (2, 2), (1, 65), (9, 700), (31, 40)]
"""(height, width) of images whose copies have hardly any pixels in one direction."""


@pytest.mark.parametrize("side", [0, 160, 320])
@pytest.mark.parametrize("shape", THIN)
def test_find_faces_thin_image_has_none(shape, side):
    class Network(Counting):
        """Halves the resolution five times, as networks do."""

        def detect(self, image):
            assert min(image.shape[:2]) >= 32
            return super().detect(image)

        def detect_batch(self, images):
            return [self.detect(image) for image in images]

    image = np.zeros((*shape, 3), np.uint8)

    assert find_faces(Network(), image, side) == []
    assert find_faces_in_batch(Network(), [image, image], side) == [[], []]


def test_find_faces_thin_image_has_none_for_a_detector(centerface):
    for shape in THIN:
        assert find_faces(centerface, np.zeros((*shape, 3), np.uint8), centerface.frame_side) == []


def test_find_faces_boxes_are_in_pixels_of_the_image():
    class Corner(Counting):
        def detect(self, image):
            super().detect(image)
            return [Box(0, 0, 10, 20, 0.9, ((5.0, 5.0),))] if max(image.shape) == 640 else []

    [box] = find_faces(Corner(), np.zeros((960, 1280, 3), np.uint8), 320)

    assert (box.left, box.top, box.right, box.bottom) == (0, 0, 20, 40)
    assert box.landmarks == ((10.0, 10.0),)
