"""CenterFace and every face detector of face-alignment behind one class, `FaceDetector`.

face-alignment 1.5 leaves the following to its callers:

- RetinaFace subtracts its channel means in BGR order from whatever it is given, and SCRFD swaps the
  channels once too often. Both therefore get BGR images; the other detectors get RGB.
- Without a path to the weights, a detector downloads them, without a timeout. `FaceDetector` always
  passes a path and reports missing files. With a path, PyTorch loads tensors only
  (``weights_only``).
- The dlib detector drops the scores; they are NaN.
"""

from __future__ import annotations

import importlib
import importlib.util
import shlex
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # only to catch it: nothing is unpickled here
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch

from milmer_cli.errors import MilmerError, WeightsError
from milmer_cli.faces.boxes import Box
from milmer_cli.settings.schema import FacesSettings

_FAN_URL = "https://www.adrianbulat.com/downloads/python-fan/"
_TORCH_DEVICES = ("cpu", "cuda", "mps")
_BATCH_PIXELS = 8_000_000
"""Pixels of all images of a pass: 19 frames of 720x576 pixels, or one of 4K."""


class _Backend(Protocol):
    """The interface of face-alignment's detectors, which `centerface.CenterFace` has too."""

    def detect_from_image(self, tensor_or_path: np.ndarray) -> Any: ...

    def detect_from_batch(self, tensor: torch.Tensor) -> Any: ...


@dataclass(frozen=True)
class DetectorSpec:
    """Properties of a detector.

    Attributes
    ----------
    weights
        (file name, URL) of each weight file.
    bgr
        Whether it expects BGR instead of RGB images.
    package
        Package that it needs and face-alignment does not install; empty for none.
    fixed_input_size
        Whether it resizes every image to a fixed size. Crops are then detected at another scale
        than whole frames, so such a detector must always get whole frames.
    frame_side, region_side
        Length of the longer side at which whole frames, and the region around a face, are searched
        first, in pixels; 0 for the full resolution.
    landmarks
        Whether it returns the landmarks of `boxes.Box`.
    batched
        Whether it processes several images in one pass.
    devices
        Types of the torch devices it can use.
    gpu_package
        Package that it needs on other devices than the CPU; empty for none.
    """

    weights: tuple[tuple[str, str], ...] = ()
    bgr: bool = False
    package: str = ""
    fixed_input_size: bool = False
    frame_side: int = 0
    region_side: int = 0
    landmarks: bool = False
    batched: bool = False
    devices: tuple[str, ...] = ("cpu",)
    gpu_package: str = ""

    def runs_on(self, device: str) -> bool:
        """Whether it can use a torch device, for example ``cuda:1``."""
        device_type = device.partition(":")[0]
        usable = device_type == "cpu" or _is_installed(self.gpu_package)
        return usable and device_type in self.devices


# By average precision on WIDER FACE "easy" (faces as large as a participant's): S3FD and SCRFD-2.5G
# 94 %, RetinaFace-MobileNet-0.25 91 %, YuNet 89 %. CenterFace (93 %) needs no download, so `auto`
# uses it if none of these was downloaded. BlazeFace, for phones, and dlib, which finds few faces
# below a cap, are used only if the settings name them.
DETECTORS: dict[str, DetectorSpec] = {
    "sfd": DetectorSpec(
        (("s3fd-619a316812.pth", _FAN_URL + "s3fd-619a316812.pth"),),
        batched=True,
        devices=_TORCH_DEVICES,
    ),
    "scrfd": DetectorSpec(
        (
            (
                "scrfd_2.5g_bnkps.onnx",
                "https://github.com/yakhyo/facial-analysis/releases/download/v0.0.1/det_2.5g.onnx",
            ),
        ),
        bgr=True,
        package="onnxruntime",
        fixed_input_size=True,
        devices=("cpu", "cuda"),
    ),
    "retinaface": DetectorSpec(
        (("retinaface_mobilenet0.25.pth", _FAN_URL + "retinaface_mobilenet0.25.pth"),),
        bgr=True,
        package="torchvision",
        devices=_TORCH_DEVICES,
    ),
    "yunet": DetectorSpec(
        (
            (
                "face_detection_yunet_2023mar.onnx",
                "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
                "face_detection_yunet_2023mar.onnx",
            ),
        )
    ),
    "centerface": DetectorSpec(
        frame_side=320,
        region_side=160,
        landmarks=True,
        batched=True,
        devices=_TORCH_DEVICES,
        gpu_package="onnx",
    ),
    "blazeface": DetectorSpec(
        tuple(
            (name, f"https://github.com/hollance/BlazeFace-PyTorch/raw/master/{name}")
            for name in ("blazeface.pth", "anchors.npy")
        ),
        fixed_input_size=True,
        devices=_TORCH_DEVICES,
    ),
    "dlib": DetectorSpec(),
}


class FaceDetector:
    """A loaded face detector.

    Parameters
    ----------
    settings
        ``detector``, ``weights_dir`` and ``align``.
    device
        torch device, for example ``cuda:1``. A detector that cannot use it runs on the CPU.

    Attributes
    ----------
    name
        Name of the detector.
    note
        As in `choose_detector`.
    device
        torch device of the detector.
    fixed_input_size, frame_side, region_side
        As in `DetectorSpec`.
    batched
        Whether `detect_batch` is faster than a search around faces: on a GPU.

    Raises
    ------
    WeightsError
        Weights are missing or belong to another network.
    MilmerError
        A library cannot be imported.
    """

    def __init__(self, settings: FacesSettings, device: str = "cpu") -> None:
        self.name, self.note = choose_detector(settings)
        spec, folder = DETECTORS[self.name], weights_dir(settings)
        self.fixed_input_size = spec.fixed_input_size
        self.frame_side, self.region_side = spec.frame_side, spec.region_side
        self._bgr, self._landmarks = spec.bgr, spec.landmarks
        self.device = device if spec.runs_on(device) else "cpu"
        self.batched = spec.batched and self.device != "cpu"
        self._backend = _load(self.name, _weight_files(self.name, folder), self.device)

    def detect(self, image: np.ndarray) -> list[Box]:
        """Detect faces at the resolution of the image; see also `search.find_faces`.

        Parameters
        ----------
        image
            (height, width, 3) uint8 RGB.

        Returns
        -------
        list of Box
            The largest first.
        """
        pixels = np.ascontiguousarray(image[:, :, ::-1] if self._bgr else image)
        return self._to_boxes(self._backend.detect_from_image(pixels))

    def detect_batch(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        """Detect the faces of several images of the same size; only if `batched`.

        Parameters
        ----------
        images
            (height, width, 3) uint8 RGB each. At most `_BATCH_PIXELS` enter one pass.
        """
        if not images:
            return []
        size = max(1, _BATCH_PIXELS // (images[0].shape[0] * images[0].shape[1]))
        boxes = []
        for first in range(0, len(images), size):
            batch = torch.from_numpy(np.stack(images[first : first + size]))
            rows = self._backend.detect_from_batch(batch.permute(0, 3, 1, 2))
            boxes += [self._to_boxes(own) for own in rows]
        return boxes

    def _to_boxes(self, rows: Iterable[Sequence[float]]) -> list[Box]:
        boxes = []
        for row in rows:
            values = [float(value) for value in row]
            if len(values) < 4 or not np.all(np.isfinite(values[:4])):
                continue  # BlazeFace returns one empty row if there is no face
            points = values[5:15] if self._landmarks else []
            landmarks = tuple(zip(points[::2], points[1::2], strict=True))
            left, top, right, bottom = values[:4]
            score = values[4] if len(values) > 4 else float("nan")
            box = Box(left, top, right, bottom, score, landmarks)
            if box.width > 1 and box.height > 1:
                boxes.append(box)
        return sorted(boxes, key=lambda box: -box.area)


def weights_dir(settings: FacesSettings) -> Path:
    """Return the folder of the weight files."""
    if settings.weights_dir:
        return Path(settings.weights_dir).expanduser()
    return Path(torch.hub.get_dir()) / "checkpoints"


def available_detectors(folder: Path) -> list[str]:
    """Return the detectors that can run, in the order in which ``auto`` prefers them.

    Parameters
    ----------
    folder
        Folder of the weight files.
    """
    return [name for name, spec in DETECTORS.items() if _is_available(spec, folder)]


def choose_detector(settings: FacesSettings) -> tuple[str, str]:
    """Resolve ``faces.detector`` without loading anything.

    Returns
    -------
    name
        Name of the detector.
    note
        Why ``auto`` chose it, and what would let it use the GPU of this machine; or empty.

    Raises
    ------
    WeightsError
        The settings name a detector whose weights or package are missing.
    """
    folder, name, notes = weights_dir(settings), str(settings.detector), list[str]()
    if name == "auto":
        name = available_detectors(folder)[0]
        reason = f"the best one whose weights are in {folder}"
        if not DETECTORS[name].weights:
            reason = f"{folder} does not contain the weights of another one"
        notes.append(f"The face detector is {name}: {reason}.")
    else:
        _weight_files(name, folder)
    spec = DETECTORS[name]
    if "cuda" in spec.devices and not spec.runs_on("cuda") and torch.cuda.is_available():
        notes.append(
            f"{name} runs on the CPU: on a GPU it needs the package {spec.gpu_package} "
            "(`pip install 'milmer-cli[gpu]'`)."
        )
    return name, " ".join(notes)


def uses_gpu(settings: FacesSettings) -> bool:
    """Whether the detector can use a CUDA device."""
    name, _ = choose_detector(settings)
    return DETECTORS[name].runs_on("cuda")


def _is_installed(package: str) -> bool:
    """Whether a package is installed; an empty name stands for none."""
    return not package or importlib.util.find_spec(package) is not None


def _is_available(spec: DetectorSpec, folder: Path) -> bool:
    if not _is_installed(spec.package):
        return False
    return all((folder / name).is_file() for name, _ in spec.weights)


def _weight_files(name: str, folder: Path) -> list[Path]:
    """Return the paths of a detector's weights, after checking that it can be loaded."""
    spec = DETECTORS[name]
    if not _is_installed(spec.package):
        raise WeightsError(
            f"The face detector {name} needs the package {spec.package}, which is not installed.",
            f"Run `pip install {spec.package}`, or choose another faces.detector.",
        )
    for file, url in spec.weights:
        if not (folder / file).is_file():
            raise WeightsError(
                f"The face detector {name} needs the weights {file}, which are not in {folder}.",
                f"Run `{_fetch_command(name, folder)}`, or download {url} to {folder / file}, or "
                "prepare with faces.detector=centerface, whose weights are installed with Milmer.",
            )
    return [folder / file for file, _ in spec.weights]


def _fetch_command(name: str, folder: Path) -> str:
    option = f" --weights-dir {shlex.quote(str(folder))}"
    return f"milmer weights fetch {name}{'' if folder == weights_dir(FacesSettings()) else option}"


def _load(name: str, paths: list[Path], device: str) -> _Backend:
    cv2 = _import("cv2", name)
    if name == "centerface":
        return _import("milmer_cli.faces.centerface", name).CenterFace(device)
    module = _import(f"face_alignment.detection.{name}", name)
    files = [str(path) for path in paths]
    arguments = dict(zip(("path_to_detector", "path_to_anchor"), files, strict=False))
    try:
        with warnings.catch_warnings():
            # face-alignment deprecates dlib, which is used when no other weights are available
            warnings.simplefilter("ignore")
            return module.FaceDetector(device=device, verbose=False, **arguments)
    except (
        cv2.error, UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, OSError
    ) as error:  # fmt: skip
        raise WeightsError(
            f"{' and '.join(files)} do not contain the weights of the face detector {name}.",
            f"Remove them and run `{_fetch_command(name, paths[0].parent)}`.",
        ) from error


def _import(module: str, detector: str) -> ModuleType:
    """Import late, so that commands without faces do not need these libraries."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if "libGL" in str(error) or "libgthread" in str(error):
            raise MilmerError(
                f"OpenCV, which face detection needs, lacks a system library: {error}.",
                "On a server run `apt-get install libgl1 libglib2.0-0`, or replace opencv-python "
                "by opencv-python-headless (`pip install opencv-python-headless`).",
            ) from error
        raise MilmerError(
            f"The face detector {detector} cannot be imported: {error}.",
            "Install the project's requirements again, or choose another faces.detector.",
        ) from error
