"""Detection of stressed faces, false detections, alignment, and appearance of faces.

    python bench/face_detection.py views [--seed 100] [--detector centerface]

and likewise `sides`, `alignment` and `appearance`.

- `views`: two photographed faces with caps, electrodes, masks, glasses, tilts, sizes and lighting
  in frames of 720x576 pixels (`face_views.py`), and crops of photographs without a face. Found
  means that the center of a box is within 0.8 eye distances of the center of the landmarks.
- `sides`: the same views at one size of the frame each, without changed copies.
- `alignment`: how far eyes and mouth are from their mean places in crops of tilted heads, with and
  without `faces.align`, and the accuracy of a linear classifier of the demo's four expressions.
- `appearance`: distances between views of the same person, of the other one, and of the wall.

The thresholds were chosen with seeds below 100.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import skimage
import torch
from face_views import (
    Portrait,
    View,
    background,
    cap,
    cap_and_electrodes,
    collins,
    cover_half,
    cover_mouth,
    draw_glasses,
    draw_mask,
    hopper,
    make_view,
)
from skimage import data
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from milmer_cli.datasets.synthetic.effects import QUADRANT_EXPRESSIONS
from milmer_cli.datasets.synthetic.face_image import EYES, LEFT, TOP, render_face
from milmer_cli.faces.appearance import SAME_STRUCTURE_DISTANCE, Appearance
from milmer_cli.faces.boxes import Box
from milmer_cli.faces.crop import crop_face
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.search import USUAL, find_faces
from milmer_cli.settings.schema import FacesSettings

CONDITIONS = {
    "bare": ((), {}),
    "cap": ((cap,), {}),
    "cap, electrodes": ((cap_and_electrodes,), {}),
    "cap, electrodes, tilt 20": ((cap_and_electrodes,), {"tilt": 20}),
    "tilt 45": ((), {"tilt": 45}),
    "cap, tilt -45": ((cap,), {"tilt": -45}),
    "tilt 90": ((), {"tilt": 90}),
    "cap, electrodes, brightness 0.2": ((cap_and_electrodes,), {"gain": 0.2}),
    "brightness 0.1": ((), {"gain": 0.1}),
    "cap, electrodes, brightness 1.8": ((cap_and_electrodes,), {"gain": 1.8}),
    "cap, mask": ((cap, draw_mask), {}),
    "cap, electrodes, glasses": ((cap_and_electrodes, draw_glasses), {}),
    "mouth covered": ((cover_mouth,), {}),
    "half covered": ((cover_half,), {}),
    "cap, electrodes, blurred": ((cap_and_electrodes,), {"blur": 3}),
}
EYE_DISTANCES = (14, 20, 35, 60, 110, 170)
EMPTY_CROPS = 12


def is_found(box: Box, view: View) -> bool:
    eye_distance = np.hypot(*(view.landmarks[1] - view.landmarks[0]))
    return bool(
        np.hypot(*(np.array(box.center) - view.landmarks.mean(axis=0))) < 0.8 * eye_distance
    )


def views(detector: FaceDetector, seed: int) -> None:
    found, first, false_boxes, start = defaultdict(list), [], 0, time.process_time()
    for portrait, (name, (drawings, changes)), eye_distance in itertools.product(
        (collins(), hopper()), CONDITIONS.items(), EYE_DISTANCES
    ):
        rng = np.random.default_rng([seed, eye_distance])
        view = make_view(portrait, rng, drawings, eye_distance, **changes)
        boxes = find_faces(detector, view.image, detector.frame_side)
        hit = any(is_found(box, view) for box in boxes)
        false_boxes += sum(not is_found(box, view) for box in boxes)
        found[name].append(hit)
        found[f"eyes {eye_distance} pixels apart"].append(hit)
        usual = find_faces(detector, view.image, detector.frame_side, USUAL)
        first.append(any(is_found(box, view) for box in usual))
    print(f"detector {detector.name}, {len(first)} views, seed {seed}\n")
    print("| view | found |\n|---|---|")
    for name, hits in found.items():
        print(f"| {name} | {sum(hits)} of {len(hits)} |")
    total = sum(sum(found[name]) for name in CONDITIONS)
    spent = (time.process_time() - start) / len(first)
    print(f"| all | {total} of {len(first)} |\n| all, first attempt only | {sum(first)} |")
    print(f"\nfalse boxes in these views: {false_boxes}; {spent * 1e3:.0f} ms per view")
    empty = [find_faces(detector, image, detector.frame_side) for image in empty_images(seed)]
    print(f"crops without a face, with a box: {sum(map(bool, empty))} of {len(empty)}")


def sides(detector: FaceDetector, seed: int) -> None:
    print("| longer side | " + " | ".join(f"eyes {d} pixels" for d in EYE_DISTANCES) + " | ms |")
    print("|---|" + "---|" * (len(EYE_DISTANCES) + 1))
    for side in (160, 256, 320, 384, 480, 720):
        found, spent = defaultdict(int), 0.0
        for portrait, (drawings, changes), eye_distance in itertools.product(
            (collins(), hopper()), CONDITIONS.values(), EYE_DISTANCES
        ):
            rng = np.random.default_rng([seed, eye_distance])
            view = make_view(portrait, rng, drawings, eye_distance, **changes)
            start = time.process_time()
            boxes = find_faces(detector, view.image, side, USUAL)
            spent += time.process_time() - start
            found[eye_distance] += any(is_found(box, view) for box in boxes)
        n_views = 2 * len(CONDITIONS) * len(EYE_DISTANCES)
        cells = " | ".join(f"{count} of {2 * len(CONDITIONS)}" for count in found.values())
        print(f"| {side} | {cells} | {spent / n_views * 1e3:.0f} |", flush=True)


def empty_images(seed: int) -> list[np.ndarray]:
    """Crops of photographs without a human face."""
    folder = Path(skimage.__file__).parent / "data"
    names = "brick.png chelsea.png coffee.png coins.png grass.png gravel.png hubble_deep_field.jpg "
    names += "ihc.png moon.png motorcycle_left.png page.png retina.jpg rocket.jpg text.png"
    photos = [cv2.imread(str(folder / name))[..., ::-1] for name in names.split()]
    photos += [*load_sample_images().images, data.astronaut()[200:]]
    rng, crops = np.random.default_rng(seed), []
    for photo in photos:
        for _ in range(EMPTY_CROPS):
            height, width = (int(side * rng.uniform(0.3, 1.0)) for side in photo.shape[:2])
            top, left = (
                rng.integers(0, side - part + 1)
                for side, part in zip(photo.shape[:2], (height, width), strict=True)
            )
            crops.append(np.ascontiguousarray(photo[top : top + height, left : left + width]))
    return crops


def expression_portraits() -> list[Portrait]:
    """Return the demo's face with its four expressions, on gray."""
    portraits = []
    for expression in QUADRANT_EXPRESSIONS:
        face = render_face(1.5, expression)
        alpha = face[..., 3:] / 255.0
        rgb = (face[..., :3] * alpha + 110 * (1 - alpha)).astype(np.uint8)
        eyes = (EYES - (LEFT, TOP)) * 1.5
        others = (collins().landmarks[2:] + np.array((40 - LEFT, -TOP))) * 1.5
        portraits.append(Portrait(rgb, np.vstack((eyes, others))))
    return portraits


def alignment(detector: FaceDetector, seed: int) -> None:
    print("| standard deviation of the tilt | faces.align | error of the landmarks | accuracy |")
    print("|---|---|---|---|")
    portraits = expression_portraits()
    for tilt_sd, align in itertools.product((0, 5, 15, 25), (False, True)):
        rng = np.random.default_rng([seed, tilt_sd])
        images, labels, errors = [], [], []
        for number in range(400):
            label = number % 4
            changes = {"eye_distance": rng.uniform(35, 60), "tilt": rng.normal(0, tilt_sd)}
            changes["gain"] = rng.uniform(0.6, 1.2)
            view = make_view(portraits[label], rng, **changes)
            boxes = find_faces(detector, view.image, detector.frame_side)
            if not boxes:
                continue
            marked = crop_face(mark(view), boxes[0], 0.1, 64, align)
            errors.append(marked_points(marked))
            image = crop_face(view.image, boxes[0], 0.1, 48, align).astype(float).mean(axis=-1)
            images.append(((image - image.mean()) / image.std()).ravel())
            labels.append(label)
        places = np.array(errors)
        spread = np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=-1)).mean()
        half = len(images) // 2
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=2000))
        model.fit(images[:half], labels[:half])
        accuracy = model.score(images[half:], labels[half:])
        print(f"| {tilt_sd} | {align} | {100 * spread / 64:.1f} % | {accuracy:.1%} |", flush=True)


def mark(view: View) -> np.ndarray:
    """Return a black frame with eyes and mouth in different colors."""
    frame = np.zeros_like(view.image)
    radius = max(2, round(0.08 * np.hypot(*(view.landmarks[1] - view.landmarks[0]))))
    for channel, point in enumerate((view.landmarks[0], view.landmarks[1], view.landmarks[3])):
        color = [255 * (channel == index) for index in range(3)]
        cv2.circle(frame, tuple(round(float(value)) for value in point), radius, color, -1)
    return frame


def marked_points(image: np.ndarray) -> np.ndarray:
    """Centers of the three colors, (3, 2) pixels."""
    weights = image.astype(float).transpose(2, 0, 1) + 1e-9
    rows, columns = np.indices(image.shape[:2])
    sums = weights.sum(axis=(1, 2))
    return np.stack([(weights * axis).sum(axis=(1, 2)) / sums for axis in (columns, rows)], axis=1)


def appearance(detector: FaceDetector, seed: int) -> None:
    same, other, wall = [], [], []
    rng = np.random.default_rng(seed)
    for session in range(40):
        drawings = ((), (cap,), (cap_and_electrodes,))[session % 3]
        eye_distance, gain = rng.uniform(30, 90), rng.uniform(0.5, 1.5)
        looks: list[list[Appearance]] = [[], []]
        for person, portrait in enumerate((collins(), hopper())):
            for _ in range(4):
                changes = {"tilt": rng.uniform(-20, 20), "gain": gain * rng.uniform(0.9, 1.1)}
                size = eye_distance * rng.uniform(0.9, 1.1)
                view = make_view(portrait, rng, drawings, size, **changes)
                (x, y), jitter = view.landmarks.mean(axis=0), rng.normal(0, 0.06, 4) * size
                edges = (x - 1.05 * size, y - 1.3 * size, x + 1.05 * size, y + 1.3 * size)
                box = Box(*(np.array(edges) + jitter))
                looks[person].append(Appearance.of(view.image, box))
                empty = np.clip(background(rng, view.image.shape[:2]), 0, 255).astype(np.uint8)
                wall.append((looks[person][-1], Appearance.of(empty, box)))
        same += [pair for person in looks for pair in itertools.combinations(person, 2)]
        other += list(itertools.product(*looks))
    print("| pair | pairs | match | color, 1 / 50 / 99 % | structure, 1 / 50 / 99 % |")
    print("|---|---|---|---|---|")
    for name, pairs in (("same person", same), ("other person", other), ("wall", wall)):
        matches = np.mean([a.matches(b) for a, b in pairs])
        color = np.quantile([a.color_distance(b) for a, b in pairs], [0.01, 0.5, 0.99])
        shape = np.quantile([a.structure_distance(b) for a, b in pairs], [0.01, 0.5, 0.99])
        quantiles = (" / ".join(f"{value:.2f}" for value in values) for values in (color, shape))
        print(f"| {name} | {len(pairs)} | {matches:.1%} | {' | '.join(quantiles)} |")
    pairs = list(itertools.combinations(lfw_looks(), 2))
    similar = np.mean([a.structure_distance(b) <= SAME_STRUCTURE_DISTANCE for a, b in pairs])
    print(f"\n{len(pairs)} pairs of LFW, the same person by structure alone: {similar:.1%}")


def lfw_looks() -> list[Appearance]:
    """Return the appearances of 100 gray faces of scikit-image's subset of LFW."""
    looks = []
    for face in (255 * data.lfw_subset()[:100]).astype(np.uint8):
        image = cv2.resize(np.repeat(face[..., None], 3, axis=-1), (100, 100))
        looks.append(Appearance.of(image, Box(8, 8, 92, 92)))
    return looks


SECTIONS = {"views": views, "sides": sides, "alignment": alignment, "appearance": appearance}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("section", choices=list(SECTIONS))
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--detector", default="centerface")
    arguments = parser.parse_args()
    sys.path.remove(str(Path(__file__).parent))  # numba would import the coverage.py of this folder
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    detector = FaceDetector(FacesSettings(detector=arguments.detector))
    SECTIONS[arguments.section](detector, arguments.seed)


if __name__ == "__main__":
    main()
