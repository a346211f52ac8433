from __future__ import annotations

from dataclasses import replace

import pytest

from milmer_cli.errors import InputError
from milmer_cli.faces.detector import DETECTORS
from milmer_cli.models.face_crop import describe_other_crop, write_face_crop
from milmer_cli.settings.schema import FacesSettings


@pytest.mark.parametrize(
    ("margin", "align", "detector", "difference"),
    [
        (0.2, True, "centerface", ""),
        (0.3, True, "centerface", "faces.margin=0.2 instead of 0.3)"),
        (0.2, False, "centerface", "faces.align=True instead of False)"),
        (0.2, True, "dlib", "faces.align=True instead of False)"),  # it returns no landmarks
    ],
)
def test_describe_other_crop_names_the_settings_that_differ(
    tmp_path, margin, align, detector, difference
):
    finetuned = FacesSettings(margin=0.2, align=True)
    write_face_crop(tmp_path, {"photographs": True, "crops": False}, finetuned, "centerface")

    message = describe_other_crop(tmp_path, FacesSettings(margin=margin, align=align), detector)

    assert difference in message
    assert bool(message) is bool(difference)


@pytest.mark.parametrize(
    ("trained", "align", "store", "difference"),
    [
        ("sfd", True, "yunet", "(faces.detector=sfd instead of yunet)"),
        ("sfd", False, "centerface", "(faces.detector=sfd instead of centerface)"),
        ("centerface", False, "dlib", "(faces.detector=centerface instead of dlib)"),
        ("dlib", True, "centerface", "(faces.detector=dlib instead of centerface, faces.align="),
        ("sfd", True, "sfd", ""),
    ],
)
def test_describe_other_crop_names_another_detector(tmp_path, trained, align, store, difference):
    faces = FacesSettings(align=align)
    write_face_crop(tmp_path, {"photographs": True}, faces, trained)

    message = describe_other_crop(tmp_path, faces, store)

    assert difference in message
    assert bool(message) is bool(difference)


def test_describe_other_crop_of_two_detectors_with_landmarks(tmp_path, monkeypatch):
    monkeypatch.setitem(DETECTORS, "yunet", replace(DETECTORS["yunet"], landmarks=True))
    write_face_crop(tmp_path, {"photographs": True}, FacesSettings(align=True), "centerface")
    assert describe_other_crop(tmp_path, FacesSettings(align=True), "yunet") == ""
    assert "yunet" in describe_other_crop(tmp_path, FacesSettings(align=False), "yunet")


@pytest.mark.parametrize("content", ["[]", "{}", '{"cropped": true}', "{", '{"cropped": {"a": 1}}'])
def test_describe_other_crop_of_a_damaged_file(tmp_path, content):
    (tmp_path / "face_crop.json").write_text(content)
    with pytest.raises(InputError, match=r"face_crop\.json"):
        describe_other_crop(tmp_path, FacesSettings(), "centerface")


def test_describe_other_crop_without_cropped_images(tmp_path):
    assert describe_other_crop(tmp_path, FacesSettings(), "centerface") == ""
    write_face_crop(tmp_path, {"crops": False}, FacesSettings(margin=0.2), "centerface")
    assert describe_other_crop(tmp_path, FacesSettings(), "centerface") == ""
    assert describe_other_crop("scratch:tiny", FacesSettings(), "centerface") == ""
