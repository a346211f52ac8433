"""Names of classes, participants, channels and files appear as they are in figures and pages."""

from __future__ import annotations

import html
from dataclasses import replace

import numpy as np
import pytest

from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.results import FoldScores, ProtocolResult
from milmer_cli.metrics import SAMPLED_AXES, ResamplingOptions, SegmentPredictions, score
from milmer_cli.reports.evaluation import evaluation_page
from milmer_cli.reports.plots.evaluation import plot_confusion_matrix, plot_participant_accuracies
from milmer_cli.reports.plots.prediction import plot_plane, plot_scalp, plot_timeline
from milmer_cli.reports.plots.style import add_protocol_title, save_figure

MATH = ("$x^$", r"$\frac{1$", "a_b^c $ $", "$$")
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "'}}{{ 7*7 }}{% raw %}&amp;</style>",
    '--><svg/onload=alert(1)> id="x #1b2027',
)


def scores_of(class_names, participants):
    """Scores of 48 segments of 12 trials, whose names are those of the user."""
    rng = np.random.default_rng(0)
    rows = np.arange(48)
    names = np.array([participants[row // 4 % len(participants)] for row in rows])
    return score(
        SegmentPredictions(
            truth=rows // 4 % 4,
            probabilities=rng.dirichlet(np.ones(4), size=48),
            participant=names,
            trial_id=np.char.add(names, np.char.mod("/%d", rows // 4)),
            class_names=tuple(class_names),
            majority_class=np.zeros(48, int),
        ),
        ResamplingOptions(SAMPLED_AXES["trial"], n_bootstraps=50, n_permutations=50),
    )


@pytest.mark.parametrize("names", [MATH, HOSTILE], ids=["math", "hostile"])
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figures_with_any_names_are_saved(tmp_path, names, suffix):
    scores = scores_of(names, names)
    for figure in (
        plot_confusion_matrix(np.eye(4, dtype=int), names, truth_label=names[0]),
        plot_participant_accuracies(scores),
        plot_scalp(names, np.eye(4, 2), np.ones(4)),
        add_protocol_title(plot_participant_accuracies(scores), names[0], leaky=True),
    ):
        save_figure(figure, tmp_path / f"figure.{suffix}")
        assert (tmp_path / f"figure.{suffix}").stat().st_size > 1000


@pytest.mark.parametrize("names", [MATH, HOSTILE], ids=["math", "hostile"])
def test_figures_show_names_as_they_are(names, texts, prediction_of):
    figure = plot_participant_accuracies(scores_of(names, names))
    assert set(names) <= {html.unescape(text) for text in texts(figure)}
    prediction = replace(prediction_of(), class_names=names)
    for figure in (plot_timeline(prediction, 6.0), plot_plane(prediction)):
        assert texts(figure)


def test_evaluation_page_contains_no_markup_of_names(make_evaluation, read_page):
    scores = scores_of(HOSTILE, HOSTILE)
    folds = [FoldScores(HOSTILE[0], 120, 24, 48, 7, 0.4, 0.38, 0.27)]
    result = ProtocolResult("trial", {MAIN: scores}, folds)
    page = evaluation_page(make_evaluation(result, title=HOSTILE[1]))
    content = read_page(page)
    assert not {"script", "iframe"} & {tag for tag, _, _ in content.attributes}
    assert not [name for _, name, _ in content.attributes if name.startswith("on")]
    for name in HOSTILE:
        assert name not in page
    assert html.escape(HOSTILE[0]) in page
    assert "49" not in html.unescape(page).split("'}}{{ ")[1][:5]
