"""Synthetic data sets with a known signal: none, of the trial, the stimulus or the participant."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.synthetic import SyntheticConfig, generate_dataset
from milmer_cli.evaluation.baselines import BAND_POWER, MAIN
from milmer_cli.settings import load_settings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.prepare import prepare

VALID = ("trial", "participant", "stimulus", "participant-stimulus")
SETTINGS = [
    "data.source=dat",
    "model.modalities=eeg",
    "model.backbone=scratch:micro",
    "model.dim_feedforward=32",
    "model.num_layers=1",
    "train.epochs=1",
    "train.batch_size=64",
    "evaluate.folds=4",
    "evaluate.n_bootstraps=500",
    "evaluate.n_permutations=500",
    "run.workers=1",
    "run.device=cpu",
    "run.report_to=none",
]


def evaluate_synthetic(
    made_once, name: str, protocols: tuple[str, ...], overrides: Sequence[str] = (), **spec
):
    """Generate, prepare and evaluate a synthetic data set; return metrics.json and the page."""

    def make(folder):
        twin = SyntheticConfig(video=False, formats=("dat",), expression_images=0, **spec)
        generate_dataset(folder / "data", twin, workers=1)
        settings = load_settings(
            overrides=[*SETTINGS, f"evaluate.protocols=[{','.join(protocols)}]", *overrides]
        )
        prepare(DeapRecordings(folder / "data", source="dat"), folder / "prepared", settings)
        evaluate(folder / "prepared", folder / "out", settings)

    folder = made_once(name, make) / "out"
    return json.loads((folder / "metrics.json").read_text()), (folder / "report.html").read_text()


def accuracy(metrics, protocol: str, model: str = BAND_POWER):
    scores = metrics["protocols"][protocol]["models"][model]
    return scores["segment"]["accuracy"], scores["chance"]


def at_chance(metrics, protocol: str, model: str = BAND_POWER) -> bool:
    """Whether the interval does not lie above chance level and the p-value is not significant."""
    estimate, chance = accuracy(metrics, protocol, model)
    # with 4 participants there is no interval over participants
    low = estimate["low"] if estimate["low"] is not None else estimate["value"] - 0.15
    # a model that predicts one class for every segment has no p-value
    return low <= 0.25 and (chance["p_value"] is None or chance["p_value"] > 0.05)


@pytest.mark.slow
def test_evaluate_without_signal_is_at_chance(made_once):
    metrics, page = evaluate_synthetic(
        made_once, "synthetic-null", VALID, participants=4, trials=16, stimulus_s=6.0, signal=0.0
    )
    for protocol in VALID:
        assert at_chance(metrics, protocol, BAND_POWER), protocol
        assert at_chance(metrics, protocol, MAIN), protocol
    n_at_chance = page.count("Not significantly above chance")
    assert n_at_chance + page.count("Not comparable with chance") == len(VALID)


@pytest.mark.slow
def test_evaluate_detects_a_leak_of_trials(made_once):
    metrics, page = evaluate_synthetic(
        made_once,
        "synthetic-trial",
        ("segment", "trial"),
        participants=3,
        trials=12,
        stimulus_s=12.0,
        signal=2.0,
        signal_kind="trial",
    )
    estimate, chance = accuracy(metrics, "segment")
    assert estimate["value"] > 0.9
    assert chance["p_value"] < 0.01
    assert at_chance(metrics, "trial")
    (sentence,) = metrics["interpretations"][BAND_POWER]
    assert (
        "Nothing remains above chance: the accuracy under the segment protocol is a leak."
        in sentence
    )
    assert sentence in page


@pytest.mark.slow
def test_evaluate_detects_stimulus_recognition(made_once):
    metrics, page = evaluate_synthetic(
        made_once,
        "synthetic-stimulus",
        ("trial", "participant", "stimulus"),
        participants=4,
        trials=16,
        stimulus_s=6.0,
        signal_kind="stimulus",
    )
    for protocol in ("trial", "participant"):
        estimate, chance = accuracy(metrics, protocol)
        assert estimate["value"] > 0.75, protocol
        assert chance["p_value"] < 0.01, protocol
    assert at_chance(metrics, "stimulus")
    (sentence,) = metrics["interpretations"][BAND_POWER]
    assert sentence.startswith(
        "Above chance under the trial and the participant protocol, but not under the stimulus"
    )
    assert sentence in page
    probe = next(
        probe
        for probe in metrics["protocols"]["trial"]["probes"]
        if (probe["features"], probe["target"]) == ("band power", "stimulus")
    )
    assert probe["accuracy"] > 0.9


LEARNING = ["train.epochs=30", "train.lr=1e-3", "train.batch_size=16", "train.ema_decay=0.9"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signal_kind", "protocols", "size", "verdicts"),
    [
        (
            "participant",
            ("trial", "participant"),
            {"participants": 6, "trials": 16, "stimulus_s": 12.0},
            ("The identity of the participant alone",),
        ),
        (
            "stimulus",
            ("trial", "participant", "stimulus"),
            {"participants": 6, "trials": 16, "stimulus_s": 12.0},
            ("The identity of the stimulus alone",),
        ),
        (
            "trial",
            ("segment", "trial"),
            {"participants": 3, "trials": 8, "stimulus_s": 36.0},
            ("The identity of the trial alone",),
        ),
        (
            "emotion",
            ("trial", "stimulus"),
            {"participants": 6, "trials": 16, "stimulus_s": 12.0},
            ("An emotion-related signal", "The identity of participants and stimuli does not"),
        ),
    ],
)
def test_evaluate_verdict_names_the_signal_that_was_simulated(
    made_once, signal_kind, protocols, size, verdicts
):
    metrics, page = evaluate_synthetic(
        made_once,
        f"verdict-{signal_kind}",
        protocols,
        LEARNING,
        signal=2.0,
        signal_kind=signal_kind,
        **size,
    )
    assert metrics["verdict"].startswith(verdicts)
    assert metrics["verdict"] in page


@pytest.mark.slow
def test_evaluate_detects_participant_recognition(made_once):
    metrics, _ = evaluate_synthetic(
        made_once,
        "synthetic-participant",
        ("trial", "participant", "stimulus"),
        participants=6,
        trials=12,
        stimulus_s=3.0,
        signal_kind="participant",
    )
    for protocol in ("trial", "stimulus"):
        estimate, _ = accuracy(metrics, protocol)
        assert estimate["value"] > 0.6, protocol
        majority = metrics["protocols"][protocol]["models"][BAND_POWER]["majority"]
        assert majority["overall"] < 0.4
        assert estimate["low"] < majority["participant"], protocol
    assert at_chance(metrics, "participant")
