from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milmer_cli.reports.evaluation import evaluation_page
from milmer_cli.reports.html import (
    MAX_IMAGE_PX,
    flatten_settings,
    hide_home,
    image_data_url,
    split_settings,
)
from milmer_cli.reports.prediction import prediction_page
from milmer_cli.settings import load_settings


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


def test_split_settings_separates_those_that_differ_from_the_defaults():
    defaults = load_settings().model_dump(mode="json")
    values = {"seed": 3, "eeg": {"segment_s": defaults["eeg"]["segment_s"], "unknown": 1}}
    assert split_settings(values) == {
        "changed_settings": [("seed", "3"), ("eeg.unknown", "1")],
        "settings": [("eeg.segment_s", str(defaults["eeg"]["segment_s"]))],
    }


def test_hide_home_replaces_only_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    monkeypatch.setenv("USERPROFILE", "/home/jane")
    assert hide_home("/home/jane/data: /home/jane") == "~/data: ~"
    assert hide_home("/home/janet/data") == "/home/janet/data"
    assert hide_home("data:image/jpeg;base64,/home/jane/") == "data:image/jpeg;base64,/home/jane/"
    assert hide_home(3) == 3


@pytest.mark.slow
def test_page_contains_no_home_folder(monkeypatch, evaluation, prediction_of):
    monkeypatch.setenv("HOME", "/home/jane")
    monkeypatch.setenv("USERPROFILE", "/home/jane")
    run = "/home/jane/runs/<first>"
    provenance = {**evaluation.provenance, "store": run}
    for page in (
        evaluation_page(replace(evaluation, provenance=provenance, run=Path(run))),
        prediction_page(prediction_of(name=run, settings={"model": {"backbone": run}})),
    ):
        assert "jane" not in page
        assert "~/runs/&lt;first&gt;" in page


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
