"""Detect and crop the face of each image with the functions that `prepare` uses for videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from milmer_cli.device import Device
from milmer_cli.faces.boxes import Box
from milmer_cli.faces.crop import face_image
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.jpeg import encode_face
from milmer_cli.faces.regions import detect_in_frames
from milmer_cli.faces.search import USUAL, find_faces
from milmer_cli.fer.dataset import load_image
from milmer_cli.fer.labeled_images import LabeledImage, LabeledImages
from milmer_cli.preprocessing import face_detector
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.settings.schema import FacesSettings

NO_FACE = "no face detected"
MAX_FACE_SHARE = 0.75
"""Share of the image's shorter side from which a face fills the image. Cropping with the default
margin would enlarge such a face by 11 % at most, which is less than the augmentation does."""
N_SAMPLE = 100
"""Images of a data set that decide whether it consists of face crops."""


def cropping_detector(
    settings: Settings, device: Device, progress: Progress = SILENT
) -> FaceDetector | None:
    """Return the face detector of ``settings.faces`` on ``device``; None without cropping."""
    if settings.finetune.crop == "false":
        return None
    detector = face_detector(settings.faces, device.type)
    if detector.note:
        progress.note(detector.note, "info")
    return detector


def consists_of_face_crops(
    data_set: LabeledImages,
    images: Sequence[LabeledImage],
    detector: FaceDetector,
    progress: Progress = SILENT,
) -> bool:
    """Return whether the images of a data set are face crops already, which stay as they are.

    They are, unless a face smaller than `MAX_FACE_SHARE` of the image is found in at least half of
    a sample. In a tight crop, detectors find no face or one that fills the image.

    Parameters
    ----------
    data_set
        Named in the note.
    images
        Its decodable images, at least one.
    detector
        Searches `N_SAMPLE` images, evenly spaced, each once.
    progress
        Receives a note if the images are face crops.
    """
    rows = np.unique(np.linspace(0, len(images) - 1, N_SAMPLE).astype(int))
    n_small = sum(_contains_small_face(images[row], detector) for row in rows)
    if 2 * n_small >= len(rows):
        return False
    progress.note(
        f"The images of {data_set.path} are used without cropping: a face smaller than "
        f"{MAX_FACE_SHARE:.0%} of the image was found in {n_small} of {len(rows)} of them, so they "
        "count as face crops. finetune.crop=true crops them.",
        "info",
    )
    return True


def crop_faces(
    images: Sequence[LabeledImage],
    detector: FaceDetector,
    faces: FacesSettings,
    progress: Progress = SILENT,
) -> tuple[list[LabeledImage], list[str]]:
    """Replace every image by its largest face.

    Parameters
    ----------
    images
        Decodable images. Their faces are kept in memory, encoded as in a prepared store.
    detector
    faces
        ``margin``, ``image_size`` and ``align``.
    progress
        Advanced by images.

    Returns
    -------
    cropped
        Only images with a face.
    reasons
        For each of ``images``, why it has no face; empty if it has one.
    """
    task = "crop faces"
    progress.start(task, len(images), "images")
    cropped, reasons = [], []
    for image in images:
        pixels = np.asarray(load_image(image))
        (boxes,) = detect_in_frames(detector, [pixels])
        if boxes:
            face = encode_face(face_image(pixels, boxes[0], faces))
            cropped.append(replace(image, source=face))
        reasons.append("" if boxes else NO_FACE)
        progress.advance(task)
    progress.done(task)
    return cropped, reasons


def _contains_small_face(image: LabeledImage, detector: FaceDetector) -> bool:
    pixels = np.asarray(load_image(image))
    boxes: list[Box] = find_faces(detector, pixels, detector.frame_side, USUAL)
    limit = MAX_FACE_SHARE * min(pixels.shape[:2])
    return bool(boxes) and max(boxes[0].width, boxes[0].height) < limit
