"""Every face detector of face-alignment behind one `FaceFinder`: the only door to them.

What face-alignment 1.5 leaves to its caller, and is settled here:

- RetinaFace subtracts its means in blue-green-red order from whatever it is given, and SCRFD swaps
  the colours once too often, so these two get BGR; the others get RGB;
- given no path, a detector downloads its weights, however long that hangs: here it always gets one,
  and missing files are told. With a path PyTorch unpickles tensors only (``weights_only``);
- the dlib backend drops the score: it is NaN.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # only the name of an error: nothing is unpickled here
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch

from milmer_cli.errors import MilmerError, WeightsError
from milmer_cli.recordings.alignment import EyeFinder
from milmer_cli.recordings.boxes import Box
from milmer_cli.settings.schema import FacesSettings

_FAN = "https://www.adrianbulat.com/downloads/python-fan/"


class _Detector(Protocol):
    reference_scale: float

    def detect_from_image(self, tensor_or_path: np.ndarray) -> Any: ...


@dataclass(frozen=True)
class Kind:
    """What a detector needs: weight files with their addresses, colour order, an extra package.

    ``scale_bound`` detectors shrink the image to a fixed size, so they must see whole frames.
    """

    files: tuple[tuple[str, str], ...] = ()
    bgr: bool = False
    package: str = ""
    scale_bound: bool = False


# Best first, by average precision on WIDER FACE "easy" (faces as large as a participant's): S3FD
# and SCRFD-2.5G 94 %, RetinaFace-MobileNet 0.25 91 %, YuNet 89 %; BlazeFace is for phones.
DETECTORS: dict[str, Kind] = {
    "sfd": Kind((("s3fd-619a316812.pth", _FAN + "s3fd-619a316812.pth"),)),
    "scrfd": Kind(
        (
            (
                "scrfd_2.5g_bnkps.onnx",
                "https://github.com/yakhyo/facial-analysis/releases/download/v0.0.1/det_2.5g.onnx",
            ),
        ),
        bgr=True,
        package="onnxruntime",
        scale_bound=True,
    ),
    "retinaface": Kind(
        (("retinaface_mobilenet0.25.pth", _FAN + "retinaface_mobilenet0.25.pth"),),
        bgr=True,
        package="torchvision",
    ),
    "yunet": Kind(
        (
            (
                "face_detection_yunet_2023mar.onnx",
                "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
                "face_detection_yunet_2023mar.onnx",
            ),
        )
    ),
    "blazeface": Kind(
        tuple(
            (name, f"https://github.com/hollance/BlazeFace-PyTorch/raw/master/{name}")
            for name in ("blazeface.pth", "anchors.npy")
        ),
        scale_bound=True,
    ),
    "dlib": Kind(),
}


class FaceFinder:
    """A face detector, ready to use.

    Parameters
    ----------
    settings
        ``detector``, ``weights`` and ``align`` are read.
    device
        Where networks run, ``cpu`` or ``cuda``; yunet, scrfd's fallback and dlib run on the CPU.

    Attributes
    ----------
    name
        The detector in use.
    note
        Why it was chosen, one sentence; empty when it was named.
    scale_bound
        True when it must see whole frames.
    eyes
        The network that tells how a face is tilted; None when faces are not to be aligned.

    Raises
    ------
    WeightsError
        When the weights of a named detector, or of the landmark network when faces are to be
        aligned, are not at hand or not what they should be.
    MilmerError
        When a library it needs cannot be imported.
    """

    def __init__(self, settings: FacesSettings, device: str = "cpu") -> None:
        self.name, self.note = choose_detector(settings)
        kind = DETECTORS[self.name]
        self.scale_bound = kind.scale_bound
        self._bgr = kind.bgr
        paths = _weight_files(self.name, weights_folder(settings))
        self._detector = _build(self.name, paths, "cpu" if self.name == "dlib" else device)
        self.eyes: EyeFinder | None = None
        if settings.align:
            scale = self._detector.reference_scale
            self.eyes = EyeFinder(weights_folder(settings), scale, device)

    def find(self, image: np.ndarray) -> list[Box]:
        """Find the faces of an image.

        Parameters
        ----------
        image
            RGB, (height, width, 3) uint8.

        Returns
        -------
        list of Box
            Largest first; empty when there is no face.
        """
        given = np.ascontiguousarray(image[:, :, ::-1] if self._bgr else image)
        boxes = []
        for row in self._detector.detect_from_image(given):
            values = [float(value) for value in row[:5]]
            if len(values) < 4 or not np.all(np.isfinite(values[:4])):
                continue  # BlazeFace's "nothing" is one empty row
            box = Box(*values)
            if box.width > 1 and box.height > 1:
                boxes.append(box)
        return sorted(boxes, key=lambda box: -box.area)


def weights_folder(settings: FacesSettings) -> Path:
    """Folder in which weight files are looked for."""
    if settings.weights:
        return Path(settings.weights).expanduser()
    return Path(torch.hub.get_dir()) / "checkpoints"


def detectors_at_hand(folder: Path) -> list[str]:
    """Detectors that could run now, best first; dlib, which needs no file, is always the last."""
    return [name for name, kind in DETECTORS.items() if not _lacking(kind, folder)]


def choose_detector(settings: FacesSettings) -> tuple[str, str]:
    """Give the detector that the settings mean, and why; nothing is loaded.

    Raises
    ------
    WeightsError
        When a detector is named whose weights are not at hand.
    """
    folder = weights_folder(settings)
    if settings.detector == "auto":
        name = detectors_at_hand(folder)[0]
        if name == "dlib":
            why = f"no weights of a better detector are in {folder}"
        else:
            why = f"the best whose weights are in {folder}"
        return name, f"Faces are found by {name}: {why}."
    _weight_files(settings.detector, folder)
    return settings.detector, ""


def _lacking(kind: Kind, folder: Path) -> bool:
    package = bool(kind.package) and importlib.util.find_spec(kind.package) is None
    return package or not all((folder / name).is_file() for name, _ in kind.files)


def _weight_files(name: str, folder: Path) -> list[Path]:
    kind = DETECTORS[name]
    if kind.package and importlib.util.find_spec(kind.package) is None:
        raise WeightsError(
            f"The face detector {name} needs the package {kind.package}, which is not installed.",
            f"Run `pip install {kind.package}`, or choose another faces.detector.",
        )
    for file, address in kind.files:
        if not (folder / file).is_file():
            raise WeightsError(
                f"The face detector {name} needs its weights {file}, which are not in {folder}.",
                f"Download {address} to {folder / file}, or choose faces.detector=dlib, which "
                "needs none.",
            )
    return [folder / file for file, _ in kind.files]


def _build(name: str, paths: list[Path], device: str) -> _Detector:
    cv2 = _import("cv2", name)
    module = _import(f"face_alignment.detection.{name}", name)
    files = [str(path) for path in paths]
    arguments = dict(zip(("path_to_detector", "path_to_anchor"), files, strict=False))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "this detector is deprecated": dlib is the fallback
            return module.FaceDetector(device=device, verbose=False, **arguments)
    except (
        cv2.error, UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, OSError
    ) as error:  # fmt: skip
        raise WeightsError(
            f"The weights {' and '.join(files)} are not those of the face detector {name}.",
            f"Download {' and '.join(url for _, url in DETECTORS[name].files)} again.",
        ) from error


def _import(module: str, detector: str) -> ModuleType:
    """Import on use, so that work without faces needs none of these libraries."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if "libGL" in str(error) or "libgthread" in str(error):
            raise MilmerError(
                f"OpenCV, which finds the faces, needs a system library that is missing: {error}.",
                "On a server run `apt-get install libgl1 libglib2.0-0`, or replace opencv-python "
                "by opencv-python-headless (`pip install opencv-python-headless`).",
            ) from error
        raise MilmerError(
            f"The face detector {detector} cannot be used: {error}.",
            "Install the project's requirements again, or choose another faces.detector.",
        ) from error
