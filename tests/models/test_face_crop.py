from __future__ import annotations

import pytest

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


def test_describe_other_crop_without_cropped_images(tmp_path):
    assert describe_other_crop(tmp_path, FacesSettings(), "centerface") == ""
    write_face_crop(tmp_path, {"crops": False}, FacesSettings(margin=0.2), "centerface")
    assert describe_other_crop(tmp_path, FacesSettings(), "centerface") == ""
    assert describe_other_crop("scratch:tiny", FacesSettings(), "centerface") == ""
