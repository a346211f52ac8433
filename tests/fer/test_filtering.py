from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from helpers import RecordingProgress
from milmer_cli.errors import InputError
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.fer.filtering import usable_images
from milmer_cli.fer.labeled_images import LabeledImage, LabeledImages
from milmer_cli.settings import load_settings


def data_set(*images):
    return LabeledImages("folders", Path("data"), images)


def test_usable_images_excludes_and_lists_undecodable_files(tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "good.png")
    Image.effect_noise((64, 64), 90).save(tmp_path / "whole.jpg")
    (tmp_path / "truncated.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    names = ("good.png", "truncated.jpg", "text.jpg", "empty.png")
    images = [LabeledImage(tmp_path / name, "x", name) for name in names]
    progress = RecordingProgress()
    usable, skipped, _ = usable_images([data_set(*images)], None, load_settings(), progress)
    assert [image.name for image in usable] == ["good.png"]
    assert [name for name, _ in skipped] == list(names[1:])
    assert all(reason for _, reason in skipped)
    assert "truncated.jpg" in progress.warnings[0]


def test_usable_images_counts_images_with_an_unknown_range_of_samples(tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "good.png")
    Image.fromarray(np.full((8, 8), -1.0, np.float32)).save(tmp_path / "float.tiff")
    Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(tmp_path / "integer.tiff")
    names = ("good.png", "float.tiff", "integer.tiff")
    images = [LabeledImage(tmp_path / name, "x", name) for name in names]
    progress = RecordingProgress()

    usable, skipped, _ = usable_images([data_set(*images)], None, load_settings(), progress)

    assert [image.name for image in usable] == ["good.png"]
    assert [name for name, _ in skipped] == ["float.tiff", "integer.tiff"]
    assert "2 images are excluded: float.tiff (floating-point samples from -1" in progress.text


def test_usable_images_rejects_a_set_without_any(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    image = LabeledImage(tmp_path / "text.jpg", "x", "text.jpg")
    with pytest.raises(InputError, match=r"None of the 1 images can be used: text\.jpg"):
        usable_images([data_set(image)], None, load_settings())


def test_usable_images_excludes_an_image_of_one_row(tmp_path):
    Image.new("RGB", (1000, 1)).save(tmp_path / "thin.png")
    Image.fromarray(data.astronaut()[:300]).save(tmp_path / "face.png")
    images = [LabeledImage(tmp_path / name, "x", name) for name in ("thin.png", "face.png")]
    settings = load_settings(overrides=["finetune.crop=true", "faces.detector=centerface"])

    usable, skipped, _ = usable_images([data_set(*images)], FaceDetector(settings.faces), settings)

    assert [image.name for image in usable] == ["face.png"]
    assert skipped == [("thin.png", "no face detected")]


class NoFace:
    batched = fixed_input_size = False
    frame_side = region_side = 0

    def detect(self, pixels):
        return []


def test_usable_images_without_a_face_are_all_excluded():
    image = LabeledImage(np.zeros((9, 9), np.uint8), "x", "gray")
    settings = load_settings(overrides=["finetune.crop=true"])
    with pytest.raises(InputError, match="no face detected") as caught:
        usable_images([data_set(image)], NoFace(), settings)
    assert "finetune.crop=false" in caught.value.hint


def test_usable_images_of_face_crops_are_all_used_as_they_are():
    """No face is found in any: none is dropped, and a note says so."""
    images = [LabeledImage(np.full((48, 48), g, np.uint8), "x", str(g)) for g in range(5)]
    progress = RecordingProgress()
    usable, skipped, _ = usable_images([data_set(*images)], NoFace(), load_settings(), progress)
    assert usable == images
    assert skipped == []
    assert progress.warnings == []
    assert "data are used without cropping" in progress.text
    assert "0 of 5" in progress.text
