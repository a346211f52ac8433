"""Names of classes, participants, channels and files appear as they are in figures and pages."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.audit.leaks import Leak
from milmer_cli.audit.result import AuditResult
from milmer_cli.data.quality import QualityCounts
from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.results import FoldScores, ProtocolResult
from milmer_cli.inspection.coverage import Coverage
from milmer_cli.metrics import SAMPLED_AXES, ResamplingOptions, SegmentPredictions, score
from milmer_cli.metrics.significance import Comparison
from milmer_cli.prediction.request import Request
from milmer_cli.reports.audit import audit_page
from milmer_cli.reports.evaluation import evaluation_page
from milmer_cli.reports.inspection import inspection_page
from milmer_cli.reports.plots.evaluation import plot_confusion_matrix, plot_participant_accuracies
from milmer_cli.reports.plots.prediction import plot_plane, plot_scalp, plot_timeline
from milmer_cli.reports.plots.style import (
    MAX_NAME_LENGTH,
    add_protocol_title,
    save_figure,
    shorten_name,
)
from milmer_cli.reports.prediction import prediction_page

MATH = ("$x^$", r"$\frac{1$", "a_b^c $ $", "$$")
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "'}}{{ 7*7 }}{% raw %}&amp;</style>",
    '--><svg/onload=alert(1)> id="x #1b2027',
)
LONG = ("w" * 400, "first line\nsecond line", "a b " * 100, "\t<b>" + "x" * 100)
NAMES = pytest.mark.parametrize("names", [MATH, HOSTILE, LONG], ids=["math", "hostile", "long"])


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


@pytest.mark.slow
@NAMES
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


def evaluation_of(names, make_evaluation):
    """Page of an evaluation whose models, participants, classes, folds and notes are ``names``."""
    scores = scores_of(names, names)
    models = {MAIN: scores} | dict.fromkeys(names, scores)
    comparisons = [
        Comparison(MAIN, name, 12, 0.1, 0.0, 0.2, 0.01, 0.02, 1.0, 0.02, name) for name in names
    ]
    folds = [FoldScores(name, 120, 24, 48, 7, 0.4, 0.38, 0.27) for name in names]
    quality = [QualityCounts(name, 4, 1, 1, 1) for name in names]
    result = ProtocolResult("trial", models, folds, comparisons=comparisons)
    return evaluation_page(make_evaluation(result, title=names[1], quality=quality))


def audit_of(names):
    """Page of an audit whose file, participants, classes and leaks are named by ``names``."""
    leaks = tuple(Leak("shared_trial", 1, name) for name in names)
    baseline = Comparison("the model", names[0], 12, 0.1, 0.0, 0.2, 0.01, 0.02, 1.0, 0.02)
    scores = scores_of(names, names)
    return audit_page(
        AuditResult(
            Path(names[1]), "trial", scores, leaks, True, (baseline,), names[2], reliability=None
        )
    )


def prediction_of_names(names, prediction_of):
    """Page of a prediction whose files, classes, channels, notes and run are ``names``."""
    prediction = prediction_of(name=names[0], test_score=names[1], settings={"data": {"x": names}})
    segments = tuple(
        replace(segment, label="" if segment.abstained else names[0])
        for segment in prediction.segments
    )
    return prediction_page(
        replace(
            prediction,
            request=Request(Path(names[1]), Path(names[2])),
            class_names=names,
            segments=segments,
            notes=names,
            channels=names,
            eeg_attention=np.ones(len(names)),
        )
    )


def inspection_of(names, inspection):
    """Page of an inspection whose participants, channels, classes and remarks are ``names``."""
    (participant,) = inspection.participants
    (quality,) = inspection.quality
    counts = tuple(range(len(names)))
    participants = tuple(
        replace(participant, name=name, remarks=names, trials_per_class=counts) for name in names
    )
    array = np.ones((len(names), 2))
    return inspection_page(
        replace(
            inspection,
            class_names=names,
            participants=participants,
            coverage=Coverage(names, (1, 2), array, array),
            quality=tuple(
                replace(quality, participant=name, channels=names) for name in names[::3]
            ),
            spectra=replace(
                inspection.spectra,
                participants=names,
                density=np.repeat(inspection.spectra.density, len(names), axis=0),
            ),
            examples=tuple(
                replace(
                    example, participant=names[0], stimulus=names[1], class_name=names[2],
                    channels=names, faces=names, times_s=(0.0,) * len(names),
                )
                for example in inspection.examples
            ),
            examples_description=names[3],
            findings=names,
        )
    )  # fmt: skip


def test_shorten_name_keeps_start_and_end_in_one_line():
    assert shorten_name("s01") == "s01"
    assert shorten_name("first\nsecond") == "first second"
    shortened = shorten_name("a" * 50 + "b" * 50)
    assert len(shortened) == MAX_NAME_LENGTH
    assert shortened.startswith("aaa")
    assert shortened.endswith("bbb")
    assert "…" in shortened


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["evaluation", "audit", "prediction", "inspection"])
@NAMES
def test_page_contains_no_markup_of_names(
    kind, names, make_evaluation, prediction_of, inspection, read_page
):
    page = {
        "evaluation": lambda: evaluation_of(names, make_evaluation),
        "audit": lambda: audit_of(names),
        "prediction": lambda: prediction_of_names(names, prediction_of),
        "inspection": lambda: inspection_of(names, inspection),
    }[kind]()
    content = read_page(page)
    assert len(set(content.ids)) == len(content.ids)
    assert not {"script", "iframe"} & {tag for tag, _, _ in content.attributes}
    assert not [name for _, name, _ in content.attributes if name.startswith("on")]
    for name in names:
        if "<" in name:
            assert name not in page
        text = " ".join(" ".join(content.sections.values()).split())
        assert " ".join(name.split())[:60] in text
