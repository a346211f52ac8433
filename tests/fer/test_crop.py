from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from skimage import data

from helpers import RecordingProgress
from milmer_cli.device import Device
from milmer_cli.faces.extract import extract_faces
from milmer_cli.faces.jpeg import decode_face
from milmer_cli.fer import crop
from milmer_cli.fer.crop import consists_of_face_crops, crop_faces, cropping_detector
from milmer_cli.fer.dataset import load_image
from milmer_cli.fer.filtering import usable_images
from milmer_cli.fer.labeled_images import LabeledImage, LabeledImages
from milmer_cli.settings import load_settings
from milmer_cli.video.frames import VideoReader, VideoSpan

FACE = (165, 45, 285, 195)
"""Box around the face of the photograph."""


@pytest.fixture(scope="module")
def detector():
    settings = load_settings(overrides=["faces.detector=centerface"])
    return cropping_detector(settings, Device.from_settings(settings.run))


def labeled(*images):
    sources = [np.asarray(image) for image in images]
    named = tuple(LabeledImage(source, "x", str(i)) for i, source in enumerate(sources))
    return LabeledImages("folders", Path("data"), named)


def variants(image):
    """The image, mirrored, and with other brightness."""
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return [image, mirrored, *(ImageEnhance.Brightness(image).enhance(f) for f in (0.5, 0.8, 1.3))]


def test_crop_faces_excludes_images_without_a_face(detector):
    astronaut = Image.fromarray(data.astronaut()).crop((100, 0, 356, 256))
    images = [
        LabeledImage(np.array(astronaut.convert("L")), "happiness", "with"),
        LabeledImage(np.full((80, 80), 128, np.uint8), "sadness", "without"),
    ]
    settings = load_settings(overrides=["faces.image_size=64"])
    faces, reasons = crop_faces(images, detector, settings.faces)
    assert reasons == ["", "no face detected"]
    assert [(face.class_name, face.name, load_image(face).size) for face in faces] == [
        ("happiness", "with", (64, 64))
    ]


@pytest.mark.parametrize("align", ["true", "false"])
def test_crop_faces_gives_the_same_face_as_a_video(detector, tmp_path, align):
    """prepare and finetune-swin cut the same pixels out of the same picture."""
    settings = load_settings(overrides=[f"faces.align={align}", "faces.margin=0.3"]).faces
    path = tmp_path / "still.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        image = av.VideoFrame.from_ndarray(data.astronaut(), format="rgb24")
        container.mux(stream.encode(image))
        container.mux(stream.encode())
    (frame,) = VideoReader(path).frames_at(np.zeros(1))
    prepared = extract_faces(VideoSpan(path), np.zeros((1, 1)), settings, detector)
    (face,), _ = crop_faces(labeled(frame.image).images, detector, settings)
    assert np.array_equal(decode_face(prepared.images[0]), np.asarray(load_image(face)))


def test_cropping_detector_runs_on_the_device_of_the_settings(monkeypatch):
    devices = []

    class Detector:
        note = ""

    def face_detector(settings, device):
        devices.append(device)
        return Detector()

    monkeypatch.setattr(crop, "face_detector", face_detector)
    settings = load_settings()
    device = replace(Device.from_settings(settings.run), type="cuda")
    cropping_detector(settings, device)
    assert devices == ["cuda"]
    assert cropping_detector(load_settings(overrides=["finetune.crop=false"]), device) is None


@pytest.mark.parametrize("side", [48, 100, 224])
def test_consists_of_face_crops_is_true_for_tight_crops(detector, side):
    tight = Image.fromarray(data.astronaut()).crop(FACE).convert("L").resize((side, side))
    progress = RecordingProgress()
    images = labeled(*variants(tight))
    assert consists_of_face_crops(images, images.images, detector, progress)
    assert "used without cropping" in progress.text


def test_consists_of_face_crops_is_false_for_photographs(detector):
    images = labeled(*variants(Image.fromarray(data.astronaut())))
    progress = RecordingProgress()
    assert not consists_of_face_crops(images, images.images, detector, progress)
    assert progress.messages == []


def test_usable_images_decides_for_each_data_set(detector):
    """Photographs are cropped, and one without a face is excluded; tight crops stay whole."""
    astronaut = Image.fromarray(data.astronaut())
    photographs = labeled(*variants(astronaut), Image.new("RGB", (300, 300), "gray"))
    tight = labeled(*variants(astronaut.crop(FACE).resize((48, 48))))
    settings = load_settings(overrides=["faces.image_size=64"])
    photographs, tight = replace(photographs, path=Path("P")), replace(tight, path=Path("T"))
    usable, skipped, is_cropped = usable_images([photographs, tight], detector, settings)
    assert [load_image(image).size for image in usable] == [(64, 64)] * 5 + [(48, 48)] * 5
    assert skipped == [("5", "no face detected")]
    assert is_cropped == {"P": True, "T": False}
