from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from milmer_cli.reports.evaluation import evaluation_page
from milmer_cli.reports.html import MAX_IMAGE_PX, flatten_settings, image_data_url
from milmer_cli.reports.prediction import prediction_page


@pytest.mark.parametrize("kind", ["evaluation", "prediction"])
def test_render_page_is_self_contained(kind, evaluation, prediction_of, read_page):
    page = evaluation_page(evaluation) if kind == "evaluation" else prediction_page(prediction_of())
    content = read_page(page)
    assert len(set(content.ids)) == len(content.ids)
    assert not {"script", "link", "iframe"} & {tag for tag, _, _ in content.attributes}
    for _, name, value in content.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("data:", "#"))
        if name in ("xlink:href", "href"):
            assert value[1:] in content.ids
    urls = set(re.findall(r"https?://[^\s\"']+", page))
    assert urls <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page


def test_flatten_settings():
    values = {"seed": 3, "eeg": {"segment_s": 3.0, "ica": {"method": "none"}}}
    assert list(flatten_settings(values)) == [
        ("seed", "3"),
        ("eeg.segment_s", "3.0"),
        ("eeg.ica.method", "none"),
    ]


def test_image_data_url_is_a_small_jpeg():
    prefix, _, content = image_data_url(np.zeros((400, 200, 3), np.uint8)).partition(",")
    assert prefix == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (
        MAX_IMAGE_PX // 2,
        MAX_IMAGE_PX,
    )
