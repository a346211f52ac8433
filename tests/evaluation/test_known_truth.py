"""Twins whose truth is known: nothing to find, only the trial, only the clip."""

from __future__ import annotations

import json

import pytest

from milmer_cli.demo import DemoSpec, make_demo_data
from milmer_cli.evaluation.rivals import BAND_POWER, MAIN
from milmer_cli.recordings.deap import DeapRecordings
from milmer_cli.settings import load_settings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.prepare import prepare

HONEST = ("trial", "participant", "stimulus", "participant-stimulus")
SETTINGS = [
    "data.source=dat",
    "model.modalities=eeg",
    "model.backbone=scratch:micro",
    "model.feedforward=32",
    "model.encoder_layers=1",
    "train.epochs=1",
    "train.batch_size=64",
    "evaluate.folds=4",
    "evaluate.bootstrap=500",
    "evaluate.permutations=500",
    "run.workers=1",
    "run.device=cpu",
    "run.report_to=none",
]


def evaluated(made_once, name: str, protocols: tuple[str, ...], **spec):
    """Metrics and page of a twin, from recordings to the evaluation."""

    def make(folder):
        twin = DemoSpec(video=False, formats=("dat",), expression_images=0, **spec)
        make_demo_data(folder / "data", twin, workers=1)
        settings = load_settings(
            overrides=[*SETTINGS, f"evaluate.protocols=[{','.join(protocols)}]"]
        )
        prepare(DeapRecordings(folder / "data", source="dat"), folder / "prepared", settings)
        evaluate(folder / "prepared", folder / "out", settings)

    folder = made_once(name, make) / "out"
    return json.loads((folder / "metrics.json").read_text()), (folder / "report.html").read_text()


def accuracy(metrics, protocol: str, model: str = BAND_POWER):
    scores = metrics["protocols"][protocol]["models"][model]
    return scores["segment"]["accuracy"], scores["chance"]


def at_chance(metrics, protocol: str, model: str = BAND_POWER) -> bool:
    """Chance is inside the interval, or above it, and shuffled labels do as well."""
    found, chance = accuracy(metrics, protocol, model)
    return found["low"] <= 0.25 and chance["p"] > 0.05


def test_where_nothing_is_to_be_found_nothing_is(made_once):
    metrics, page = evaluated(
        made_once, "twin-null", HONEST, participants=4, trials=16, stimulus_s=6.0, signal=0.0
    )
    for protocol in HONEST:
        assert at_chance(metrics, protocol, BAND_POWER), protocol
        assert at_chance(metrics, protocol, MAIN), protocol
    assert page.count("Not shown to be better than chance") == len(HONEST)


def test_a_signal_of_the_trial_alone_is_a_leak_and_the_page_says_so(made_once):
    metrics, page = evaluated(
        made_once,
        "twin-trial",
        ("segment", "trial"),
        participants=3,
        trials=12,
        stimulus_s=12.0,
        signal=2.0,
        signal_kind="trial",
    )
    found, chance = accuracy(metrics, "segment")
    assert found["value"] > 0.9
    assert chance["p"] < 0.01
    assert at_chance(metrics, "trial")
    (line,) = metrics["readings"][BAND_POWER]
    assert "Nothing above chance is left: what the segment protocol shows is leak." in line
    assert line in page


def test_a_signal_of_the_clip_alone_reaches_new_people_but_no_new_clip(made_once):
    metrics, page = evaluated(
        made_once,
        "twin-clip",
        ("trial", "participant", "stimulus"),
        participants=4,
        trials=16,
        stimulus_s=6.0,
        signal_kind="stimulus",
    )
    for protocol in ("trial", "participant"):
        found, chance = accuracy(metrics, protocol)
        assert found["low"] > 0.75, protocol
        assert chance["p"] < 0.01, protocol
    assert at_chance(metrics, "stimulus")
    (line,) = metrics["readings"][BAND_POWER]
    assert line.startswith("Above chance by trial and by participant, not by stimulus")
    assert line in page
    clip = next(
        one
        for one in metrics["protocols"]["trial"]["probes"]
        if (one["features"], one["target"]) == ("band power", "clip")
    )
    assert clip["accuracy"] > 0.9
    assert clip["p"] == pytest.approx(0, abs=1e-6)
