from __future__ import annotations

import html

import numpy as np
import pytest

from milmer_cli.reports.face_strips import attention_sentence
from milmer_cli.reports.prediction import prediction_page


def test_prediction_page_shows_score_notes_segments_and_faces(prediction_of, read_page):
    content = prediction_page(prediction_of(test_score="trial protocol: accuracy 41.7 %"))
    read = read_page(content)
    assert "trial protocol: accuracy 41.7 %" in read.sections["headline"]
    assert "Resampled." in content
    assert "0 to 3 s abstained" in read.sections["segments"]
    assert "no face found" in read.sections["faces"]
    assert content.count("data:image/jpeg;base64,") == 2 * 5
    assert "0.75" in read.sections["faces"]
    assert "plane" in read.sections
    expected = prediction_of().probabilities[1:].mean(axis=0)
    for share in expected:
        assert f"{100 * share:.1f} %" in read.sections["headline"]


@pytest.mark.slow
def test_prediction_page_without_video_or_with_two_classes(prediction_of, read_page):
    without = read_page(prediction_page(prediction_of(faces=False)))
    assert "faces" not in without.sections
    assert "Faces" not in without.sections["segments"]
    two = read_page(prediction_page(prediction_of(n_classes=2)))
    assert "plane" not in two.sections
    assert "high valence" in two.sections["headline"]


def test_prediction_page_if_all_segments_abstained(prediction_of, read_page):
    read = read_page(prediction_page(prediction_of(abstained=6)))
    assert "abstained on every segment" in read.sections["headline"]
    assert "plane" not in read.sections


@pytest.mark.slow
def test_prediction_page_of_a_long_recording(prediction_of):
    content = prediction_page(prediction_of(n=400))
    assert content.count('class="strip"') == 50
    assert "50 of 400 segments are shown" in html.unescape(content)
    assert len(content) < 3_000_000


@pytest.mark.slow
def test_prediction_page_shows_the_calibration_of_the_model(prediction_of, reliability, read_page):
    content = read_page(prediction_page(prediction_of(reliability=reliability)))
    assert "Measured on the test set of the model" in content.sections["why"]
    assert "too few to measure" not in content.sections["why"]


@pytest.mark.slow
def test_prediction_page_shows_the_class_in_large_type_only_above_chance(prediction_of, read_page):
    page = prediction_page(prediction_of(above_chance=True))
    assert 'class="big"' in page
    assert 'class="verdict neutral">Test performance of this model' in page
    page = prediction_page(prediction_of())
    assert 'class="big"' not in page
    assert 'class="verdict warning">Test performance of this model' in page
    headline = read_page(page).sections["headline"]
    assert "Do not use it as a result: the model is not shown to be above chance" in headline


def test_prediction_summary_states_that_the_model_is_not_above_chance(prediction_of):
    recording = dict(prediction_of().summary())["recording"]
    assert recording.endswith("; the model is not shown to be above chance on its test set")
    assert "chance" not in dict(prediction_of(above_chance=True).summary())["recording"]
    nothing = dict(prediction_of(abstained=6).summary())["recording"]
    assert nothing == "abstained: the quality or the confidence of all segments is too low"


@pytest.mark.parametrize(
    ("attention", "sentence"),
    [
        ([0.24, 0.26], "The attention is nearly uniform: each face has 0.96 to 1.04 times the"),
        ([0.1, 0.3], "A face has 0.50 to 1.50 times the mean."),
        ([1.0], ""),
        ([0.0, 0.0], ""),
    ],
)
def test_attention_sentence_names_nearly_uniform_attention(attention, sentence):
    found = attention_sentence(np.array(attention), "face")
    assert found.startswith(sentence)
    assert bool(found) == bool(sentence)
