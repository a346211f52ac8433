from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape

from milmer_cli.evaluation.baselines import BAND_POWER, MAIN, MAJORITY
from milmer_cli.metrics import METRICS, ResamplingOptions
from milmer_cli.metrics.calibration import reliability_diagram
from milmer_cli.metrics.intervals import Clusters
from milmer_cli.metrics.significance import Comparison, compare_models
from milmer_cli.reports.evaluation import confusion_figure, evaluation_page
from milmer_cli.settings import load_settings
from milmer_cli.stages.evaluate import EvaluateResult


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
                value = scores.trial[metric].value
                assert f"{100 * value:.1f} %" in section
            elif metric in ("kappa", "auc", "brier"):
                assert f"{value:.3f}" in section
        text = section if name != "trial" else content.sections["headline"]
        assert f"{100 * scores.chance.low_trial:.1f} to" in text
        assert result.headline in content.sections["headline"] + section


def test_evaluation_page_headline_is_the_first_valid_protocol(page, protocol_results, read_page):
    headline = read_page(page).sections["headline"]
    scores = protocol_results["trial"].scores
    assert headline.startswith(
        f"Test performance {100 * scores.trial_accuracy.value:.1f} % accuracy over trials, trial"
    )
    assert f"segment level {100 * scores.accuracy.value:.1f} %" in headline
    for term in (
        "majority class of the training set",
        "majority class of each participant",
        "chance: 25 %",
        "null distribution, middle 95 %",
        "mean ± SD",
    ):
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


def test_evaluation_page_says_that_wide_tables_scroll(page):
    tables = re.findall(r'<div class="([^"]*)"><table.*?<thead>(.*?)</thead>', page, re.DOTALL)
    wide = [classes for classes, header in tables if len(re.findall("<th[ >]", header)) > 5]
    assert len(wide) > 1
    assert all("many" in classes.split() for classes in wide)


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


def test_evaluation_page_is_amber_and_names_the_baseline_that_is_better(
    protocol_results, make_evaluation, read_page
):
    trial = protocol_results["trial"]
    comparisons = [
        Comparison(MAIN, name, 72, difference, 0.0, 0.1, p, p, 1.0, 0.02)
        for name, difference, p in ((MAJORITY, 0.2, 0.001), (BAND_POWER, -0.156, 0.01))
    ]
    models = {MAIN: trial.scores, MAJORITY: trial.scores, BAND_POWER: trial.scores}
    result = make_evaluation(replace(trial, comparisons=comparisons, models=models))
    page = evaluation_page(result)
    headline = read_page(page).sections["headline"]
    assert f"best baseline without a network: {BAND_POWER}" in headline
    assert "-15.6 points for the model, p = 0.010" in headline
    tone, conclusion = result.main.conclusion
    assert tone == "warning"
    assert f'<p class="verdict warning">{escape(conclusion)}</p>' in page
    assert conclusion == result.to_json()["conclusion"]
    assert dict(EvaluateResult(Path("out"), result).summary())["conclusion"] == conclusion


def test_evaluation_page_states_no_accuracy_of_few_trials(
    protocol_results, make_evaluation, read_page
):
    trial = protocol_results["trial"]
    scores = replace(trial.scores, n_trials=5, trial_confusion=np.diag([2, 1, 0, 0]))
    result = make_evaluation(replace(trial, models={MAIN: scores}))
    headline = read_page(evaluation_page(result)).sections["headline"]
    assert headline.startswith("Test performance 3 of 3 test trials correct: 5 test trials, at")
    assert "No conclusion: 5 test trials, at least 14 are needed" in headline
    for text in ("interval", "segment level", "mean ± SD", "p = "):
        assert text not in headline


def test_evaluation_page_shows_changed_settings_first(protocol_results, make_evaluation, read_page):
    result = make_evaluation(protocol_results["trial"])
    text = read_page(evaluation_page(result)).sections["settings"]
    assert text.startswith("Settings All settings have their default values.")
    changed = replace(result, settings=load_settings(overrides=["train.epochs=3"]))
    text = read_page(evaluation_page(changed)).sections["settings"]
    assert text.startswith("Settings Different from the defaults train.epochs 3")
    assert text.count("train.epochs") == 1


def test_evaluation_page_shows_deletion_curve_and_calibration(
    protocol_results, make_evaluation, deletion, reliability, read_page
):
    result = replace(protocol_results["trial"], deletion=deletion, reliability=reliability)
    content = read_page(evaluation_page(make_evaluation(result)))
    assert len(set(content.ids)) == len(content.ids)
    section = content.sections["diagnostics"]
    assert "Effect of removing selected faces" in section
    assert "by 12.5 points more than removing random faces (p = 0.012)" in section
    assert "after calibration, expected calibration error" in section
    assert "too few to measure the calibration" not in section
    unclear = replace(deletion, comparison=replace(deletion.comparison, p_value=0.3))
    few = reliability_diagram(np.zeros(40, int), np.full((40, 4), 0.25))
    changed = replace(result, deletion=unclear, reliability=(few, None))
    section = read_page(evaluation_page(make_evaluation(changed))).sections["diagnostics"]
    assert "No difference between removing the selected faces and removing random" in section
    assert "40 segments are too few to measure the calibration" in section


def test_evaluation_page_shows_missing_electrodes(
    protocol_results, make_evaluation, electrodes, read_page
):
    result = replace(protocol_results["trial"], electrodes=electrodes)
    section = read_page(evaluation_page(make_evaluation(result))).sections["missing-electrodes"]
    for text in (
        "missing electrodes of 32",
        "same 123 segments",
        "mean of 4 random sets",
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


@pytest.mark.slow
def test_evaluation_page_names_the_baselines_that_are_left_out(evaluation, page):
    reason = "needs pyriemann, which is not installed"
    result = replace(evaluation, left_out={"Riemannian tangent space": reason})
    note = f"Baselines that are left out: Riemannian tangent space {reason}."
    assert note in evaluation_page(result)
    assert result.to_json()["baselines_left_out"] == {"Riemannian tangent space": reason}
    assert "left out" not in page


def test_confusion_figure_calls_labels_no_ratings(protocol_results, texts):
    rated = protocol_results["trial"]
    assert "rated by the participant" in texts(confusion_figure(rated))
    scores = replace(rated.scores, class_names=("anger", "calm", "joy", "sad"))
    labeled = replace(rated, models={MAIN: scores})
    shown = texts(confusion_figure(labeled))
    assert "label of the trial" in shown
    assert "rated by the participant" not in shown
