from __future__ import annotations

import dataclasses
import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from milmer_cli.metrics import METRICS, headline
from milmer_cli.metrics.comparison import compare
from milmer_cli.report.html import (
    EvaluationReport,
    Table,
    evaluation_page,
    prediction_page,
    write_page,
)
from milmer_cli.report.wording import ladder_reading, verdict

VOID = {"meta", "img", "br", "use", "path", "link"}


class Reader(HTMLParser):
    """Text of a page by section, its tags and ids; fails on tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.sections: dict[str, str] = {}
        self.inside = ""
        self.feed(page)
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "section":
            self.inside = dict(attrs).get("id", "settings")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        text = " ".join(data.split())
        self.sections[self.inside] = f"{self.sections.get(self.inside, '')} {text}".strip()


@pytest.fixture(scope="module")
def page(report):
    return evaluation_page(report)


def test_pages_are_whole_and_need_nothing_from_outside(page, prediction_of):
    for content in (page, prediction_page(prediction_of())):
        read = Reader(content)
        assert len(set(read.ids)) == len(read.ids)
        tags = {tag for tag, _, _ in read.attributes}
        assert not {"script", "link", "iframe"} & tags
        for _, name, value in read.attributes:
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:", "#"))
            if name in ("xlink:href", "href"):
                assert value[1:] in read.ids
        outside = re.findall(r"https?://[^\s\"']+", content)
        assert set(outside) <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
        assert "default-src 'none'" in content


def test_every_number_stands_with_protocol_interval_and_chance(page, results):
    read = Reader(page)
    for name, result in results.items():
        section = read.sections[f"protocol-{name}"]
        for metric in METRICS:
            found = result.scores.segment[metric]
            shown = f"{100 * found.value:.1f} %" if metric == "accuracy" else f"{found.value:.3f}"
            if metric in ("accuracy", "kappa", "auc", "brier"):
                assert shown in section
        assert f"{100 * result.scores.chance.low:.1f} to" in section
        assert headline(result.scores, name) in read.sections["headline"] + section
    trial = results["trial"].scores
    assert f"{100 * trial.segment['accuracy'].value:.1f} %" in read.sections["headline"]
    assert "accuracy, trial protocol" in read.sections["headline"]


def test_the_leaky_number_is_labelled_and_never_the_headline(page, results):
    read = Reader(page)
    assert "LEAKY" not in read.sections["headline"]
    assert "LEAKY: pieces of the same trial" in read.sections["protocol-segment"]
    assert "LEAKY" in read.sections["ladder"]
    alone = Reader(evaluation_page(EvaluationReport("x", [results["segment"]])))
    assert "LEAKY" in alone.sections["headline"]
    assert "ladder" not in alone.sections


def test_what_was_given_is_shown_and_escaped(page):
    assert "<first>" not in page
    assert "runs/&lt;first&gt; &amp; best" in page
    for text in ("Two videos are missing.", "eeg.segment_s", "9f31c2aa", "How to read this"):
        assert text in page


def test_undefined_is_said(results):
    scores = results["trial"].scores
    classes = (dataclasses.replace(scores.classes[0], precision=np.nan), *scores.classes[1:])
    broken = dataclasses.replace(scores, classes=classes, undefined={"precision of a class": 1})
    result = dataclasses.replace(results["trial"], scores=broken)
    section = Reader(evaluation_page(EvaluationReport("x", [result]))).sections["protocol-trial"]
    assert "undefined" in section
    assert "Undefined and left out of averages: precision of a class 1" in section
    assert "nan" not in section.replace("dominance", "")


def scores_with(scores, value, low, p, majority):
    estimate = dataclasses.replace(scores.segment["accuracy"], value=value, low=low)
    return dataclasses.replace(
        scores,
        segment={**scores.segment, "accuracy": estimate},
        chance=dataclasses.replace(scores.chance, p=p),
        majority=majority,
    )


@pytest.mark.parametrize(
    ("protocol", "low", "p", "tone", "words"),
    [
        ("segment", 0.9, 0.001, "bad", "LEAKY"),
        ("trial", 0.4, 0.2, "plain", "Not shown to be better than chance (p = 0.200"),
        ("trial", 0.25, 0.01, "plain", "not shown to be better than always naming"),
        ("trial", np.nan, 0.01, "plain", "not shown to be better than always naming"),
        ("participant", 0.4, 0.01, "good", "Better than shuffled labels, and than always"),
    ],
)
def test_verdicts(results, protocol, low, p, tone, words):
    scores = scores_with(results["trial"].scores, 0.5, low, p, 0.3)
    found = verdict(scores, protocol)
    assert found[0] == tone
    assert words in found[1]


def test_the_page_says_when_all_of_it_was_leak(results):
    leaky, lost = results["segment"].scores, results["participant"].scores
    chance = scores_with(lost, 0.26, 0.2, 0.4, 0.27)
    lines = ladder_reading([("segment", leaky), ("trial", chance)])
    assert len(lines) == 1
    assert "falls to 26.0 %" in lines[0]
    assert "what the segment protocol shows is leak" in lines[0]
    real = scores_with(lost, 0.6, 0.5, 0.001, 0.27)
    assert "leak" not in ladder_reading([("segment", leaky), ("trial", real)])[0]
    assert ladder_reading([("trial", real), ("participant", lost)]) == []


def test_prediction_page_shows_time_faces_trust_and_ratings(prediction_of):
    content = prediction_page(
        prediction_of(trust="trial protocol: accuracy 41.7 %", truth="LALV", notes=["Resampled."])
    )
    read = Reader(content)
    assert "trial protocol: accuracy 41.7 %" in read.sections["headline"]
    assert "LALV" in read.sections["headline"]
    assert "Resampled." in content
    assert "0 to 3 s abstained" in read.sections["segments"]
    assert "no face found" in read.sections["faces"]
    assert content.count("data:image/jpeg;base64,") == 2 * 5
    assert "0.75" in read.sections["faces"]
    assert "plane" in read.sections
    expected = prediction_of().timeline.probabilities[1:].mean(axis=0)
    for share in expected:
        assert f"{100 * share:.1f} %" in read.sections["headline"]


def test_prediction_without_video_or_with_two_classes(prediction_of):
    without = Reader(prediction_page(prediction_of(faces=False)))
    assert "faces" not in without.sections
    assert "Faces" not in without.sections["segments"]
    two = Reader(prediction_page(prediction_of(n_classes=2)))
    assert "plane" not in two.sections
    assert "high valence" in two.sections["headline"]


def test_abstaining_everywhere_is_no_prediction(prediction_of):
    report = prediction_of()
    silent = dataclasses.replace(report.timeline, abstained=np.ones(6, dtype=bool))
    read = Reader(prediction_page(dataclasses.replace(report, timeline=silent)))
    assert "abstained on every segment" in read.sections["headline"]
    assert "plane" not in read.sections


def test_a_long_recording_stays_a_page(prediction_of):
    content = prediction_page(prediction_of(n=400))
    assert content.count('class="strip"') == 50
    assert "50 of 400 segments are shown" in html.unescape(content)
    assert len(content) < 3_000_000


def test_a_page_appears_whole(tmp_path, page):
    write_page(tmp_path / "report.html", page)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_comparisons_tables_selection_and_confidence(results, curves):
    folds = {"both": np.array([0.5, 0.52, 0.48]), "eeg": np.array([0.3, 0.31, 0.3])}
    comparisons = compare(folds, 0.5)
    note = "Trial protocol, chance 25 %."
    table = Table("Missing modality", note, ["Given", "Accuracy"], [["EEG", "31.0 %"]])
    report = EvaluationReport(
        "x",
        [results["trial"]],
        comparisons=comparisons,
        tables=[table],
        deletion=curves["deletion"],
        reliability=curves["reliability"],
    )
    read = Reader(evaluation_page(report))
    assert len(set(read.ids)) == len(read.ids)
    assert "both is better than eeg" in read.sections["comparisons"]
    assert "+19.7 points" in read.sections["comparisons"]
    assert "Trial protocol, chance 25 %." in read.sections["settings"]
    assert "hurts more than deleting random ones: 12.5 points" in read.sections["why"]
    assert "after calibration, error" in read.sections["why"]
    flat = dataclasses.replace(curves["deletion"], chosen=curves["deletion"].random)
    page = evaluation_page(dataclasses.replace(report, deletion=flat))
    assert "is not shown to hurt more" in Reader(page).sections["why"]


def test_prediction_page_shows_the_confidence_the_model_had(prediction_of, curves):
    read = Reader(prediction_page(prediction_of(reliability=curves["reliability"])))
    assert "Measured where the model was tested" in read.sections["why"]
