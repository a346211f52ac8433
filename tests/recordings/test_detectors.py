"""Each detector is fed what it expects, and missing weights are told, never fetched in silence."""

import builtins
import importlib
import socket
import sys
import types

import numpy as np
import pytest
import torch

from milmer_cli.errors import MilmerError, WeightsError
from milmer_cli.recordings import detectors
from milmer_cli.recordings.boxes import Box
from milmer_cli.recordings.detectors import DETECTORS, FaceFinder, choose_detector
from milmer_cli.settings.schema import FacesSettings

WITH_WEIGHTS = [name for name, kind in DETECTORS.items() if kind.files]


def settings(folder, detector="auto"):
    return FacesSettings(detector=detector, weights=str(folder))


def put(folder, *names):
    for name in names:
        for file, _ in DETECTORS[name].files:
            (folder / file).write_bytes(b"weights")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_missing_weights_are_named_with_their_place_and_address(tmp_path, name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: object())

    with pytest.raises(WeightsError) as caught:
        FaceFinder(settings(tmp_path, name))

    file, address = DETECTORS[name].files[0]
    assert file in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert address in caught.value.hint
    assert str(tmp_path / file) in caught.value.hint


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    put(tmp_path, "scrfd", "retinaface")

    with pytest.raises(WeightsError, match="pip install onnxruntime"):
        FaceFinder(settings(tmp_path, "scrfd"))
    with pytest.raises(WeightsError, match="pip install torchvision"):
        FaceFinder(settings(tmp_path, "retinaface"))
    assert choose_detector(settings(tmp_path))[0] == "dlib"


def test_auto_is_dlib_without_weights_and_says_so(tmp_path):
    finder = FaceFinder(settings(tmp_path))

    assert finder.name == "dlib"
    assert str(tmp_path) in finder.note


def test_auto_takes_the_best_that_is_at_hand(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: object())
    put(tmp_path, "yunet")
    assert choose_detector(settings(tmp_path))[0] == "yunet"
    put(tmp_path, "retinaface")
    name, note = choose_detector(settings(tmp_path))
    assert name == "retinaface"
    assert "retinaface" in note
    put(tmp_path, "sfd")
    assert choose_detector(settings(tmp_path))[0] == "sfd"
    assert choose_detector(settings(tmp_path, "dlib")) == ("dlib", "")


def test_weights_are_looked_for_in_the_hub_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    put(folder, "sfd")

    assert choose_detector(FacesSettings())[0] == "sfd"


@pytest.mark.parametrize("name", ["sfd", "blazeface", "yunet"])
def test_weights_that_are_none_are_refused(tmp_path, name):
    put(tmp_path, name)

    with pytest.raises(WeightsError, match=rf"not those of the face detector {name}"):
        FaceFinder(settings(tmp_path, name))


@pytest.mark.parametrize("name", ["sfd", "blazeface"])
def test_weights_that_carry_code_are_refused_and_it_does_not_run(tmp_path, name):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return (builtins.open, (str(marker), "w"))

    put(tmp_path, name)
    torch.save({"weight": Hostile()}, tmp_path / DETECTORS[name].files[0][0])

    with pytest.raises(WeightsError):
        FaceFinder(settings(tmp_path, name))
    assert not marker.exists()


def test_a_network_runs_from_the_folder_of_weights(tmp_path):
    from face_alignment.detection.sfd.net_s3fd import s3fd

    torch.manual_seed(0)
    torch.save(s3fd().state_dict(), tmp_path / DETECTORS["sfd"].files[0][0])

    finder = FaceFinder(settings(tmp_path, "sfd"))

    assert finder.name == "sfd"
    for box in finder.find(np.zeros((64, 96, 3), np.uint8)):
        assert 0.5 <= box.score <= 1


@pytest.mark.parametrize(
    ("name", "bgr"), [("sfd", False), ("yunet", False), ("retinaface", True), ("scrfd", True)]
)
def test_a_detector_is_given_its_colour_order_and_its_rows_become_boxes(
    tmp_path, monkeypatch, name, bgr
):
    given = []

    class Fake:
        def __init__(self, device, verbose, path_to_detector):
            assert path_to_detector == str(tmp_path / DETECTORS[name].files[0][0])

        def detect_from_image(self, image):
            given.append(image)
            return [[1, 2, 11, 22, 0.7], [0, 0, 50, 60, 0.9], [3, 3, 3, 9, 0.8], []]

    module = types.SimpleNamespace(FaceDetector=Fake)
    real = importlib.import_module
    fake = f"face_alignment.detection.{name}"
    monkeypatch.setattr(
        detectors.importlib, "import_module", lambda n: module if n == fake else real(n)
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda package: object())
    put(tmp_path, name)
    red = np.zeros((80, 90, 3), np.uint8)
    red[..., 0] = 255

    boxes = FaceFinder(settings(tmp_path, name)).find(red)

    assert given[0][0, 0].tolist() == ([0, 0, 255] if bgr else [255, 0, 0])
    assert [(box.left, box.right, box.score) for box in boxes] == [(0, 50, 0.9), (1, 11, 0.7)]


def test_retinaface_takes_its_means_in_the_order_given():
    # The means 104, 117, 123 are those of blue, green, red: what it is given must be BGR.
    pytest.importorskip("torchvision")
    from face_alignment.detection.retinaface.retinaface_detector import RetinaFaceDetector

    seen = []

    class Net:
        def __call__(self, image):
            seen.append(image[0, :, 0, 0].tolist())
            raise StopIteration

    detector = object.__new__(RetinaFaceDetector)
    detector.device, detector.face_detector = "cpu", Net()
    with pytest.raises(StopIteration):
        detector.detect_from_image(np.full((32, 32, 3), 200, np.uint8))
    assert seen == [[96.0, 83.0, 77.0]]


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("libGL.so.1: cannot open shared object file", "apt-get install libgl1 libglib2.0-0"),
        ("libgthread-2.0.so.0: cannot open shared object file", "opencv-python-headless"),
        ("No module named 'cv2'", "faces.detector"),
    ],
)
def test_opencv_without_its_system_library_is_one_helpful_sentence(
    tmp_path, monkeypatch, said, hint
):
    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name == "cv2":
                raise ImportError(said)

    for name in [n for n in sys.modules if n == "cv2" or n.startswith("face_alignment")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])

    with pytest.raises(MilmerError) as caught:
        FaceFinder(settings(tmp_path))
    assert hint in caught.value.hint
    assert said in caught.value.message
    assert "\n" not in str(caught.value)


def test_alignment_without_its_network_says_what_is_missing(tmp_path):
    with pytest.raises(WeightsError, match="2DFAN4-11f355bf06") as caught:
        FaceFinder(FacesSettings(detector="dlib", weights=str(tmp_path), align=True))
    assert "https://" in caught.value.hint
    assert "faces.align=false" in caught.value.hint


def test_alignment_refuses_weights_that_are_none(tmp_path):
    (tmp_path / "2DFAN4-11f355bf06.pth.tar").write_bytes(b"weights")

    with pytest.raises(WeightsError, match="not those of the landmark network"):
        FaceFinder(FacesSettings(detector="dlib", weights=str(tmp_path), align=True))


def test_the_tilt_is_read_from_the_heat_maps_of_the_loaded_network(tmp_path, monkeypatch):
    class Network(torch.nn.Module):
        """Marks the darker spots of the image as eyes, as 2DFAN-4 would."""

        def __init__(self, modules):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(modules))

        def forward(self, faces):
            small = torch.nn.functional.avg_pool2d(1 - faces.mean(dim=1, keepdim=True), 4)
            heat = torch.zeros(1, 68, 64, 64)
            heat[:, 36:42, :, :32] = small[..., :32]
            heat[:, 42:48, :, 32:] = small[..., 32:]
            return [torch.zeros_like(heat), heat]

    monkeypatch.setattr("face_alignment.models.FAN", Network)
    torch.save(Network(4).state_dict(), tmp_path / "2DFAN4-11f355bf06.pth.tar")
    finder = FaceFinder(FacesSettings(detector="dlib", weights=str(tmp_path), align=True))
    ys, xs = np.mgrid[:480, :640]
    image = np.full((480, 640, 3), 255, np.uint8)
    for x, y in ((290, 190), (350, 220)):  # falls by 30 over 60
        image[(xs - x) ** 2 + (ys - y) ** 2 < 8**2] = 0

    tilt = finder.eyes.tilt(image, Box(260, 150, 380, 280))

    assert tilt == pytest.approx(np.degrees(np.arctan2(30, 60)), abs=4)
