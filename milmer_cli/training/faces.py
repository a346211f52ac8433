"""Faces cut out of the pictures of expression data sets, with the code that prepares recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from milmer_cli.progress import SILENT, Progress
from milmer_cli.recordings.detectors import FaceFinder
from milmer_cli.recordings.faces import crop
from milmer_cli.settings.schema import FacesSettings
from milmer_cli.training.expressions import Picture
from milmer_cli.training.images import read_picture

NO_FACE = "no face found"


def cut_out_faces(
    pictures: Sequence[Picture], settings: FacesSettings, size: int, progress: Progress = SILENT
) -> tuple[list[Picture], list[str]]:
    """Replace every picture by its largest face.

    Parameters
    ----------
    pictures
        Readable ones. They are held in memory afterwards, size x size x 3 bytes each.
    settings
        Detector and margin, as for prepare.
    size
        Side of the faces, in pixels.
    progress
        Advanced by pictures.

    Returns
    -------
    pictures, reasons
        The faces, and for each picture why it has none; empty where it has.
    """
    finder = FaceFinder(settings)
    if finder.note:
        progress.note(finder.note, "info")
    task = "cut out faces"
    progress.start(task, len(pictures), "pictures")
    cut, reasons = [], []
    for picture in pictures:
        image = np.asarray(read_picture(picture))
        boxes = finder.find(image)
        if boxes:
            face = crop(image, boxes[0], settings.widen, size)
            cut.append(replace(picture, image=face))
        reasons.append("" if boxes else NO_FACE)
        progress.advance(task)
    progress.done(task)
    return cut, reasons
