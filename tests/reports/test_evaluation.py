from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.metrics import METRICS, ResamplingOptions
from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.significance import compare_models
from milmer_cli.reports.evaluation import evaluation_page


@pytest.fixture(scope="module")
def page(evaluation) -> str:
    return evaluation_page(evaluation)


def test_evaluation_page_shows_metrics_of_every_protocol(page, protocol_results, read_page):
    content = read_page(page)
    for name, result in protocol_results.items():
        section, scores = content.sections[f"protocol-{name}"], result.scores
        for metric in METRICS:
            value = scores.segment[metric].value
            if metric == "accuracy":
                assert f"{100 * value:.1f} %" in section
            elif metric in ("kappa", "auc", "brier"):
                assert f"{value:.3f}" in section
        assert f"{100 * scores.chance.low:.1f} to" in section
        assert result.headline in content.sections["headline"] + section


def test_evaluation_page_headline_is_the_first_valid_protocol(page, protocol_results, read_page):
    headline = read_page(page).sections["headline"]
    accuracy = protocol_results["trial"].scores.accuracy.value
    assert f"{100 * accuracy:.1f} %" in headline
    assert "accuracy, trial protocol" in headline
    for term in ("majority class", "chance (permutation)", "trial level", "mean ± SD"):
        assert term in headline


def test_evaluation_page_marks_leaky_results(page, protocol_results, make_evaluation, read_page):
    content = read_page(page)
    assert "LEAKY" not in content.sections["headline"]
    assert "LEAKY: segments of the same trial" in content.sections["protocol-segment"]
    assert "LEAKY" in content.sections["ladder"]
    segment_only = make_evaluation(protocol_results["segment"])
    content = read_page(evaluation_page(segment_only))
    assert "LEAKY" in content.sections["headline"]
    assert "ladder" not in content.sections


def test_evaluation_page_marks_epoch_selection_on_the_test_set(
    protocol_results, make_evaluation, read_page
):
    result = replace(protocol_results["trial"], epoch_selected_on_test=True)
    content = read_page(evaluation_page(make_evaluation(result)))
    assert "LEAKY: the epoch was selected on the test set" in content.sections["headline"]
    assert "selected on the test set (too optimistic)" in content.sections["protocol-trial"]


def test_evaluation_page_escapes_text_and_shows_provenance(page):
    assert "<first>" not in page
    assert "runs/&lt;first&gt; &amp; best" in page
    for text in ("8 of 200 segments were excluded", "eeg.segment_s", "9f31c2aa", "How to read"):
        assert text in page


def test_evaluation_page_shows_undefined_values(protocol_results, make_evaluation, read_page):
    scores = protocol_results["trial"].scores
    classes = (replace(scores.classes[0], precision=np.nan), *scores.classes[1:])
    changed = replace(
        scores,
        classes=classes,
        undefined={"precision of a class": "1 class without the segments that it needs"},
    )
    result = replace(protocol_results["trial"], models={MAIN: changed})
    content = read_page(evaluation_page(make_evaluation(result)))
    section = content.sections["protocol-trial"]
    assert "Undefined: precision of a class (1 class without" in section
    assert "undefined" in section.replace("Undefined", "")
    assert "nan" not in section


def test_evaluation_page_shows_comparisons(protocol_results, make_evaluation, read_page):
    random = np.random.default_rng(0)
    correct = {"both": random.random(400) < 0.6, "eeg": random.random(400) < 0.3}
    comparisons = compare_models(
        {name: values.astype(float) for name, values in correct.items()},
        Clusters.of(stimulus=np.arange(400) // 10),
        "both",
        ResamplingOptions(),
    )
    result = replace(protocol_results["trial"], comparisons=comparisons)
    section = read_page(evaluation_page(make_evaluation(result))).sections["comparisons"]
    assert "both is better than eeg" in section
    assert f"{100 * comparisons[0].difference:+.1f} points" in section
    assert "400" in section


def test_evaluation_page_shows_deletion_curve_and_calibration(
    protocol_results, make_evaluation, deletion, reliability, read_page
):
    result = replace(protocol_results["trial"], deletion=deletion, reliability=reliability)
    content = read_page(evaluation_page(make_evaluation(result)))
    assert len(set(content.ids)) == len(content.ids)
    section = content.sections["diagnostics"]
    assert "Effect of removing selected faces" in section
    assert "more than removing random faces: 12.5 points" in section
    assert "calibrated, expected calibration error" in section
    equal = replace(result, deletion=replace(deletion, selected=deletion.random))
    section = read_page(evaluation_page(make_evaluation(equal))).sections["diagnostics"]
    assert "does not reduce the accuracy more" in section


def test_evaluation_page_shows_missing_electrodes(
    protocol_results, make_evaluation, electrodes, read_page
):
    result = replace(protocol_results["trial"], electrodes=electrodes)
    section = read_page(evaluation_page(make_evaluation(result))).sections["missing-electrodes"]
    for text in (
        "missing electrodes of 32",
        "same 123 segments",
        "Mean of 4 random sets",
        "45.0 % 42.0 to 47.0 %",
        "52.0 % 49.0 to 54.0 %",
    ):
        assert text in section
    masked = replace(result, electrodes=replace(electrodes, interpolated=None))
    section = read_page(evaluation_page(make_evaluation(masked))).sections["missing-electrodes"]
    assert "45.0 %" in section
    assert "52.0 %" not in section
    content = read_page(evaluation_page(make_evaluation(protocol_results["trial"])))
    assert "missing-electrodes" not in content.sections
