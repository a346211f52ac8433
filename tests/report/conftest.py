from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.metrics import resampled_unit, score
from milmer_cli.metrics.calibration import apply_temperature, reliability
from milmer_cli.report.html import (
    ChosenFace,
    EvaluationReport,
    FoldRow,
    PredictionReport,
    ProtocolResult,
)
from milmer_cli.report.prediction_figures import Timeline
from milmer_cli.report.trust_figures import DeletionCurve

QUADRANTS = ("HAHV", "LAHV", "LALV", "HALV")


def make_result(protocol: str, skill: float, seed: int = 0) -> ProtocolResult:
    random = np.random.default_rng(seed)
    n, per_trial = 48, 4
    classes, trial = random.integers(4, size=n), np.repeat(np.arange(n), per_trial)
    probabilities = random.dirichlet(np.ones(4), size=len(trial))
    sure = random.random(len(trial)) < skill
    probabilities[sure] = 0.1 + 0.6 * np.eye(4)[classes[trial][sure]]
    who = np.array([f"s{t // 12 + 1:02d}" for t in trial])
    names = np.char.add(who, np.char.mod("/%02d", trial % 12 + 1))
    scores = score(
        classes[trial],
        probabilities,
        who,
        names,
        QUADRANTS,
        majority=np.zeros(len(trial), int),
        unit=resampled_unit(protocol),
        resamples=200,
        permutations=200,
    )
    folds = [FoldRow(str(k), 120, 24, 48, 7 + k, 0.4, 0.38, 0.27) for k in (1, 2)]
    return ProtocolResult(protocol, scores, folds)


def make_prediction(
    n: int = 6, n_classes: int = 4, faces: bool = True, **options
) -> PredictionReport:
    random = np.random.default_rng(0)
    names = QUADRANTS if n_classes == 4 else ("low valence", "high valence")
    data = Timeline(
        onset=np.arange(n) * 3.0,
        segment_s=3.0,
        probabilities=random.dirichlet(np.ones(n_classes), size=n),
        class_names=names,
        faces_found=np.linspace(0, 1, n) if faces else None,
        eeg_good=np.ones(n),
        abstained=np.arange(n) == 0,
    )
    image = random.integers(0, 255, size=(64, 64, 3)).astype(np.uint8)
    chosen = {
        row: [] if row == 0 else [ChosenFace(image, 0.75), ChosenFace(image, 0.25)]
        for row in range(0, n, max(1, n // 50))
    }
    return PredictionReport("clip.mp4 with cap.bdf", data, chosen if faces else {}, **options)


@pytest.fixture(scope="session")
def results():
    return {
        "segment": make_result("segment", 0.95),
        "trial": make_result("trial", 0.5),
        "participant": make_result("participant", 0.0, seed=3),
    }


@pytest.fixture(scope="session")
def report(results):
    return EvaluationReport(
        "runs/<first> & best",
        list(results.values()),
        notes=["Two videos are missing."],
        settings={"seed": 3, "eeg": {"segment_s": 3.0}},
        facts=[("store fingerprint", "9f31c2aa")],
    )


@pytest.fixture(scope="session")
def curves():
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, size=(500, 4))
    truth = (random.random((500, 1)) > apply_temperature(logits, 3.0).cumsum(axis=1)).sum(axis=1)
    fall = np.linspace(0.6, 0.3, 5)
    chosen = np.array([0.6, 0.325, 0.25, 0.275, 0.3])
    return {
        "deletion": DeletionCurve(np.linspace(0, 1, 5), chosen, fall, fall - 0.05, fall + 0.05),
        "reliability": tuple(
            reliability(truth.clip(0, 3), apply_temperature(logits, t)) for t in (1.0, 3.0)
        ),
    }


@pytest.fixture(scope="session")
def prediction_of():
    return make_prediction
