from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from milmer_cli.evaluation.baselines import MAIN
from milmer_cli.evaluation.results import (
    DeletionCurve,
    EvaluationResult,
    FoldScores,
    ProtocolResult,
)
from milmer_cli.evaluation.robustness_curves import AccuracyRange, ElectrodeCurve
from milmer_cli.inspection.inspect_store import inspect_store
from milmer_cli.inspection.result import InspectionResult
from milmer_cli.metrics import (
    SAMPLED_AXES,
    ResamplingOptions,
    Scores,
    SegmentPredictions,
    score,
)
from milmer_cli.metrics.calibration import (
    ReliabilityPair,
    apply_temperature,
    reliability_diagram,
)
from milmer_cli.metrics.significance import Comparison
from milmer_cli.prediction.onsets import Onset
from milmer_cli.prediction.request import Request
from milmer_cli.prediction.result import (
    ModelSummary,
    PredictResult,
    SegmentPrediction,
    SelectedFace,
)
from milmer_cli.prediction.timing import StimulusTiming
from milmer_cli.reports.plots.style import to_svg
from milmer_cli.settings import load_settings
from milmer_cli.settings.schema import Protocol
from milmer_cli.store import Header, PreparedTrial, write_index, write_participant

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")


class PageReader(HTMLParser):
    """Texts of a page by section, and its attributes and ids; fails on unclosed tags."""

    VOID = frozenset({"meta", "img", "br", "use", "path", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self._section = ""
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.sections: dict[str, str] = {}
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag == "section":
            self._section = dict(attrs).get("id") or "settings"
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        self.sections[self._section] = f"{self.sections.get(self._section, '')} {text}".strip()


@pytest.fixture(scope="session")
def read_page() -> type[PageReader]:
    return PageReader


@pytest.fixture(scope="session")
def texts() -> Callable[[Figure], list[str]]:
    """All texts of a figure."""

    def texts_of(figure: Figure) -> list[str]:
        svg = str(to_svg(figure, "figure", "description"))
        return [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg) if text.strip()]

    return texts_of


def simulate_scores(protocol: Protocol, skill: float, seed: int = 0) -> Scores:
    random = np.random.default_rng(seed)
    n_trials, per_trial = 72, 4
    classes = random.integers(4, size=n_trials)
    trial = np.repeat(np.arange(n_trials), per_trial)
    probabilities = random.dirichlet(np.ones(4), size=len(trial))
    correct = random.random(len(trial)) < skill
    probabilities[correct] = 0.1 + 0.6 * np.eye(4)[classes[trial][correct]]
    participant = np.array([f"s{t // 12 + 1:02d}" for t in trial])
    return score(
        SegmentPredictions(
            truth=classes[trial],
            probabilities=probabilities,
            participant=participant,
            trial_id=np.char.add(participant, np.char.mod("/%02d", trial % 12 + 1)),
            class_names=QUADRANTS,
            majority_class=np.zeros(len(trial), int),
        ),
        ResamplingOptions(SAMPLED_AXES[protocol], n_bootstraps=200, n_permutations=200),
    )


@pytest.fixture(scope="session")
def protocol_results() -> dict[str, ProtocolResult]:
    """Results by protocol: high accuracy by segment, moderate by trial, none by participant."""
    scores = {
        "segment": simulate_scores("segment", 0.95),
        "trial": simulate_scores("trial", 0.5),
        "participant": simulate_scores("participant", 0.0, seed=3),
    }
    folds = [FoldScores(str(k), 120, 24, 48, 7 + k, 0.4, 0.38, 0.27) for k in (1, 2)]
    return {p: ProtocolResult(p, {MAIN: s}, folds) for p, s in scores.items()}


@pytest.fixture(scope="session")
def make_evaluation() -> Callable[..., EvaluationResult]:
    """Make an evaluation from results under protocols; options are its fields."""

    def make(*protocols: ProtocolResult, **options: object) -> EvaluationResult:
        provenance = {
            "store": "prepared",
            "store_fingerprint": "9f31c2aa",
            "segments_fingerprint": "77e0",
            "device": "cpu",
            "seeds": [0, 1],
            "versions": {"torch": "2.6"},
        }
        fields = {"title": "store", "n_segments": 200, "n_excluded": 0} | options
        return EvaluationResult(
            protocols=protocols, settings=load_settings(), provenance=provenance, **fields
        )

    return make


@pytest.fixture(scope="session")
def evaluation(protocol_results, make_evaluation) -> EvaluationResult:
    return make_evaluation(*protocol_results.values(), title="runs/<first> & best", n_excluded=8)


@pytest.fixture(scope="session")
def deletion() -> DeletionCurve:
    random = np.linspace(0.6, 0.3, 5)
    selected = np.array([0.6, 0.325, 0.25, 0.275, 0.3])
    comparison = Comparison("random", "selected", 72, 0.125, 0.1, 0.2, 0.012, 0.012, 1.0, 0.02)
    return DeletionCurve(
        np.linspace(0, 1, 5), selected, random, random - 0.05, random + 0.05, comparison
    )


@pytest.fixture(scope="session")
def electrodes() -> ElectrodeCurve:
    masked, interpolated = (
        AccuracyRange(mean, mean - 0.03, mean + 0.02)
        for mean in (np.linspace(0.6, 0.45, 6), np.linspace(0.6, 0.52, 6))
    )
    return ElectrodeCurve(np.array([0, 1, 2, 4, 8, 16]), 32, 4, 123, masked, interpolated)


@pytest.fixture(scope="session")
def reliability() -> ReliabilityPair:
    """Overconfident and calibrated predictions: the true temperature is 3."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, size=(500, 4))
    cumulative = apply_temperature(logits, 3.0).cumsum(axis=1)
    truth = (random.random((500, 1)) > cumulative).sum(axis=1).clip(0, 3)
    before, after = (
        reliability_diagram(truth, apply_temperature(logits, temperature))
        for temperature in (1.0, 3.0)
    )
    return before, after


def make_prediction(
    n: int = 6, n_classes: int = 4, faces: bool = True, abstained: int = 1, **model: Any
) -> PredictResult:
    """A prediction of ``n`` segments; the first ``abstained`` of them are without a class."""
    random = np.random.default_rng(0)
    names = QUADRANTS if n_classes == 4 else ("low valence", "high valence")
    probabilities = random.dirichlet(np.ones(n_classes), size=n)
    segments = [
        SegmentPrediction(
            onset_s=3.0 * row,
            label="" if row < abstained else names[int(probabilities[row].argmax())],
            probabilities=probabilities[row],
            faces_found=round(10 * row / n) if faces else None,
            boxes=np.full((10, 4), np.nan) if faces else None,
            instance_weights=np.zeros(0),
            selected=(),
            interpolated=0,
            eeg_good=1.0,
            flags=(),
        )
        for row in range(n)
    ]
    image = random.integers(0, 255, size=(64, 64, 3)).astype(np.uint8)
    selected = {
        row: [] if row == 0 else [SelectedFace(image, 0.75), SelectedFace(image, 0.25)]
        for row in range(0, n, max(1, n // 50))
    }
    return PredictResult(
        request=Request(Path("clip.mp4"), Path("cap.bdf")),
        timing=StimulusTiming(Onset(0.0, "file_start"), Onset(0.0, "file_start"), 3.0 * n),
        model=ModelSummary(**{"name": "runs/first", "test_score": "accuracy 41.7 %"} | model),
        class_names=names,
        segment_s=3.0,
        segments=tuple(segments),
        notes=("Resampled.",),
        faces=selected if faces else {},
    )


@pytest.fixture(scope="session")
def inspection(tmp_path_factory) -> InspectionResult:
    """Inspection of a store of one participant with two trials, and bad channels in one of them."""
    folder = tmp_path_factory.mktemp("inspected")
    values = load_settings().model_dump(mode="json")
    settings = {"eeg": values["eeg"] | {"segment_s": 1.0}, "faces": values["faces"]}
    eeg = np.random.default_rng(0).normal(size=(2, 4, 128)).astype(np.float32) * 10
    trials = [
        PreparedTrial(
            trial=number,
            stimulus=number,
            ratings=np.array([*ratings, 5, 5], np.float32),
            onset=np.arange(2, dtype=np.float32),
            eeg=eeg * gain,
            faces=None,
        )
        for number, ratings, gain in ((1, (8, 8), 1), (2, (2, 2), 100))
    ]
    fingerprints = {"eeg": "a" * 64, "faces": "b" * 64}
    channels = ("Fp1", "Fz", "Cz", "Oz")
    header = Header("s01", 128.0, channels, 1.0, 3, 32, settings, fingerprints)
    write_participant(folder / "s01.h5", header, trials)
    write_index(folder, settings, ["s01"])
    return inspect_store(folder, folder / "page.html", load_settings())


@pytest.fixture(scope="session")
def prediction_of():
    return make_prediction
