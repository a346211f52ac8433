"""Exclude images that cannot be decoded, and after cropping those without a face."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from milmer_cli.errors import InputError, first_line, shorten
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.fer.crop import consists_of_face_crops, crop_faces
from milmer_cli.fer.dataset import load_image
from milmer_cli.fer.labeled_images import LabeledImage, LabeledImages
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings

MAX_LISTED = 5

Skipped = list[tuple[str, str]]
"""Names of excluded images, each with the reason."""


def find_undecodable(images: Sequence[LabeledImage], progress: Progress = SILENT) -> list[str]:
    """Decode every image once.

    Returns
    -------
    list of str
        For each image why it cannot be used; empty if it can.
    """

    def decoding_error(image: LabeledImage) -> str:
        try:
            load_image(image)
        except Exception as error:  # Pillow's decoders raise any type of exception
            return first_line(error)
        return ""

    task = "decode images"
    progress.start(task, len(images), "images")
    reasons = []
    with ThreadPoolExecutor() as pool:
        for reason in pool.map(decoding_error, images):
            reasons.append(reason)
            progress.advance(task)
    progress.done(task)
    return reasons


class UsableImages(NamedTuple):
    """The images that can be used.

    Attributes
    ----------
    images
        Cropped or whole.
    skipped
        The excluded ones.
    is_cropped
        Whether the images of each data set were cropped; by its path.
    """

    images: list[LabeledImage]
    skipped: Skipped
    is_cropped: dict[str, bool]


def usable_images(
    data_sets: Sequence[LabeledImages],
    detector: FaceDetector | None,
    settings: Settings,
    progress: Progress = SILENT,
) -> UsableImages:
    """Return the images that can be used, and the excluded ones.

    Parameters
    ----------
    data_sets
    detector
        Crops each image to its largest face; None to use whole images.
    settings
        ``finetune.crop``: with ``auto``, data sets of face crops are not cropped again. ``faces``.
    progress
        Receives one warning that lists excluded images.

    Raises
    ------
    InputError
        No image can be used.
    """
    usable: list[LabeledImage] = []
    skipped: Skipped = []
    is_cropped: dict[str, bool] = {}
    for data_set in data_sets:
        reasons = find_undecodable(data_set.images, progress)
        skipped += _with_reason(data_set.images, reasons)
        pairs = zip(data_set.images, reasons, strict=True)
        images = [image for image, reason in pairs if not reason]
        stays_whole = not (detector and images) or _stays_whole(
            data_set, images, detector, settings, progress
        )
        is_cropped[str(data_set.path)] = not stays_whole
        if detector and not stays_whole:
            cropped, reasons = crop_faces(images, detector, settings.faces, progress)
            skipped += _with_reason(images, reasons)
            images = cropped
        usable += images
    if not usable:
        raise InputError(
            f"None of the {len(skipped)} images can be used: {skipped[0][0]}: {skipped[0][1]}.",
            "Check the files" + (", or set finetune.crop=false." if detector else "."),
        )
    if skipped:
        listed = shorten([f"{name} ({reason})" for name, reason in skipped], MAX_LISTED, "; ")
        progress.note(f"{len(skipped)} images are excluded: {listed}.", "warning")
    return UsableImages(usable, skipped, is_cropped)


def _stays_whole(
    data_set: LabeledImages,
    images: Sequence[LabeledImage],
    detector: FaceDetector,
    settings: Settings,
    progress: Progress,
) -> bool:
    automatic = settings.finetune.crop == "auto"
    return automatic and consists_of_face_crops(data_set, images, detector, progress)


def _with_reason(images: Sequence[LabeledImage], reasons: Sequence[str]) -> Skipped:
    return [(i.name, reason) for i, reason in zip(images, reasons, strict=True) if reason]
