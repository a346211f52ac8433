"""Turn a face until its eyes are level, where face-alignment's landmark network is at hand."""

from __future__ import annotations

from math import atan2, cos, degrees, radians, sin
from pathlib import Path
from pickle import UnpicklingError  # only the name of an error: nothing is unpickled here

import numpy as np
import torch
from PIL import Image

from milmer_cli.errors import WeightsError
from milmer_cli.recordings.boxes import Box

WEIGHTS = "2DFAN4-11f355bf06.pth.tar"
ADDRESS = f"https://www.adrianbulat.com/downloads/python-fan/{WEIGHTS}"

# Points of the 68-point scheme: the eye on the left of the image, and the other.
_LEFT, _RIGHT = slice(36, 42), slice(42, 48)


class EyeFinder:
    """The 2D landmark network of face-alignment (2DFAN-4), used for the tilt of the eyes only.

    Parameters
    ----------
    folder
        Where its weights are.
    reference_scale
        Of the detector whose boxes it gets.
    device
        ``cpu`` or ``cuda``.

    Raises
    ------
    WeightsError
        When the weights are not at hand, or not those of the network.
    """

    def __init__(self, folder: Path, reference_scale: float, device: str = "cpu") -> None:
        path = folder / WEIGHTS
        if not path.is_file():
            raise WeightsError(
                f"faces.align needs the landmark network {WEIGHTS}, which is not in {folder}.",
                f"Download {ADDRESS} to {path}, or set faces.align=false.",
            )
        from face_alignment.models import FAN  # on use: face-alignment imports OpenCV

        try:
            weights = torch.load(path, map_location=device, weights_only=True)
            self._network = FAN(4)
            self._network.load_state_dict(weights)
        except (
            UnpicklingError,
            RuntimeError,
            KeyError,
            EOFError,
            OSError,
            AttributeError,
        ) as error:
            raise WeightsError(
                f"The weights {path} are not those of the landmark network.",
                f"Download {ADDRESS} again.",
            ) from error
        self._network.to(device).eval()
        self._device = device
        self._scale = reference_scale

    @torch.no_grad()
    def tilt(self, image: np.ndarray, box: Box) -> float:
        """Give the angle of the line through the eyes, in degrees; positive: it falls to the right.

        Parameters
        ----------
        image
            RGB, (height, width, 3) uint8.
        box
            The face.
        """
        from face_alignment import utils

        x, y = box.centre
        centre = np.array([x, y - box.height * utils.CENTER_Y_OFFSET])
        scale = (box.width + box.height) / self._scale
        face = utils.crop(image, torch.from_numpy(centre), scale)
        pixels = torch.from_numpy(face.transpose(2, 0, 1)[None].astype(np.float32) / 255.0)
        heat = self._network(pixels.to(self._device))[-1].float().cpu().numpy()
        # The crop is square and upright, so angles in the heat maps are those in the image.
        peaks = heat[0].reshape(heat.shape[1], -1).argmax(axis=1)
        rows, columns = np.unravel_index(peaks, heat.shape[2:])
        return eye_tilt(np.stack([columns, rows], axis=1))


def eye_tilt(points: np.ndarray) -> float:
    """Give the angle of the line through the eyes of 68 landmarks (68, 2), in degrees, y down."""
    dx, dy = points[_RIGHT].mean(axis=0) - points[_LEFT].mean(axis=0)
    return degrees(atan2(float(dy), float(dx)))


def crop_level(
    frame: np.ndarray, box: Box, tilt: float, widen: float, size: int
) -> np.ndarray | None:
    """Cut a face out like `faces.crop`, turned so that its eyes are level.

    Returns
    -------
    ndarray or None
        (size, size, 3) uint8; None where the turned square would reach beyond the frame, because
        no pixels are invented.
    """
    height, width = frame.shape[:2]
    side = max(box.width, box.height) * (1 + 2 * widen)
    x, y = box.centre
    angle = radians(tilt)
    reach = side / 2 * (abs(cos(angle)) + abs(sin(angle)))
    if min(x, y, width - x, height - y) < reach:
        return None
    margin = 4  # for the filters; the copy is cut so that turning touches no more than it must
    x0, y0 = max(0, int(x - reach) - margin), max(0, int(y - reach) - margin)
    x1, y1 = min(width, int(x + reach) + margin + 1), min(height, int(y + reach) + margin + 1)
    part = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
    centre = (x - x0, y - y0)
    level = part.rotate(tilt, Image.Resampling.BICUBIC, center=centre)
    edges = (centre[0] - side / 2, centre[1] - side / 2, centre[0] + side / 2, centre[1] + side / 2)
    inside = (max(0.0, edges[0]), max(0.0, edges[1]), edges[2], edges[3])
    return np.asarray(level.resize((size, size), Image.Resampling.BICUBIC, box=inside))
